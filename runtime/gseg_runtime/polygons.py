"""Polygons of a photo as labelme's JSON, to be corrected, and as YOLO's text, to train on.

Neither knows holes. labelme paints later shapes over earlier ones, so a shape there is filled, and what lies in it
comes after it: an edge between two parts is drawn once. A line of YOLO stands alone, so its holes are tied to the
outline by lines of no width.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gseg_runtime.class_map import ClassMap
from gseg_runtime.outlines import Outline, Points

YOLO_TABLE = Path("yolo", "data.yaml")
# How our files are told from others', and from ours that were changed: no program writes them so.
LABELME_SIGN = b'{"made_by": "gseg segment", '
_JSON_END = b"\n}"  # as labelme's, and nowhere else in it
YOLO_SIGN, YAML_SIGN = " ", b"# Written by gseg segment."


def labelme_json(outlines: Sequence[Outline], classes: ClassMap, size: tuple[int, int], picture: str) -> bytes:
    """size: (height, width) of the photo; picture: its path from the folder that the file will be in.

    Background is drawn only where it lies in something else.
    """
    drawn = [outline for outline in outlines if outline.label or outline.is_inside]
    drawn.sort(key=lambda outline: outline.filled_area, reverse=True)
    content: dict[str, Any] = {
        "version": "6.0.0",  # from here on labelme's corners lie between pixels
        "flags": {},
        "shapes": [_shape(outline, classes) for outline in drawn],
        "imagePath": picture,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }
    return LABELME_SIGN + json.dumps(content).encode()[1:-1] + _JSON_END


def _shape(outline: Outline, classes: ClassMap) -> dict[str, Any]:
    return {
        "label": classes.names[outline.label],
        "points": outline.rings[0].round(2).tolist(),
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }


def yolo_text(outlines: Sequence[Outline], size: tuple[int, int]) -> bytes:
    """A line for each part: the class, counted without the background, and its corners as shares of width and height.

    size: (height, width) of the photo.
    """
    lines = [
        f"{outline.label - 1} " + " ".join(f"{share:.6f}" for share in (_tied(outline.rings) / size[::-1]).ravel())
        for outline in outlines
        if outline.label
    ]
    return "".join(YOLO_SIGN + line + "\n" for line in lines or [""]).encode()


def yolo_table(classes: ClassMap) -> str:
    """data.yaml, as Ultralytics reads it."""
    # YAML takes the two \u escapes that JSON has for one emoji for two letters.
    names = "".join(
        f"  {index}: {json.dumps(name, ensure_ascii=False)}\n" for index, name in enumerate(classes.names[1:])
    )
    about = "Put the photos, or a link to them, beside labels/ as images/."
    return f"{YAML_SIGN.decode()} {about}\ntrain: images\nval: images\nnames:\n{names}"


def _tied(rings: Sequence[Points]) -> Points:
    """One ring of all, which goes from its nearest corner to each hole, around it, and back."""
    path = rings[0]
    for hole in rings[1:]:
        distances = np.abs(path[:, None] - hole).sum(axis=2)
        here, there = np.unravel_index(int(distances.argmin()), distances.shape)
        path = np.concatenate([path[: here + 1], hole[there:], hole[: there + 1], path[here:]])
    return path


def is_gseg_labelme(path: Path) -> bool:
    """Whether it is as it was written here; labelme itself writes other first lines."""
    with path.open("rb") as file:
        return file.read(len(LABELME_SIGN)) == LABELME_SIGN


def is_gseg_yolo(path: Path) -> bool:
    lines = path.read_bytes().splitlines(keepends=True)
    return bool(lines) and all(line.startswith(YOLO_SIGN.encode()) for line in lines)


def is_cut_labelme(path: Path) -> bool:
    """Whether it is the beginning of what was written here: what anybody else saved is no cut-off file."""
    data = path.read_bytes()
    return data[: len(LABELME_SIGN)] == LABELME_SIGN[: len(data)] and not data.endswith(_JSON_END)


def is_cut_yolo(path: Path) -> bool:
    """As `is_cut_labelme`. An empty file is whole: so YOLO says that there is no object."""
    data = path.read_bytes()
    return data.startswith(YOLO_SIGN.encode()) and not data.endswith(b"\n")


def is_gseg_yaml(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(YAML_SIGN)) == YAML_SIGN


def path_from(folder: Path, photo: Path) -> str:
    """The way from a folder, which may not be there yet, to a photo; links in the folder's path are followed first."""
    return os.path.relpath(Path(os.path.realpath(photo.parent), photo.name), os.path.realpath(folder))
