"""A toy face from its parts, in the order in which they hide each other: from backdrop to glasses."""

from gseg_cli.datasets.toy_faces.canvas import Canvas
from gseg_cli.datasets.toy_faces.dress import HairOutline, paint_background, paint_clothes, paint_glasses, paint_hat
from gseg_cli.datasets.toy_faces.face import Face
from gseg_cli.datasets.toy_faces.features import (
    paint_brow,
    paint_ear,
    paint_eye,
    paint_head,
    paint_mouth,
    paint_neck,
    paint_nose,
)


def paint_face(canvas: Canvas, face: Face) -> None:
    """Paint the whole portrait, back to front."""
    paint_background(canvas, face)
    outline = HairOutline(canvas, face)
    if face.hair.has_sides:
        outline.paint_back()
    paint_neck(canvas, face)
    paint_clothes(canvas, face)
    far = 1 if face.pose.yaw > 0 else -1
    if not face.hair.over_ears:
        paint_ear(canvas, face, far)
    inside = paint_head(canvas, face)
    paint_nose(canvas, face)
    paint_mouth(canvas, face, inside)
    for side in (-1, 1):
        paint_eye(canvas, face, side, inside)
        paint_brow(canvas, face, side, inside)
    if face.hair.has_sides:
        outline.paint_front(inside)
    if not face.hair.over_ears:
        paint_ear(canvas, face, -far)
    if face.hat is not None:
        paint_hat(canvas, face)
    if face.glasses is not None:
        paint_glasses(canvas, face)
