"""What the painters of a toy face share: class indices, the turn of the head, and how light falls on it."""

import numpy as np

from gseg_cli.datasets.toy_faces.canvas import Field
from gseg_cli.datasets.toy_faces.face import Face

BACKGROUND, SKIN, EYES, BROWS, NOSE, MOUTH, EARS, HAIR, NECK, CLOTHES = range(10)


def turned(face: Face, x: float, *, depth: float = 0.0) -> tuple[float, float]:
    """Where a point of the face at `x` stands after the head's turn, and how much narrower things are there.

    The features lie on a cylinder somewhat wider than the head; depth is the height above it, for the nose.
    """
    radius = 0.62
    angle = np.arcsin(x / radius)
    turn = 0.8 * face.pose.yaw
    moved = (radius + depth) * np.sin(angle + turn)
    return float(moved), float(np.cos(angle + turn) / np.cos(angle))


def bump(t: Field) -> Field:
    """1 at 0, smoothly 0 from |t| = 1 on: a cheap Gaussian."""
    return np.square(np.maximum(1 - np.square(t), 0))


def side_light(face: Face, u: Field, v: Field | float) -> Field:
    """Brightness of a roundish head at (u, v)."""
    light = face.light
    nx, ny = u / face.head.half_width, v / face.head.top
    round_off = np.square(nx * nx + 0.6 * ny * ny)
    return np.clip(1.02 + light.strength * (light.x * nx + 0.5 * light.y * ny) - 0.1 * round_off, 0.45, 1.25)
