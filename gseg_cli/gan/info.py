"""What one wants to know of a GAN before using it. Needs no PyTorch for gseg's own files."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gseg_cli.gan.foreign.errors import shown
from gseg_cli.gan.networks.config import CONFIGS, StyleGAN2Config, StyleGAN3Config
from gseg_cli.gan.networks.stylegan3_plan import feature_layers
from gseg_runtime.errors import CheckpointError, ConfigError
from gseg_runtime.pip_hint import install

BYTES_OF_FLOAT32 = 4


def gan_facts(
    path: Path, kind: str, config: Mapping[str, Any], meta: Mapping[str, Any], num_parameters_of: Mapping[str, int]
) -> dict[str, Any]:
    """Family, shape, representation and what the images depend on; {} for a checkpoint that is no StyleGAN2 or 3.

    config, meta: as in the checkpoint. num_parameters_of: G_ema and, where there is one, D.
    """
    if kind not in ("stylegan2", "stylegan3"):
        return {}
    try:
        c: Any = CONFIGS[kind](**config)
    except (TypeError, ConfigError) as error:
        raise CheckpointError(
            f"{path}: its config describes no GAN: {shown(str(error), 300)}", "make or convert the file again"
        ) from error
    return {
        "family": _family(c),
        "origin": meta.get("origin", "gseg gan-train"),
        "resolution": c.img_resolution,
        **_rectangle(c),
        "colours": c.img_channels,
        **({"alpha": True} if c.img_channels in (2, 4) else {}),
        "num_classes": c.c_dim,
        "mapping": {"layers": c.mapping_layers, "z_dim": c.z_dim, "w_dim": c.w_dim},
        "truncation_centre": meta.get("truncation_centre", "w_avg, tracked in training"),
        "noise": meta.get("noise", "constant, of the file"),
        "conv_clamp": meta.get("conv_clamp", c.conv_clamp or "none"),
        "discriminator": meta.get("discriminator", "of the file" if "D" in num_parameters_of else "none in the file"),
        **{name: meta[name] for name in ("class_names", "left_out", "unread") if name in meta},
        "representation": _representation(c),
    }


def describe_foreign_gan(path: Path) -> dict[str, Any]:
    """The facts about a checkpoint that gseg did not write; CheckpointError when it is none that gseg reads."""
    try:
        from gseg_cli.gan.load import read_gan
    except ModuleNotFoundError as error:  # the runtime alone describes what gseg wrote, and needs no PyTorch for it
        message = f"{path}: not a file that gseg wrote; PyTorch is needed to tell whether it is another program's GAN"
        raise CheckpointError(message, f"{install('train')}, to read the GANs of other programs") from error

    gan = read_gan(path)
    parts = count_parameters({name: tensor.shape for name, tensor in gan.tensors.items()})
    facts = gan_facts(path, gan.kind, vars(gan.config), gan.meta, parts)
    return {"kind": gan.kind, "path": path, **facts, "num_parameters": sum(parts.values()), "num_parameters_of": parts}


def count_parameters(shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Of each network, by the prefix of its tensors; constants, such as noise, are none."""
    counts: dict[str, int] = {}
    for name, shape in shapes.items():
        part, _, rest = name.partition(".")
        is_constant = rest.endswith(("noise_const", "resample_filter", "w_avg"))
        counts[part] = counts.get(part, 0) + (0 if is_constant else math.prod(shape))
    return counts


def _rectangle(config: StyleGAN2Config | StyleGAN3Config) -> dict[str, Any]:
    """The picture's size where it is none of a square."""
    if isinstance(config, StyleGAN3Config):
        return {}
    height, width = config.size_at(config.resolutions[-1])
    return {} if height == width else {"picture": {"width": width, "height": height}}


def _family(config: StyleGAN2Config | StyleGAN3Config) -> str:
    if isinstance(config, StyleGAN2Config):
        return f"StyleGAN2, architecture {config.architecture}"
    known = {(3, False): ", configuration T", (1, True): ", configuration R"}
    return "StyleGAN3" + known.get((config.conv_kernel, config.use_radial_filters), "")


def _representation(config: StyleGAN2Config | StyleGAN3Config) -> dict[str, Any]:
    """The layers whose activations are a pixel's features, and what those of one image take in float32."""
    layers = config.feature_layers if isinstance(config, StyleGAN2Config) else feature_layers(config)
    sizes = sorted({size for _, size in layers})
    channels = sum(c for c, _ in layers)
    return {
        "layers": len(layers),
        "channels": channels,
        "channels_at": {f"{r}px": " + ".join(str(c) for c, size in layers if size == r) for r in sizes},
        "bytes_per_image": sum(c * r * r for c, r in layers) * BYTES_OF_FLOAT32,
        "bytes_concatenated": channels * config.img_resolution**2 * BYTES_OF_FLOAT32,
    }
