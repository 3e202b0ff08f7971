"""Do the images equal those of the code the checkpoints come from? The original runs beside ours on the same file.

    python -m benchmarks.parity --stylegan2-ada DIR --stylegan3 DIR --rosinality DIR

Each DIR is a checkout: NVlabs/stylegan2-ada-pytorch, NVlabs/stylegan3, rosinality/stylegan2-pytorch. NVIDIA's need
`requests` and setuptools below 82 to be imported. Their networks get random weights, and biases, noise strengths and
a truncation centre that are not zero; they write a checkpoint, which gseg reads as any user's.
"""

import argparse
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cells import ROOT, made
from gseg_cli.gan.load import load_gan

PAGE = ROOT / "parity.md"
LIMIT = 1e-4
NUM_CLASSES, CLASS = 10, 3
PSI = 0.7


@dataclass(frozen=True)
class Case:
    """shape: the configuration's name. kwargs: of the original's generator; of_d: what its discriminator has else."""

    family: str
    shape: str
    resolution: int
    c_dim: int = 0
    kwargs: dict[str, Any] = field(default_factory=dict)
    of_d: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Largest absolute difference by largest absolute value."""

    case: Case
    ws: float
    image: float
    layers: float  # the worst layer
    logits: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for family in FAMILIES:
        parser.add_argument(f"--{family}", type=Path, metavar="DIR")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 256, 1024])
    args = parser.parse_args()
    rows = []
    for family, (make_cases, measure) in FAMILIES.items():
        checkout = getattr(args, family.replace("-", "_"))
        if checkout is not None:
            with imports_of(checkout):
                for case in make_cases(args.resolutions):
                    rows.append(measure(case))
                    print(as_line(rows[-1]), flush=True)
    if args.resolutions == parser.get_default("resolutions") and len({r.case.family for r in rows}) == len(FAMILIES):
        PAGE.write_text(page(rows))
        print(PAGE)


def nvidia_cases(family: str) -> Callable[[list[int]], Iterator[Case]]:
    """The configurations of the repository's train.py; and two that only exist as options of the networks."""
    shapes: dict[str, dict[str, Any]] = {"config-f": {"layers": 8}}
    if family == "stylegan2-ada":
        shapes |= {"auto": {"layers": 2}, "paper256": {"layers": 8}, "cifar": {"layers": 2}}

    def cases(resolutions: list[int]) -> Iterator[Case]:
        for shape in shapes:
            for r in resolutions:
                base = 16384 if shape == "paper256" or (shape == "auto" and r < 512) else 32768
                kwargs = {"channel_base": base, "channel_max": 512, "num_fp16_res": 4, "conv_clamp": 256}
                orig = {"architecture": "orig"} if shape == "cifar" else {}
                of_d = {**orig, "epilogue_kwargs": {"mbstd_group_size": 32 if shape == "cifar" else 4}}
                for c_dim in (0, NUM_CLASSES):
                    yield Case(family, shape, r, c_dim, {"layers": shapes[shape]["layers"], **kwargs, **orig}, of_d)
        for name in ("resnet", "skip"):
            kwargs = {"layers": 3, "channel_base": 2048, "channel_max": 64, "architecture": name, "conv_clamp": 0.7}
            of_d = {"architecture": name, "epilogue_kwargs": {"mbstd_num_channels": 2}}
            yield Case(family, f"{name}, clamp 0.7", 64, NUM_CLASSES, kwargs, of_d)

    return cases


def measure_nvidia(case: Case) -> Row:
    if case.family == "stylegan3":
        from training import networks_stylegan2 as official
    else:
        from training import networks as official
    synthesis = dict(case.kwargs)
    common = {"c_dim": case.c_dim, "img_resolution": case.resolution, "img_channels": 3}
    mapping = {"mapping_kwargs": {"num_layers": synthesis.pop("layers")}}
    nested = synthesis if case.family == "stylegan3" else {"synthesis_kwargs": synthesis}
    generator = official.Generator(z_dim=512, w_dim=512, **common, **mapping, **nested)
    of_both = {k: v for k, v in synthesis.items() if k != "architecture"}
    discriminator = official.Discriminator(**common, **of_both, **case.of_d)
    z, c = latents(case)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for net in (generator, discriminator):
            randomise(net.eval().requires_grad_(False))
        path = Path(folder) / "network.pkl"
        path.write_bytes(pickle.dumps({"G": None, "D": discriminator, "G_ema": generator, "augment_pipe": None}))
        ws = generator.mapping(z, c, truncation_psi=PSI)
        layers = {
            name: module for name, module in generator.synthesis.named_modules() if name.endswith(("conv0", "conv1"))
        }
        return compare(
            case, path, z, ws, [layers[name] for name in sorted(layers, key=_coarse_to_fine)],
            lambda: generator.synthesis(ws, noise_mode="const", force_fp32=True),
            lambda image: discriminator(image, c[:1].repeat(len(image), 1), force_fp32=True),
        )  # fmt: skip


def _coarse_to_fine(name: str) -> tuple[int, str]:
    block, _, layer = name.partition(".")
    return int(block[1:]), layer


def rosinality_cases(resolutions: list[int]) -> Iterator[Case]:
    for multiplier in (2, 1):
        for r in resolutions:
            yield Case("rosinality", f"channel_multiplier {multiplier}", r, kwargs={"channel_multiplier": multiplier})


