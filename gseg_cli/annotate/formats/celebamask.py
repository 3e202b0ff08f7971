"""One black-and-white mask per picture and part, as in CelebAMask-HQ: 00003_hair.png, 00003_l_eye.png."""

import re
from collections.abc import Iterable, Sequence

from gseg_cli.annotate.bitmap import read_bitmap
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.shapes import Bitmap, Mask
from gseg_cli.annotate.source_files import Files, base_name
from gseg_cli.gan.sample_set import sample_name
from gseg_runtime.errors import GsegError

# In the order in which the data set's own script paints them.
CELEBA_PARTS = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip", "hair",
    "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
_NAME = re.compile(r"^(\d{1,18})_(.+)\.png$", re.IGNORECASE)


def part_names(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """Those that are called as a part of a picture; none unless all of them are. known: other parts than CelebA's."""
    parts = {*CELEBA_PARTS, *known}
    found = [name for name in names if (match := _NAME.match(base_name(name))) and match[2] in parts]
    return found if len(found) == len(names) else []


def read_parts(files: Files, names: Sequence[str], reading: Reading) -> None:
    groups: dict[int, dict[str, str]] = {}
    for name in names:
        match = _NAME.match(base_name(name))
        assert match
        parts = groups.setdefault(int(match[1]), {})
        with reading.attempt():
            if match[2] in parts:
                both = f"{files.where(parts[match[2]])} and {files.where(name)}"
                hint = "keep one of them, or import the folders one after the other with --add"
                raise GsegError(f"{both}: two masks of one part of one picture", hint)
        parts[match[2]] = name
    for number, parts in groups.items():
        with reading.attempt():
            order = sorted(parts, key=lambda part: CELEBA_PARTS.index(part) if part in CELEBA_PARTS else -1)
            where = files.where(parts[order[0]])
            masks = {part: _mask_of(files, parts[part], reading) for part in order}
            reading.add(_drawing(where, _names_of(number, parts[order[0]]), masks))


def _mask_of(files: Files, name: str, reading: Reading) -> Mask:
    mask = read_bitmap(files.read(name), files.where(name), reading.bounds)
    reading.spend(mask.size, files.where(name))
    return mask


def _names_of(number: int, mask: str) -> tuple[str, ...]:
    """The data set's photo of 00003_hair.png is 3.jpg; others keep the zeros, in whatever number."""
    match = _NAME.match(base_name(mask))
    assert match
    return tuple(dict.fromkeys((match[1], str(number), sample_name(number))))


def _drawing(where: str, names: tuple[str, ...], masks: dict[str, Mask]) -> Drawing:
    sizes = {mask.shape[::-1] for mask in masks.values()}
    if len(sizes) > 1:
        found = " and ".join(f"{width}x{height}" for width, height in sorted(sizes))
        raise GsegError(f"{where}: the masks of this picture differ in size, {found}", "save them at one size")
    layers = [Layer(part, Bitmap(mask)) for part, mask in masks.items() if mask.any()]
    return Drawing(where, names, sizes.pop(), layers)
