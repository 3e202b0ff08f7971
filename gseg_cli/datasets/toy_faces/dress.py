"""Painters of what surrounds a toy face: backdrop, hair, clothes, hat and glasses."""

import numpy as np

from gseg_cli.datasets.toy_faces.canvas import Canvas, Field, Mask, Region
from gseg_cli.datasets.toy_faces.face import Face, clip_color
from gseg_cli.datasets.toy_faces.shapes import BACKGROUND, CLOTHES, HAIR, NECK, bump, side_light, turned


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