def measure_rosinality(case: Case) -> Row:
    import torch.utils.cpp_extension

    torch.utils.cpp_extension.load = lambda *_, **__: None  # of CUDA code, on import
    import model as official

    generator = official.Generator(case.resolution, 512, 8, **case.kwargs)
    discriminator = official.Discriminator(case.resolution, **case.kwargs)
    z, _ = latents(case)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for net in (generator, discriminator):
            randomise(net.eval().requires_grad_(False))
        path, mean = Path(folder) / "checkpoint.pt", 0.5 * torch.randn(1, 512)
        args = argparse.Namespace(size=case.resolution, **case.kwargs)
        state = {"g_ema": generator.state_dict(), "d": discriminator.state_dict(), "latent_avg": mean, "args": args}
        torch.save(state, path)
        w = mean + PSI * (generator.style(z) - mean)
        ws = w.unsqueeze(1).repeat(1, generator.n_latent, 1)
        return compare(
            case, path, z, ws, [generator.conv1, *generator.convs],
            lambda: generator([ws], input_is_latent=True, randomize_noise=False)[0], discriminator,
        )  # fmt: skip


def latents(case: Case) -> tuple[Tensor, Tensor]:
    """z [N, 512] and the class, one-hot: one image at large sizes, two at small ones."""
    torch.manual_seed(case.resolution)
    n = 1 if case.resolution > 256 else 2
    c = torch.zeros(n, case.c_dim)
    if case.c_dim:
        c[:, CLASS] = 1
    return torch.randn(n, 512), c


def randomise(net: nn.Module) -> None:
    """Move everything that starts at zero or one, and would hide a mistake there."""
    for name, tensor in {**dict(net.named_parameters()), **dict(net.named_buffers())}.items():
        noise = torch.randn_like(tensor)
        if name.endswith(("noise_strength", "noise.weight")):
            tensor.copy_(0.4 + 0.1 * noise)
        elif name.endswith(("affine.bias", "modulation.bias")):
            tensor.copy_(1 + 0.3 * noise)
        elif name.endswith("bias"):
            tensor.copy_((30 if ".fc" in f".{name}" or name.startswith("style.") else 0.3) * noise)
        elif name.endswith("w_avg"):
            tensor.copy_(0.5 * noise)


def compare(
    case: Case,
    path: Path,
    z: Tensor,
    ws: Tensor,
    layers: list[nn.Module],
    synthesis: Callable[[], Tensor],
    judge: Callable[[Tensor], Tensor],
) -> Row:
    """Ours, read from the file the original wrote, against the original."""
    generator, discriminator = load_gan(path, class_index=CLASS if case.c_dim else None)
    our_image, stack = generator.features(ws)
    worst: list[float] = []
    for module, ours in zip(layers, stack.maps, strict=True):
        module.register_forward_hook(lambda _, __, out, ours=ours: worst.append(difference(ours, out)))
    image = synthesis()
    pictures = torch.cat([image, image.flip(3)])
    logits = difference(discriminator(pictures), judge(pictures))
    return Row(case, difference(generator.mapping(z, PSI), ws), difference(our_image, image), max(worst), logits)


def difference(ours: Tensor, original: Tensor) -> float:
    assert ours.shape == original.shape
    return float((ours - original).abs().max() / original.abs().max())


@contextmanager
def imports_of(checkout: Path) -> Iterator[None]:
    """Modules of a checkout, and none of them afterwards: the two of NVIDIA have the same names."""
    before = set(sys.modules)
    sys.path.insert(0, str(checkout))
    try:
        yield
    finally:
        sys.path.remove(str(checkout))
        for name in set(sys.modules) - before:
            if str(checkout) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


FAMILIES: dict[str, Any] = {
    "stylegan2-ada": (nvidia_cases("stylegan2-ada"), measure_nvidia),
    "stylegan3": (nvidia_cases("stylegan3"), measure_nvidia),
    "rosinality": (rosinality_cases, measure_rosinality),
}


def as_line(row: Row) -> str:
    c = row.case
    figures = " | ".join(f"{v:.1e}" for v in (row.ws, row.image, row.layers, row.logits))
    return f"| {c.family} | {c.shape} | {c.resolution} | {c.c_dim or '-'} | {figures} |"


def page(rows: list[Row]) -> str:
    about = made()
    worst = max(max(row.image, row.layers, row.logits, row.ws) for row in rows)
    lines = [
        "# Are the images the original's?",
        "",
        "gseg opens a checkpoint that the original code wrote, and both compute from the same latents, in float32 on",
        "the CPU, with constant noise. Weights, biases, noise strengths and the truncation centre are random. A figure",
        "is the largest absolute difference divided by the original's largest absolute value; of the layers the worst",
        f"counts. The limit is {LIMIT:g}; the largest figure here is {worst:.1e}.",
        "",
        "Made by `python -m benchmarks.parity --stylegan2-ada DIR --stylegan3 DIR --rosinality DIR`, each a checkout:",
        "NVlabs/stylegan2-ada-pytorch, NVlabs/stylegan3 (its StyleGAN2), rosinality/stylegan2-pytorch. Commit",
        f"{about['commit']}, {about['date']}, {about['hardware']}.",
        "",
        f"| code | shape | px | classes | w at psi {PSI:g} | image | worst layer | D's logits |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
        *map(as_line, rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
