"""Does gseg compute StyleGAN3 as NVIDIA does? Their code runs beside gseg's on the same file.

    python -m benchmarks.parity_stylegan3 --stylegan3 DIR

DIR is a checkout of NVlabs/stylegan3; it needs SciPy, `requests`, and setuptools below 82 to be imported. Its networks
get random weights, and biases, magnitudes and a truncation centre that are not zero or one, and are pickled as its
training pickles them.
"""

import argparse
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cells import ROOT, made
from benchmarks.parity import (
    CLASS,
    LIMIT,
    NUM_CLASSES,
    PSI,
    Case,
    Row,
    as_line,
    difference,
    imports_of,
    latents,
    randomise,
)  # fmt: skip
from gseg_cli.gan.load import load_gan

PAGE = ROOT / "parity_stylegan3.md"
# As NVIDIA's train.py sets them.
SHAPES: dict[str, dict[str, Any]] = {
    "T": {"channel_base": 32768, "channel_max": 512},
    "R": {"channel_base": 65536, "channel_max": 1024, "conv_kernel": 1, "use_radial_filters": True},
}
SIZES = {"T": (64, 256, 1024), "R": (64, 256)}  # NVIDIA's code takes 7 GB for T at 1024 px without CUDA, R more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stylegan3", type=Path, metavar="DIR", required=True)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    args = parser.parse_args()
    rows = []
    with imports_of(args.stylegan3), torch.no_grad():
        for shape in args.shapes:
            for r in SIZES[shape]:
                rows.append(measure(Case("stylegan3", shape, r, NUM_CLASSES if r == 64 else 0)))
                print(as_line(rows[-1]), flush=True)
    if args.shapes == list(SHAPES):
        PAGE.write_text(page(rows))
        print(PAGE)


def measure(case: Case) -> Row:
    from training import networks_stylegan2, networks_stylegan3

    common = {"c_dim": case.c_dim, "img_resolution": case.resolution, "img_channels": 3}
    generator = networks_stylegan3.Generator(z_dim=512, w_dim=512, **common, **SHAPES[case.shape])
    discriminator = networks_stylegan2.Discriminator(**common, epilogue_kwargs={"mbstd_group_size": 4})
    z, c = latents(case)
    for net in (generator, discriminator):
        randomise(net.eval().requires_grad_(False))
    _move_waves(generator.synthesis)
    layers = [getattr(generator.synthesis, name) for name in generator.synthesis.layer_names[:-1]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pkl"
        path.write_bytes(pickle.dumps({"G": None, "D": discriminator, "G_ema": generator, "augment_pipe": None}))
        ours, our_judge = load_gan(path, class_index=CLASS if case.c_dim else None)
    ws = generator.mapping(z, c, truncation_psi=PSI)
    of_w, (our_image, stack) = difference(ours.mapping(z, PSI), ws), ours.features(ws)
    worst: list[float] = []
    for layer, x in zip(layers, stack.maps, strict=True):
        layer.register_forward_hook(lambda it, _, out, x=x: worst.append(difference(x, _within(it, out))))
    image = generator.synthesis(ws)
    pictures = torch.cat([image, image.flip(3)])
    logits = discriminator(pictures, c[:1].repeat(len(pictures), 1), force_fp32=True)
    return Row(case, of_w, difference(our_image, image), max(worst), difference(our_judge(pictures), logits))


def _move_waves(synthesis: nn.Module) -> None:
    """Let w turn and move them, and let magnitudes differ; training does both."""
    for name, tensor in synthesis.state_dict().items():
        if name == "input.affine.weight":
            tensor.normal_()
        elif name.endswith("magnitude_ema"):
            tensor.uniform_(0.5, 1.5)


def _within(layer: Any, x: Tensor) -> Tensor:
    """Without what lies beside the picture."""
    margin = (x.shape[-1] - layer.out_sampling_rate) // 2
    return x[:, :, margin : x.shape[2] - margin, margin : x.shape[3] - margin]


def page(rows: list[Row]) -> str:
    about = made()
    worst = max(max(row.image, row.layers, row.logits, row.ws) for row in rows)
    lines = [
        "# Is StyleGAN3 NVIDIA's?",
        "",
        "gseg opens a pickle that NVIDIA's stylegan3 wrote, and both compute from the same latents, in float32 on the",
        "CPU. T and R are the configurations of their train.py, as wide as there; all weights are random. A figure is",
        "the largest absolute difference divided by the original's largest absolute value; of the layers, compared",
        f"without their margins, the worst counts. The limit is {LIMIT:g}; the largest figure here is {worst:.1e}.",
        "",
        "Made by `python -m benchmarks.parity_stylegan3 --stylegan3 DIR`, a checkout of NVlabs/stylegan3.",
        f"Commit {about['commit']}, {about['date']}, {about['hardware']}.",
        "",
        f"| code | shape | px | classes | w at psi {PSI:g} | image | worst layer | D's logits |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
        *map(as_line, rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
