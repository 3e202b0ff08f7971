"""Painters of the head of a toy face: neck, ears, skin, nose, mouth, eyes and brows."""

from math import copysign, sin

import numpy as np

from gseg_cli.datasets.toy_faces.canvas import Canvas, Field, Mask, Region
from gseg_cli.datasets.toy_faces.dress import shoulder_line
from gseg_cli.datasets.toy_faces.face import Face, clip_color
from gseg_cli.datasets.toy_faces.shapes import (
    BROWS,
    EARS,
    EYES,
    MOUTH,
    NECK,
    NOSE,
    SKIN,
    bump,
    side_light,
    turned,
)


def paint_neck(canvas: Canvas, face: Face) -> None:
    """Neck and chest; clothes cover most of the chest afterwards."""
    region, clothes, head = canvas.below(0.2), face.clothes, face.head
    # The neck follows the head's roll at its top and stands upright at its base.
    lean = -sin(face.pose.roll) * np.clip(0.8 - region.y, 0, 0.6)
    x = region.x - lean
    flare = 0.5 * np.square(np.maximum(region.y - 0.58, 0))
    where = np.abs(x) < clothes.neck_half_width + flare
    where |= region.y > shoulder_line(face, region)
    shade = side_light(face, x * 1.1, 0.2) * 0.93
    chin = np.square((region.u - 0.1 * face.pose.yaw) / (head.half_width * 0.95))
    chin = chin + np.square((region.v - 0.12) / head.chin)
    shade = shade * (1 - 0.3 * np.clip((1.15 - chin) / 0.3, 0, 1))
    region.paint(where, face.skin.color, NECK, shade=shade)


def paint_ear(canvas: Canvas, face: Face, side: int) -> None:
    head = face.head
    toward = -side * face.pose.yaw  # positive: this ear turns to the viewer
    centre = side * (head.half_width + 0.035 - 0.16 * abs(face.pose.yaw))
    half_width = head.ear_half_width * (1 + 0.9 * float(np.clip(toward, -0.6, 0.6)))
    half_height = head.ear_half_height
    region = canvas.region(centre - 0.15, head.ear_y - 0.2, centre + 0.15, head.ear_y + 0.2)
    x, y = (region.u - centre) / half_width, (region.v - head.ear_y) / half_height
    x = x + 0.25 * side * y  # ears lean outwards
    distance = x * x + y * y
    light = side_light(face, region.u * 0.9, region.v) * 0.95
    region.paint(distance < 1, face.skin.color, EARS, shade=light * (1 - 0.25 * np.clip(distance * 2 - 1, 0, 1)))
    hollow = np.square(x + 0.12 * side) * 2.6 + y * y * 2.6 < 1
    region.paint(hollow, face.skin.color * np.asarray((0.8, 0.68, 0.66), np.float32), EARS, shade=light)


def head_shape(face: Face, u: Field, v: Field) -> Field:
    """Below 1 inside the head. The jaw goes with the turn of the face."""
    head = face.head
    t = v / np.where(v < 0, np.float32(head.top), np.float32(head.chin))  # plain floats would make float64
    t2 = t * t
    down = np.where(v > 0, t2, np.float32(0))
    x = (u - 0.16 * face.pose.yaw * (0.4 + down)) / (head.half_width * (1 - head.taper * down))
    return x * x + t2 * (1 + head.jaw * down * (t2 - 1))


def paint_head(canvas: Canvas, face: Face) -> Mask:
    """Paint the bare head; returns where it is, for the features that the outline cuts off."""
    head, skin = face.head, face.skin
    region = canvas.region(-head.half_width - 0.15, -head.top - 0.02, head.half_width + 0.15, head.chin + 0.02)
    shape = head_shape(face, region.u, region.v)
    shade = side_light(face, region.u, region.v) * (1 - 0.16 * np.clip((shape - 0.75) * 4, 0, 1))
    region.paint(shape < 1, skin.color, SKIN, shade=shade)
    inside = np.zeros((canvas.size, canvas.size), np.bool_)
    inside[region.at] = shape < 1
    paint_complexion(canvas, face, inside)
    return inside


