"""How a GAN of real photographs comes along: the curves of one `gseg gan-train` run, and what is seen on its samples.

    python -m benchmarks.gan_photos RUN --command "gseg gan-train PHOTOS ..."

RUN is the folder of the run, its photographs outside the repository; no picture and no weight of it is copied. What is
seen is written down by whoever looked, in gan_photos_notes.md. Writes gan_photos.md and gan_photos.png.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import ROOT, hardware
from gseg_cli.checkpoint import read_meta
from gseg_cli.gan.training.plot import Curve, draw_curves, read_curves
from gseg_cli.picture_files import write_picture
from gseg_runtime.files import sha256_file, write_text

NOTES = ROOT / "gan_photos_notes.md"
COLUMNS = ("swd", "overfit", "real_sign", "held_out_sign", "p")
ROWS = 8
TEXT = """# A GAN of real photographs

{photos} face photographs at {size} px, {kimg:.0f} kimg shown; {hours:.1f} hours at the run's median speed, on
{hardware}, one thread beside other work. Made by

```sh
{command}
```

and this page by `python -m benchmarks.gan_photos RUN`. GAN `{gan}`.

Means over the stretch of {width:.0f} kimg that ends at each row. Sliced Wasserstein distance to {held_out} photographs
that were held out, times 1000, less is better; memorised: the share of its certainty that the discriminator owes to
knowing its photographs by heart, where it hardly tells photographs from samples there is no such figure; signs of the
discriminator's scores of photographs it trains on and of held-out ones; p: strength of adaptive augmentation.

| kimg | distance | memorised | sign, trained | sign, held out | p |
|---:|---:|---:|---:|---:|---:|
{table}

![losses, signs and distances over the images shown](gan_photos.png)

{notes}"""


def near(curve: Curve | None, kimg: float, width: float) -> str:
    """The mean of what was noted in the stretch of `width` kimg that ends here."""
    if curve is None or not len(shown := curve[1][(curve[0] <= kimg) & (curve[0] > kimg - width)]):
        return "-"
    return f"{np.mean(shown):.2f}"


def table(curves: dict[str, Curve], kimg: float) -> str:
    points = [kimg * (i + 1) / ROWS for i in range(ROWS)]
    return "\n".join(
        f"| {point:.0f} | " + " | ".join(near(curves.get(name), point, kimg / ROWS) for name in COLUMNS) + " |"
        for point in points
    )


def page(run: Path, command: str, curves: dict[str, Curve]) -> str:
    meta: dict[str, Any] = read_meta(run / "checkpoint.safetensors")
    kimg, trained = meta["num_images"] / 1000, meta["trained"]
    seconds = float(np.median(curves["s_per_kimg"][1])) * kimg  # a pause is no training
    return TEXT.format(
        photos=trained["num_photos"], held_out=trained["held_out"], size=trained["resolution"], kimg=kimg,
        hours=seconds / 3600, width=kimg / ROWS, hardware=hardware(), command=command,
        gan=sha256_file(run / "checkpoint.safetensors"),
        table=table(curves, kimg), notes=NOTES.read_text(encoding="utf-8"),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--command", required=True, help="how the run was made, without paths of this machine")
    args = parser.parse_args()
    curves = read_curves(args.run / "metrics.jsonl")
    write_picture(ROOT / "gan_photos.png", draw_curves(curves))
    text = page(args.run, args.command, curves)
    write_text(ROOT / "gan_photos.md", text)
    print(text)


if __name__ == "__main__":
    main()
