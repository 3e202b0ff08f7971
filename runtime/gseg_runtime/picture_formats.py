"""Which format a picture is of, told by its first bytes: the name may say anything."""

import io
from functools import cache

from PIL import Image, UnidentifiedImageError

from gseg_runtime.pillow import UNKNOWN, allow_pixels, check_size, open_picture
from gseg_runtime.pip_hint import install

NUM_BYTES = 12  # that tell it
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
    **dict.fromkeys((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), "JPEG2000"),
}
_AVIF, _HEIF = "AVIF", "HEIF"
_BRANDS = {  # of a file in boxes, which videos are as well
    **dict.fromkeys((b"avif", b"avis"), (_AVIF,)),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), (_HEIF,)),
    **dict.fromkeys((b"mif1", b"msf1"), (_AVIF, _HEIF)),  # either; the rest of the file tells
}


def formats_of(start: bytes) -> tuple[str, ...]:
    """Pillow's names of the formats that a file beginning like this may be of; none for what is no picture.

    Not EPS, for instance, which would run Ghostscript.
    """
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], ())
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return ("WEBP",)
    return tuple(name for first, name in _STARTS.items() if start.startswith(first))


def open_photo(data: bytes, max_pixels: int | None = None) -> Image.Image:
    """The picture in `data`, not yet decoded. Call it, and decode, inside `picture_errors`.

    max_pixels: None is Pillow's limit. ValueError with the true reason when it is larger, of none of the formats, or
    not as they should be.
    """
    reason = UNKNOWN
    if max_pixels is not None:
        allow_pixels(max_pixels)
    for name in formats_of(data[:NUM_BYTES]):
        if name == _HEIF and not _has_heif():
            raise ValueError(f"HEIC is read by pillow-heif, which is not installed: {install('heic')}")
        try:
            image = open_picture(data, [name])
            check_size(*image.size, max_pixels)
            return image
        except UnidentifiedImageError:
            reason = f"{name}: {_why_not(data, name)}"
    raise ValueError(reason)


def _why_not(data: bytes, name: str) -> str:
    """What Pillow keeps to itself where it could try other formats."""
    try:
        Image.OPEN[name][0](io.BytesIO(data), "")
    except Exception as error:  # its readers raise nearly anything
        return str(error) or type(error).__name__
    return "not as the format should be"


@cache
def _has_heif() -> bool:
    """Makes it known to Pillow."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True