def paint_complexion(canvas: Canvas, face: Face, inside: Mask) -> None:
    for side in (-1, 1):
        x, width = turned(face, side * 0.27)
        region = canvas.region(x - 0.15, 0.03, x + 0.15, 0.33)
        spot = bump(np.hypot((region.u - x) / width, region.v - 0.18) / 0.15) * inside[region.at]
        region.darken(face.skin.blush * spot, (-0.1, 0.65, 0.55))
        eyes_x, width = turned(face, side * face.eyes.x)
        region = canvas.region(eyes_x - 0.2, face.eyes.y - 0.16, eyes_x + 0.2, face.eyes.y + 0.15)
        socket = bump((region.u - eyes_x) / (0.2 * width)) * bump((region.v - face.eyes.y + 0.01) / 0.15)
        region.darken(0.16 * socket * inside[region.at])
    for x, y in face.skin.freckles:
        u = turned(face, x)[0]
        region = canvas.region(u - 0.014, y - 0.014, u + 0.014, y + 0.014)
        spot = np.square(region.u - u) + np.square(region.v - y) < 0.012**2
        region.darken(np.float32(0.28) * (spot & inside[region.at]))
    if face.skin.stubble:
        paint_stubble(canvas, face, inside)


def paint_stubble(canvas: Canvas, face: Face, inside: Mask) -> None:
    centre = turned(face, 0.0)[0]
    region = canvas.region(-0.7, 0.1, 0.7, 0.7)
    beard = np.square((region.u - centre) / 0.62) + np.square((region.v - 0.05) / 0.2)
    fade = np.clip((beard - 0.9) * 0.8, 0, 1) * np.clip((region.v - 0.12) / 0.14, 0, 1)
    region.darken(np.float32(face.skin.stubble) * fade * inside[region.at], (1.0, 0.95, 0.85))


def paint_nose(canvas: Canvas, face: Face) -> None:
    nose = face.nose
    top_x = turned(face, 0.0)[0]
    tip_x = turned(face, 0.0, depth=0.13)[0]
    region = canvas.region(min(top_x, tip_x) - 0.2, nose.top - 0.02, max(top_x, tip_x) + 0.2, nose.bottom + 0.02)
    t = np.clip((region.v - nose.top) / (nose.bottom - nose.top), 0, 1)  # 0 at the bridge, 1 at the base
    centre = top_x + (tip_x - top_x) * t
    # Narrow down to the middle, then out to the wings, and round at the base.
    wings = bump((t - 0.8) / 0.42)
    half = nose.bridge + (nose.wings - nose.bridge) * np.maximum(0.35 * t, wings)
    half = half * np.sqrt(np.clip((1 - t) / 0.14, 0, 1)) * np.sqrt(np.clip(t / 0.05, 0, 1))
    x = (region.u - centre) / np.maximum(half, 1e-3)
    where = np.abs(region.u - centre) < half
    region.paint(where, face.skin.color, NOSE, shade=nose_shade(face, x, t, region))
    for side in (-1, 1):
        nostril_x = tip_x + side * 0.5 * nose.wings
        hole = np.square((region.u - nostril_x) / 0.036) + np.square((region.v - nose.bottom + 0.045) / 0.024) < 1
        region.paint(hole & where, face.skin.color * np.asarray((0.42, 0.34, 0.34), np.float32), NOSE)


def nose_shade(face: Face, x: Field, t: Field, region: Region) -> Field:
    """A lit ridge, a dark far side, a shaded base and a soft outline: the nose must be visible, not only labelled."""
    side = min(max(face.light.x * 3, -1), 1) * x
    ridge = 0.10 * bump((x - 0.12 * copysign(1, face.light.x)) / 0.55)
    flank = 0.12 * side - 0.17 * np.clip(np.abs(x) * 2 - 0.9, 0, 1)
    base = 0.20 * np.clip((t - 0.78) / 0.22, 0, 1)
    return side_light(face, region.u, region.v) * (1 + face.nose.contrast * (ridge + flank - base + 0.02))


