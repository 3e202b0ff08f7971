"""Predicted label maps as labelling programs read them, to be corrected there: polygons, painted in order."""

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from gseg_cli.annotate.shapes import Points


@dataclass(frozen=True, eq=False)
class Prelabelled:
    """picture: the file that is drawn on; size: (width, height) of it; shapes: names and rings [N, 2], in pixels."""

    picture: Path
    size: tuple[int, int]
    shapes: Sequence[tuple[str, Points]]


def for_labelme(drawn: Prelabelled, folder: Path) -> str:
    """The JSON that labelme looks for in the `folder` that it is to write to."""
    blank: dict[str, Any] = {"group_id": None, "description": "", "shape_type": "polygon", "flags": {}, "mask": None}
    content: dict[str, Any] = {
        "version": "6.3.1",  # corners are places in the picture, not pixels
        "flags": {},
        "shapes": [{"label": name, "points": ring.tolist(), **blank} for name, ring in drawn.shapes],
        "imagePath": Path(os.path.relpath(drawn.picture, folder)).as_posix(),
        "imageData": None,
        "imageHeight": drawn.size[1],
        "imageWidth": drawn.size[0],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def for_cvat(drawn: Sequence[Prelabelled]) -> str:
    """CVAT for images 1.1."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    labels = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")  # Datumaro asks for them, CVAT does not
    for name in dict.fromkeys(name for picture in drawn for name, _ in picture.shapes):
        SubElement(SubElement(labels, "label"), "name").text = name
    for number, picture in enumerate(drawn):
        width, height = map(str, picture.size)
        image = SubElement(root, "image", id=str(number), name=picture.picture.name, width=width, height=height)
        for order, (name, ring) in enumerate(picture.shapes):
            points = ";".join(f"{x:g},{y:g}" for x, y in ring)
            SubElement(image, "polygon", label=name, source="auto", occluded="0", points=points, z_order=str(order))
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def for_label_studio(drawn: Sequence[Prelabelled]) -> str:
    """Tasks that hold their pictures, so that there is nothing to upload beside them."""
    return json.dumps([_task(picture) for picture in drawn], ensure_ascii=False) + "\n"


def _task(drawn: Prelabelled) -> dict[str, Any]:
    picture = base64.b64encode(drawn.picture.read_bytes()).decode()
    data = {"image": f"data:image/png;base64,{picture}", "name": drawn.picture.name}
    result = [_region(f"gseg{order}", name, ring, drawn.size) for order, (name, ring) in enumerate(drawn.shapes)]
    return {"data": data, "predictions": [{"model_version": "gseg", "result": result}]}


def _region(identity: str, name: str, ring: Points, size: tuple[int, int]) -> dict[str, Any]:
    """As the polygons of `label_set`'s interface."""
    value = {"points": (ring / size * 100).tolist(), "closed": True, "polygonlabels": [name]}
    tags = {"from_name": "polygon", "to_name": "image", "type": "polygonlabels"}
    return {"id": identity, **tags, "original_width": size[0], "original_height": size[1], "image_rotation": 0,
            "value": value}  # fmt: skip
