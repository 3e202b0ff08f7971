"""Draw demo.jpg, the first picture of the README: `python docs/make_picture.py DEMO`, the folder of a `gseg demo`.

Above, the annotated samples that went in; below, photos the networks never saw, and the masks that came out.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_runtime.label_map import colorize, contact_sheet, read_label_png

PICTURE = Path(__file__).with_name("demo.jpg")
COLUMNS, CELL_SIZE, TITLE_SIZE = 10, 104, 34  # the sizes in pixels


def block(title: str, images: Path, label_maps: Iterable[Path]) -> Image.Image:
    """A title, a row of the first images that have a label map, and a row of these label maps."""
    paths = sorted(label_maps)[:COLUMNS]
    photos = [np.asarray(Image.open(images / path.name).convert("RGB")) for path in paths]
    rows = Image.fromarray(contact_sheet([photos, [colorize(read_label_png(p), CLASSES) for p in paths]], CELL_SIZE))
    out = Image.new("RGB", (rows.width, rows.height + TITLE_SIZE), "white")
    out.paste(rows, (0, TITLE_SIZE))
    ImageDraw.Draw(out).text((6, 6), title, "#1b2430", ImageFont.load_default(size=20))
    return out


def picture(demo: Path) -> Image.Image:
    project = demo / "project"
    blocks = [
        block("In: ten generated images, labelled", project / "samples", project.glob("annotations/*.png")),
        block("Out: masks of faces never trained on", demo / "photos" / "images", project.glob("masks/*.png")),
    ]
    return Image.fromarray(np.concatenate([np.asarray(one) for one in blocks]))


if __name__ == "__main__":
    picture(Path(sys.argv[1])).save(PICTURE, quality=88, optimize=True)
