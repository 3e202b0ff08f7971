"""How programs call the tensors of a StyleGAN2, and what each is in NVIDIA's names.

The networks are the same. Most programs began with rosinality's code, so their names become rosinality's first.
Sources: the state dicts of MMGeneration and mmagic, BasicSR, PaddleGAN and genforce.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gseg_cli.gan.foreign import genforce, rosinality, tensorflow
from gseg_runtime.errors import CheckpointError

Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Naming:
    """generator, discriminator: the tensor that every one of them has, and no other network."""

    program: str  # for people
    generator: str
    discriminator: str
    generator_rules: Rules = ()  # patterns of names, and what they are in rosinality's
    discriminator_rules: Rules = ()


_MODULATION: Rules = ((r"(.+)\.style_modulation(?:\.linear)?\.(weight|bias)(?:_orig)?", r"\1.modulation.\2"),)
NAMINGS: dict[str, Naming] = {
    "nvidia": Naming("NVIDIA", "synthesis.b4.const", "b4.out.weight"),
    "stylegan3": Naming("NVIDIA", "synthesis.input.freqs", "b4.out.weight"),
    "rosinality": Naming("rosinality", "input.input", "final_linear.0.weight"),
    "mmgeneration": Naming(
        "MMGeneration",
        "constant_input.input",
        "final_linear.0.linear.weight_orig",
        (
            (r"constant_input\.input", "input.input"),
            (r"style_mapping\.(\d+)\.(?:linear\.)?(weight|bias)(?:_orig)?", r"style.\1.\2"),
            *_MODULATION,
            (r"(.+)\.noise_injector\.weight", r"\1.noise.weight"),
            (r"injected_noise_(\d+)", r"noises.noise_\1"),
            (r"(.+)\.weight_orig", r"\1.weight"),
        ),
        ((r"(.+\.\d+)\.(?:conv|linear)\.weight_orig", r"\1.weight"),),
    ),
    "basicsr": Naming(
        "BasicSR",
        "constant_input.weight",
        "final_linear.0.weight",
        (
            (r"constant_input\.weight", "input.input"),
            (r"style_mlp\.(.+)", r"style.\1"),
            (r"style_(conv1|convs\.\d+)\.modulated_conv\.(.+)", r"\1.conv.\2"),
            (r"style_(conv1|convs\.\d+)\.weight", r"\1.noise.weight"),
            (r"style_(conv1|convs\.\d+)\.activate\.bias", r"\1.activate.bias"),
            (r"(to_rgb.+)\.modulated_conv\.(.+)", r"\1.conv.\2"),
            (r"noises\.noise(\d+)", r"noises.noise_\1"),
        ),
        ((r"conv_body\.(.+)", r"convs.\1"),),
    ),
    "genforce": Naming("genforce", "synthesis.early_layer.const", ""),
    # Found by its arrays, not by its names, which are rosinality's.
    "paddle": Naming("PaddleGAN", "", ""),
    # Found by its objects.
    "tensorflow": Naming("NVIDIA's TensorFlow code", "", ""),
}
_OWN = {"genforce": genforce, "tensorflow": tensorflow}  # those with names that are not like rosinality's


def generator_to_nvidia(naming: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a generator under NVIDIA's names; CheckpointError for a name that has none."""
    if naming == "nvidia":
        return dict(tensors)
    if naming in _OWN:
        return _OWN[naming].generator_to_nvidia(tensors)
    return rosinality.generator_to_nvidia(_renamed(naming, tensors, NAMINGS[naming].generator_rules))


def discriminator_to_nvidia(naming: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a discriminator under NVIDIA's names; CheckpointError for a name that has none."""
    if naming in ("nvidia", "stylegan3"):  # whose discriminator is StyleGAN2's
        return dict(tensors)
    if naming == "tensorflow":
        return tensorflow.discriminator_to_nvidia(tensors)
    return rosinality.discriminator_to_nvidia(_renamed(naming, tensors, NAMINGS[naming].discriminator_rules))


def _renamed(naming: str, tensors: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Under rosinality's names. Paddle's linear layers are [in, out], torch's [out, in]."""
    is_paddle = naming == "paddle"
    renamed = {_rename(name, rules): t.t() if is_paddle and t.ndim == 2 else t for name, t in tensors.items()}
    if len(renamed) < len(tensors):
        raise CheckpointError(f"several of its tensors are one in {NAMINGS[naming].program}'s names")
    return renamed


def _rename(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        if found := re.fullmatch(pattern, name):
            return found.expand(replacement)
    return name


def is_transposed(shapes: Mapping[str, tuple[int, ...]], is_numpy: bool) -> bool:
    """Whether a generator in rosinality's names has its linear layers as Paddle stores them.

    A layer's modulation gives a style to each channel that goes in, which shows unless there are as many as numbers in
    w. Where no layer shows it, arrays of NumPy are Paddle's: rosinality's code saves tensors of torch.
    """
    turned, straight = False, False
    for name, shape in shapes.items():
        modulation = shapes.get(f"{name.removesuffix('weight')}modulation.weight", ())
        if name.endswith("conv.weight") and len(shape) == 5 and len(modulation) == 2:
            turned |= modulation[1] == shape[2] != modulation[0]
            straight |= modulation[0] == shape[2] != modulation[1]
    return turned if turned or straight else is_numpy
