"""Photos that a camera stored upside down or mirrored, with a note of it: a mask's shape does not tell its side."""

from collections.abc import Sequence
from pathlib import Path

from gseg_runtime.errors import ImageError
from gseg_runtime.picture_formats import open_photo
from gseg_runtime.pillow import picture_errors
from gseg_runtime.to_rgb import orientation_of


def about_turned(photos: Sequence[Path]) -> list[str]:
    """A warning where there are such, for masks that may come from a program that does not read the note."""
    turned = [photo for photo in photos if _is_turned(photo)]
    if not turned:
        return []
    what = f"photos that the camera stored upside down or mirrored: {len(turned)}, for example {turned[0]}"
    return [f"{what}; look whether their masks are turned as a viewer shows the photos"]


def _is_turned(photo: Path) -> bool:
    """Where the shape does not tell."""
    try:
        with picture_errors(photo), open_photo(photo.read_bytes()) as image:
            orientation = orientation_of(image)
            return orientation in (2, 3, 4) or (orientation in (5, 6, 7, 8) and image.width == image.height)
    except ImageError:  # whoever decodes it will tell
        return False
