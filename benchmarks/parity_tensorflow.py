"""Are NVIDIA's TensorFlow pickles read right? NVIDIA's own converter runs beside gseg's reader on the same file.

    python -m benchmarks.parity_tensorflow --stylegan2-ada DIR

DIR is a checkout of NVlabs/stylegan2-ada-pytorch, whose legacy.py converts such a pickle by unpickling it. The pickles
have the layout of the originals and random weights. They are written here, so unpickling them does no harm.
"""

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import ROOT, made
from benchmarks.parity import LIMIT, NUM_CLASSES, PSI, Case, Row, as_line, compare, imports_of, latents
from tests.gan.foreign.tensorflow_files import Layout, tensorflow_pickle

PAGE = ROOT / "parity_tensorflow.md"
SHAPES: dict[str, dict[str, Any]] = {
    "config-f": {"fmap_base": 16384, "mapping_layers": 8},
    "ada, auto": {"fmap_base": 8192, "is_ada": True, "of_g": {"conv_clamp": 256}, "of_d": {"conv_clamp": 256}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stylegan2-ada", type=Path, metavar="DIR", required=True)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 512, 1024])
    args = parser.parse_args()
    rows = []
    with imports_of(args.stylegan2_ada):
        for shape in SHAPES:
            for r in args.resolutions:
                c_dim = NUM_CLASSES if shape.startswith("ada") and r < 1024 else 0
                rows.append(measure(Case("tensorflow", shape, r, c_dim)))
                print(as_line(rows[-1]), flush=True)
    if args.resolutions == parser.get_default("resolutions"):
        PAGE.write_text(page(rows))
        print(PAGE)


def measure(case: Case) -> Row:
    import legacy

    size = {"resolution": case.resolution, "latent_size": 512, "fmap_max": 512, "label_size": case.c_dim}
    z, c = latents(case)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pkl"
        path.write_bytes(tensorflow_pickle(Layout(**size, **SHAPES[case.shape])))
        with path.open("rb") as file:
            networks = legacy.load_network_pkl(file)
        generator, discriminator = networks["G_ema"], networks["D"]
        ws = generator.mapping(z, c, truncation_psi=PSI)
        layers = {n: m for n, m in generator.synthesis.named_modules() if re.fullmatch(r"b\d+\.conv[01]", n)}
        in_order = sorted(layers, key=lambda name: (int(name[1:].partition(".")[0]), name))
        return compare(
            case, path, z, ws, [layers[name] for name in in_order],
            lambda: generator.synthesis(ws, noise_mode="const", force_fp32=True),
            lambda image: discriminator(image, c[:1].repeat(len(image), 1), force_fp32=True),
        )  # fmt: skip


def page(rows: list[Row]) -> str:
    about = made()
    worst = max(max(row.image, row.layers, row.logits, row.ws) for row in rows)
    lines = [
        "# Are TensorFlow's pickles read right?",
        "",
        "gseg reads a pickle of the layout of NVIDIA's stylegan2 and stylegan2-ada as data; `legacy.py` of",
        "stylegan2-ada-pytorch unpickles and converts it. Both compute from the same latents, in float32 on the CPU,",
        "with constant noise. All weights are random. A figure is the largest absolute difference divided by the",
        "converter's largest absolute value; of the layers the worst counts.",
        f"The limit is {LIMIT:g}; the largest figure here is {worst:.1e}.",
        "",
        "Made by `python -m benchmarks.parity_tensorflow --stylegan2-ada DIR`, a checkout of",
        "NVlabs/stylegan2-ada-pytorch.",
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
