"""Pictures for people: small ones enlarged, with a title, and with the mark by which --overwrite knows gseg's own."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from gseg_runtime.files import atomic_path
from gseg_runtime.label_map import Pixels
from gseg_runtime.legend import without_accents


def titled(picture: Pixels, title: str) -> Pixels:
    """Enlarged, with the title in its upper left corner."""
    image = Image.fromarray(enlarged(picture))
    side, title = max(8, image.height // 12), without_accents(title)
    font = ImageFont.load_default(side)
    ImageDraw.Draw(image).text(
        (side // 3, side // 4), title, "white", font=font, stroke_width=1 + side // 16, stroke_fill="black"
    )
    return np.asarray(image)


def enlarged(picture: Pixels) -> Pixels:
    """Small pictures to about 512 pixels, each pixel a square."""
    factor = max(1, 512 // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def write_picture(path: Path, picture: Pixels) -> None:
    """A PNG, atomically."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "gseg")
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=info)