def paint_mouth(canvas: Canvas, face: Face, inside: Mask) -> None:
    mouth = face.mouth
    centre, narrow = turned(face, 0.0, depth=0.03)
    half = mouth.half_width * narrow
    reach = mouth.opening + 0.14
    region = canvas.region(centre - half, mouth.y - reach, centre + half, mouth.y + reach)
    t = (region.u - centre) / half
    t2 = t * t
    arch = np.maximum(1 - t2, 0)
    y = region.v - mouth.y + mouth.smile * t2 - mouth.smile * 0.4
    bow = 1 - mouth.bow * bump(t / 0.35)
    gap = mouth.opening * arch
    where = (y > -mouth.upper * arch * bow - gap) & (y < mouth.lower * arch + gap) & inside[region.at]
    light = side_light(face, region.u, region.v)
    upper = np.where(y < 0, np.float32(0.82), np.float32(1.04)) * (1 - 0.12 * t2)
    region.paint(where, mouth.color, MOUTH, shade=light * upper)
    if mouth.opening:
        paint_open_mouth(face, region, where & (np.abs(y) < gap), y / mouth.opening)
    else:
        region.paint(where & (np.abs(y) < 0.011), mouth.color * 0.42, MOUTH)
    shadow = bump((y - mouth.lower - mouth.opening - 0.035) / 0.04) * arch
    region.darken(0.14 * shadow * ~where)


def paint_open_mouth(face: Face, region: Region, where: Mask, height: Field) -> None:
    """height: -1 at the upper lip, 1 at the lower."""
    mouth = face.mouth
    region.paint(where, (0.28, 0.07, 0.09), MOUTH)
    region.paint(where & (height > 1 - 0.7 * mouth.tongue), (0.72, 0.32, 0.34), MOUTH)
    region.paint(where & (height < -1 + mouth.teeth), (0.95, 0.93, 0.9), MOUTH)


def paint_eye(canvas: Canvas, face: Face, side: int, inside: Mask) -> None:
    eyes = face.eyes
    centre, narrow = turned(face, side * eyes.x)
    half = eyes.half_width * narrow
    region = canvas.region(centre - half, eyes.y - 0.15, centre + half, eyes.y + 0.13)
    t = (region.u - centre) / half
    arch = np.maximum(1 - t * t, 0)
    y = region.v - eyes.y + eyes.slant * side * (region.u - centre)
    above, below = -eyes.upper * np.sqrt(arch), eyes.lower * arch
    lid = bump((y + eyes.upper + 0.035) / 0.022) * arch * inside[region.at]
    region.darken(0.22 * lid)
    where = (y > above) & (y < below) & inside[region.at]
    shadow = 1 - 0.35 * np.clip(1 - (y - above) / 0.05, 0, 1)
    region.paint(where, (eyes.sclera, eyes.sclera * 0.985, eyes.sclera * 0.97), EYES, shade=shadow)
    x, h = (region.u - centre - eyes.gaze_x) / narrow, y - eyes.gaze_y
    distance = np.sqrt(x * x + h * h) / eyes.iris_radius
    region.paint(where & (distance < 1), eyes.iris, EYES, shade=(1.15 - 0.5 * np.square(distance)) * shadow)
    region.paint(where & (distance < 0.48), (0.05, 0.04, 0.05), EYES)
    glint = np.square(x - 0.02 * copysign(1, face.light.x)) + np.square(h + 0.022) < 0.014**2
    region.paint(where & glint, (0.98, 0.98, 0.98), EYES)
    region.paint(where & (y < above + 0.02), clip_color(face.skin.color * 0.22), EYES)


def paint_brow(canvas: Canvas, face: Face, side: int, inside: Mask) -> None:
    brows = face.brows
    centre, narrow = turned(face, side * face.eyes.x * 1.03)
    half = brows.half_width * narrow
    region = canvas.region(centre - half, brows.y - 0.15, centre + half, brows.y + 0.15)
    t = (region.u - centre) / half * side  # -1 at the nose, 1 at the temple
    middle = brows.y - brows.slant * side * (region.u - centre) + brows.arch * (t * t - 0.35)
    thick = brows.half_thickness * np.sqrt(np.clip(1 - t * t, 0, 1)) * (1.05 - 0.25 * t)
    y = (region.v - middle) / np.maximum(thick, 1e-3)
    where = (np.abs(y) < 1) & (np.abs(t) < 1) & inside[region.at]
    region.paint(where, brows.color, BROWS, shade=0.95 + 0.12 * np.abs(y))
