"""OpenRaster, the layered format that GIMP, Krita and MyPaint share: a zip of PNGs, and which lies over which.

Each visible layer is a class, called as the layer. The lowest one is the picture, if it is opaque all over.
"""

from collections.abc import Iterator
from functools import partial
from xml.etree.ElementTree import Element

import numpy as np

from gseg_cli.annotate.bitmap import decode_picture
from gseg_cli.annotate.documents import parse_xml
from gseg_cli.annotate.drawing import Bounds, Drawing, Layer, Reading, no_picture
from gseg_cli.annotate.fields import HINT, check_number, check_text
from gseg_cli.annotate.shapes import Bitmap, Mask, cover
from gseg_cli.annotate.source_files import OPEN_RASTER, Files, open_inner_zip
from gseg_runtime.errors import GsegError


def read_layered(files: Files, names: list[str], reading: Reading) -> None:
    """One drawing per .ora file."""
    for name in names:
        with reading.attempt():
            reading.add(_drawing_of(files, name, reading))


def _drawing_of(files: Files, name: str, reading: Reading) -> Drawing:
    where = files.where(name)
    inner = open_inner_zip(files.read(name), where)
    root = parse_xml(inner.read(OPEN_RASTER), inner.where(OPEN_RASTER))
    size = int(_number(root, "w", where)), int(_number(root, "h", where))
    elements = list(_visible(root))[::-1]  # the file begins with the uppermost
    reading.check_amount(size, len(elements), len(elements), where)
    masks = [_mask_of(element, inner, size, reading.bounds, where) for element in elements]
    reading.spend(len(masks) * size[0] * size[1], where)
    picture = no_picture
    if masks and masks[0].mask.all():
        picture = partial(inner.read, _source(elements[0]))
        elements, masks = elements[1:], masks[1:]
    _check_named([element for element, mask in zip(elements, masks, strict=True) if mask.mask.any()], where)
    layers = [
        Layer(check_text(element.get("name", ""), f"{where}: layer"), mask)
        for element, mask in zip(elements, masks, strict=True)
        if mask.mask.any()
    ]
    return Drawing(where, (name,), size, layers, picture)


def _check_named(elements: list[Element], where: str) -> None:
    """Each layer is called as its class. Counted from below, as one sees them in the list of layers."""
    nameless = [str(number) for number, element in enumerate(elements, 1) if not element.get("name", "").strip()]
    if nameless:
        message = f"{where}: layers without a name: {', '.join(nameless[:5])} of {len(elements)}, from below"
        raise GsegError(message, "name each layer after its class, such as hair, and save it again")


def _visible(root: Element) -> Iterator[Element]:
    """The layers, from the uppermost on. Broken files may hold more stacks in one another than Python calls."""
    left = list(root)[::-1]
    while left:
        element = left.pop()
        if element.get("visibility", "visible") != "visible":
            continue
        if element.tag == "layer":
            yield element
        elif element.tag == "stack":
            left += list(element)[::-1]


def _mask_of(element: Element, inner: Files, size: tuple[int, int], most: Bounds, where: str) -> Bitmap:
    """Of the size of the whole picture: layers may be smaller or larger."""
    source = _source(element)
    if source not in inner.readers:
        raise GsegError(f"{where}: layer {element.get('name')!r}: its picture is not in the file", HINT)
    image = decode_picture(inner.read(source), inner.where(source), most)
    mask: Mask = np.asarray(image.convert("RGBA"))[:, :, 3] > 127
    corner = int(_number(element, "x", where, "0")), int(_number(element, "y", where, "0"))
    return Bitmap(cover(Bitmap(mask, corner), size[1], size[0]))


def _source(element: Element) -> str:
    return element.get("src", "").lstrip("/")


def _number(element: Element, key: str, where: str, default: str | None = None) -> float:
    return check_number(element.get(key, default), f"{where}: {element.tag} {key}")
