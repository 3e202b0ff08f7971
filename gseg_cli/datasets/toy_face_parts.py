"""Painters of a toy face, one per part, in the order in which `paint_face` calls them: from backdrop to glasses."""

from math import copysign, sin

import numpy as np

from gseg_cli.datasets.toy_face_canvas import Canvas, Field, Mask, Region
from gseg_cli.datasets.toy_face_params import Face, clip_color

BACKGROUND, SKIN, EYES, BROWS, NOSE, MOUTH, EARS, HAIR, NECK, CLOTHES = range(10)


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


def paint_background(canvas: Canvas, face: Face) -> None:
    back = face.background
    for channel, grid in zip(canvas.rgb, back.grid, strict=True):
        channel[...] = canvas.noise(grid)
    row, column = canvas.axis[None, :], canvas.axis[:, None]
    factor = 1 - back.vignette * 0.5 * (row * row + column * column)
    if back.stripes:
        wave = 2 * np.pi / back.stripe_period
        phase = wave * (np.cos(back.stripe_angle) * row + np.sin(back.stripe_angle) * column) + back.stripe_phase
        factor = factor * (1 + back.stripes * np.sin(phase.astype(np.float32)))
    canvas.rgb *= factor.astype(np.float32)


class HairOutline:
    """The outer shape of the hair, used twice: behind neck and clothes, and in front of the head."""

    def __init__(self, canvas: Canvas, face: Face) -> None:
        self.face, self.hair = face, face.hair
        hair, head = face.hair, face.head
        reach = head.half_width + hair.pad_side + 0.4
        self.region = canvas.region(-reach, -head.top - hair.pad_top - 0.12, reach, hair.length + 0.12)
        self.noise_u, self.noise_v = (canvas.noise(grid, self.region.at) * hair.curl for grid in hair.outline_noise)
        self.strands = canvas.noise(hair.strands, self.region.at)
        self.outer = self._outer()

    def _outer(self) -> Field:
        """Below 1 inside the hair; grows outwards."""
        head, hair = self.face.head, self.hair
        u = self.region.u + self.noise_u + 0.10 * self.face.pose.yaw  # the back of the head turns the other way
        v = self.region.v + self.noise_v
        down = np.maximum(v, 0)
        half_width = head.half_width + hair.pad_side + 0.1 * abs(self.face.pose.yaw)
        width = np.maximum(half_width * (1 + hair.flare * down), 0.1)
        up = np.minimum(v, 0) / (head.top + hair.pad_top if hair.has_cap else 0.4)
        return np.square(u / width) + up * up + np.square(np.square(down / hair.length))

    def shade(self, depth: float) -> Field:
        texture = 1 + 0.20 * self.strands - 0.22 * np.square(self.outer)
        band = self.hair.shine * bump((self.region.v + 0.48 + 0.3 * np.square(self.region.u)) / 0.16)
        light = 0.8 * side_light(self.face, self.region.u * 0.8, self.region.v * 0.7) + 0.25
        return np.maximum((texture + band * (1 + self.strands)) * light * depth, 0.2)

    def paint_back(self) -> None:
        self.region.paint(self.outer < 1, self.hair.color, HAIR, shade=self.shade(0.72))

    def paint_front(self, inside: Mask) -> None:
        region, hair = self.region, self.hair
        where = (self.outer < 1) & (region.v + 2 * self.noise_v < hair.side_end)
        if hair.over_ears and not hair.locks_before_clothes:
            where &= region.labels != CLOTHES
            where &= region.labels != NECK
        self._cast_shadow(where, inside[region.at])
        where &= ~self._opening(0.0)
        region.paint(where, hair.color, HAIR, shade=self.shade(1.0))

    def _cast_shadow(self, where: Mask, inside: Mask) -> None:
        near = where & inside & ~self._opening(0.035)
        self.region.darken(near * np.float32(0.16))

    def _opening(self, margin: float) -> Mask:
        """The free face: below the hairline and between the side hair. margin shrinks it."""
        region, hair, head = self.region, self.hair, self.face.head
        centre = turned(self.face, 0.0)[0] * 0.75
        across = (region.u - centre) / head.half_width
        part = hair.part_x + centre
        line = hair.hairline + margin + hair.sweep * 0.25 * across - hair.parting * bump((region.u - part) / 0.3)
        if hair.recede:
            line = line - hair.recede * (0.4 + 0.6 * bump((np.abs(across) - 0.55) / 0.4))
        sides = np.square(across / (hair.opening - margin))
        up = np.minimum(region.v, 0) / 0.62
        noisy = region.v + 0.8 * self.noise_v
        # Under the ears the locks hang straight, so that a wide chin stays free.
        return (noisy > line) & (sides + np.square(np.square(up)) < 1)


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


def shoulder_line(face: Face, region: Region) -> Field:
    clothes = face.clothes
    distance = np.maximum(np.abs(region.x) - 0.2, 0)
    return clothes.shoulder_y + clothes.slope * distance * (0.35 + 0.9 * distance)


def neck_cut(face: Face, region: Region) -> Mask:
    """Where the clothes leave the chest free."""
    clothes = face.clothes
    x, y = region.x / clothes.cut_width, region.y - clothes.shoulder_y
    if clothes.neckline in ("v", "shirt"):
        return y < (clothes.depth + 0.08) * (1 - np.abs(x))
    if clothes.neckline == "wide":
        return y < (0.4 * clothes.depth + 0.03) * (1 - np.square(np.square(x * 0.7)))
    if clothes.neckline == "turtle":
        return y < -0.09 + 0.02 * x * x
    return y < (0.6 * clothes.depth + 0.03) * (1 - x * x)


