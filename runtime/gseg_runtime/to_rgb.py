"""Pictures of any of Pillow's modes as RGB, transparency over a colour, upright."""

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from gseg_runtime.class_map import Color
from gseg_runtime.label_map import Pixels

BLACK = (0, 0, 0)

_ORIENTATION = 0x0112  # the EXIF tag


def to_rgb(image: Image.Image, background: Color = BLACK) -> Pixels:
    """uint8 [H, W, 3]. 16-bit values are scaled to 8; ValueError for those of 32 bits."""
    image = _loaded(image)
    if image.mode in ("I", "F"):
        raise ValueError(f"pixel values of 32 bits (mode {image.mode}) have no known range")
    if image.mode == "La":  # multiplied by its alpha already
        grey, alpha = np.asarray(image)[:, :, :1], np.asarray(image)[:, :, 1:]
        behind = (255 - alpha.astype(np.uint32)) * np.array(background, np.uint32)
        return np.minimum(grey + (behind + 127) // 255, 255).astype(np.uint8)
    if image.has_transparency_data and not _is_alpha_empty(image):
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image.convert("RGBA"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))  # convert copies in any case


def to_rgba(image: Image.Image) -> npt.NDArray[np.uint8] | None:
    """uint8 [H, W, 4], black where nothing is seen; None for a picture without transparency."""
    image = _loaded(image)
    if not image.has_transparency_data or _is_alpha_empty(image):
        return None
    pixels = np.array((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
    pixels[pixels[:, :, 3] == 0] = 0  # programs leave anything there
    return pixels


def _loaded(image: Image.Image) -> Image.Image:
    """Decoded, with 16-bit grey scaled to 8 and its transparent value as alpha."""
    _scale_transparent_value(image)
    image.load()
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")):
        return image
    values = np.asarray(image)
    grey = Image.fromarray((values.astype(np.uint32) // 257).astype(np.uint8))
    if (transparent := image.info.get("transparency")) is None:
        return grey
    return Image.merge("LA", (grey, Image.fromarray((values != transparent) * np.uint8(255))))


def _scale_transparent_value(image: Image.Image) -> None:
    """As Pillow scales the samples of a PNG to 8 bits while it loads them; of 16 bits it takes the higher byte."""
    value = image.info.get("transparency")
    if not isinstance(image, PngImageFile) or value is None or not image.tile:  # no tile: it is loaded
        return
    match image.tile[0][3]:
        case "L;2":
            image.info["transparency"] = value * 85
        case "L;4":
            image.info["transparency"] = value * 17
        case "RGB;16B":
            image.info["transparency"] = tuple(sample >> 8 for sample in value)


def _is_alpha_empty(image: Image.Image) -> bool:
    """In a BMP of 32 bits nothing tells whether the fourth byte is alpha or nothing, which programs leave at zero."""
    return image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)


def grey_to_rgb(grey: npt.NDArray[np.uint8]) -> Pixels:
    return np.repeat(grey[:, :, None], 3, axis=2)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) when there is none. A broken EXIF block is no reason to lose the photo."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # its parser raises nearly anything
        return 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """The eight orientations of EXIF: a transposition for 5 to 8, then mirrored in one or both directions."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
