"""Makes pixel_shapes.json: shapes as labelme 5.11 and Supervisely fill them themselves.

    pip install labelme==5.11.0 opencv-python-headless==5.0.0.93
    python tests/annotate/data/make_pixel_shapes.py

Supervisely's SDK fills polygons with two calls of OpenCV, and rectangles with one; they are repeated here.
"""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
from labelme.utils import shape_to_mask

SIZE = 64
SHAPES = [
    ("polygon", [[0, 40], [63, 40], [63, 63], [0, 63]]),
    ("polygon", [[8.7, 9.2], [50.4, 3.9], [61.8, 33.3], [40.1, 30.6], [12.9, 60.5]]),
    ("polygon", [[30.5, 2.5], [33.5, 62.5], [31.0, 62.9]]),
    ("rectangle", [[10.6, 20.4], [62.9, 63.0]]),
    ("circle", [[32, 32], [32, 42]]),
    ("circle", [[20.4, 40.7], [33.1, 30.2]]),
]
RINGS = [
    [[[2, 3], [60, 5], [63, 63], [0, 50]], [[20, 20], [40, 20], [40, 40], [20, 40]]],
    [[[10, 10], [31, 0], [63, 30], [30, 63]]],
]


def packed(mask: np.ndarray) -> str:
    return base64.b64encode(np.packbits(mask)).decode()


def filled(rings: list[list[list[int]]]) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(mask, pts=[np.array(rings[0], np.int32)], color=1)
    cv2.fillPoly(mask, pts=[np.array(ring, np.int32) for ring in rings[1:]], color=0)
    return mask > 0


def boxed(low: tuple[int, int], high: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.rectangle(mask, pt1=low, pt2=high, color=1, thickness=cv2.FILLED)
    return mask > 0


def main() -> None:
    labelme = [[kind, points, packed(shape_to_mask((SIZE, SIZE), points, kind))] for kind, points in SHAPES]
    supervisely = [["polygon", rings, packed(filled(rings))] for rings in RINGS]
    supervisely.append(["rectangle", [[[10, 20], [63, 40]]], packed(boxed((10, 20), (63, 40)))])
    path = Path(__file__).parent / "pixel_shapes.json"
    path.write_text(json.dumps({"labelme": labelme, "supervisely": supervisely}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