def paint_clothes(canvas: Canvas, face: Face) -> None:
    clothes = face.clothes
    region = canvas.below(clothes.shoulder_y - 0.12)
    line, cut = shoulder_line(face, region), neck_cut(face, region)
    where = (region.y > line) & ~cut
    if clothes.neckline == "turtle":
        where |= (np.abs(region.x) < clothes.neck_half_width + 0.03) & ~cut
    shade = (1 + 0.7 * face.light.strength * face.light.x * region.x) * (1.05 - 0.25 * np.abs(region.x))
    shade = shade * (1 - 0.25 * bump((region.y - line) / 0.05))
    region.paint(where, clothes.color, CLOTHES, shade=shade)
    region.paint(where & pattern(face, region), clothes.second, CLOTHES, shade=shade)
    if clothes.neckline == "shirt":
        collar = where & (np.abs(region.x) < clothes.cut_width + 0.05)
        collar &= region.y < clothes.shoulder_y + 0.12 + 0.25 * np.abs(region.x) - 0.1 * clothes.depth
        region.paint(collar, clip_color(clothes.color * 0.4 + 0.55), CLOTHES, shade=shade)


def pattern(face: Face, region: Region) -> Mask:
    clothes = face.clothes
    if clothes.pattern == "stripes":
        return np.mod(region.y + 0 * region.x, clothes.period) < clothes.period * 0.4
    if clothes.pattern == "bars":
        return np.mod(region.x + 0 * region.y + 5, clothes.period) < clothes.period * 0.35
    if clothes.pattern == "yoke":
        return region.y - 0.12 > clothes.shoulder_y + 0 * region.x
    return np.zeros(region.labels.shape, np.bool_)


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


def paint_hat(canvas: Canvas, face: Face) -> None:
    """Hats belong to the background class, as in the paper's protocol."""
    hat, head = face.hat, face.head
    assert hat is not None
    bulk = max(face.hair.pad_side, face.hair.pad_top, 0.02) + 0.7 * face.hair.curl
    half_width = head.half_width + bulk + 0.03
    top = head.top + max(hat.height, bulk + 0.06)
    region = canvas.region(-1.1, -top - 0.05, 1.1, hat.line + 0.3)
    u, v = region.u + 0.06 * face.pose.yaw, region.v + hat.tilt * region.u
    line = hat.line + 0.06 * np.square(u / half_width)
    up = np.minimum(v - hat.line, 0) / (top + hat.line)
    square = np.square(up * up) if hat.kind == "brim" else up * up
    crown = (np.square(u / half_width) + square < 1) & (v < line)
    shade = side_light(face, region.u * 0.9, region.v * 0.6)
    region.paint(crown, hat.color, BACKGROUND, shade=shade)
    region.paint(crown & (v > line - 0.1), hat.band, BACKGROUND, shade=shade)
    if hat.kind == "brim":
        brim = np.square(u / hat.brim) + np.square((v - line + 0.02) / 0.055) < 1
        region.paint(brim, hat.color * 0.88, BACKGROUND, shade=shade)
    if hat.kind == "cap":
        x = u - turned(face, 0.0)[0] * 0.8
        visor = np.square(x / (half_width * 0.8)) + np.square((v - line + 0.01) / 0.075) < 1
        region.paint(visor, hat.band * 0.9, BACKGROUND, shade=shade)


def paint_glasses(canvas: Canvas, face: Face) -> None:
    """Frames belong to the background class; the lenses are clear."""
    glasses, eyes = face.glasses, face.eyes
    assert glasses is not None
    region = canvas.region(-0.65, eyes.y - 0.25, 0.65, eyes.y + 0.25)
    v = region.v - eyes.y - 0.01
    frame = np.zeros(region.labels.shape, np.bool_)
    bridge = []
    rim = glasses.thickness / glasses.half_width
    for side in (-1, 1):
        centre, narrow = turned(face, side * eyes.x, depth=0.02)
        half_width = glasses.half_width * narrow
        x, y = (region.u - centre) / half_width, v / glasses.half_height
        inside = lens(x / (1 - rim), y / (1 - 1.25 * rim), glasses.roundness) < 1
        frame |= (lens(x, y, glasses.roundness) < 1) & ~inside
        bridge.append(centre - side * half_width)
        # The temple goes from the rim to the ear, unless the turn of the head hides it.
        hinge, ear = centre + side * half_width, side * (face.head.half_width + 0.02)
        if (ear - hinge) * side > 0:
            frame |= bar(region.u, v + 0.04, hinge, ear)
    frame |= bar(region.u, v + 0.03, *bridge)
    region.paint(frame, glasses.color, BACKGROUND)


def bar(u: Field, v: Field, start: float, end: float) -> Mask:
    """A thin horizontal bar along v = 0."""
    return (u > min(start, end)) & (u < max(start, end)) & (np.abs(v) < 0.02)


def lens(x: Field, y: Field, roundness: float) -> Field:
    x2, y2 = x * x, y * y
    return roundness * (x2 + y2) + (1 - roundness) * (np.square(x2) + np.square(y2))
