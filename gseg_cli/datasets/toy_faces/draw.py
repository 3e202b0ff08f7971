"""All numbers of a toy face, drawn from one seed."""

from collections.abc import Sequence
from math import radians

import numpy as np

from gseg_cli.datasets.toy_faces.face import (
    Background,
    Brows,
    Clothes,
    Color,
    Eyes,
    Face,
    Glasses,
    Grid,
    Hair,
    Hat,
    Head,
    Light,
    Mouth,
    Nose,
    Pose,
    Skin,
    clip_color,
)

SKIN_TONES = ((255, 228, 208), (246, 205, 174), (226, 172, 130), (186, 128, 88), (128, 84, 58), (84, 54, 42))
HAIR_TONES = ((22, 18, 20), (52, 34, 26), (98, 62, 38), (150, 102, 58), (206, 166, 98), (236, 212, 154))
RED_TONES = ((110, 42, 22), (196, 92, 38))
GREY_TONES = ((112, 110, 112), (234, 232, 228))
DYED_TONES = ((196, 60, 120), (58, 92, 190), (50, 150, 130), (130, 70, 180))
EYE_TONES = ((52, 32, 22), (110, 70, 36), (104, 122, 64), (74, 128, 168), (120, 146, 158))


class Draw:
    """One face's random numbers, with the few distributions that the parameters use."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def normal(self, mean: float, sd: float, *, limit: float = 2.2) -> float:
        return mean + sd * float(np.clip(self.rng.standard_normal(), -limit, limit))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, names: Sequence[str]) -> str:
        return names[int(self.rng.integers(len(names)))]

    def tone(self, tones: Sequence[tuple[int, int, int]], *, jitter: float = 0.02) -> Color:
        """A colour on the path through `tones`, with a little jitter."""
        where = self.rng.uniform(0, len(tones) - 1)
        path = np.asarray(tones, np.float32) / 255
        color = [np.interp(where, range(len(tones)), path[:, channel]) for channel in range(3)]
        return clip_color(np.asarray(color) + self.rng.normal(0, jitter, 3))

    def any_color(self, low: float, high: float, *, chroma: float = 0.12) -> Color:
        """A grey between low and high with a random tint."""
        return clip_color(self.rng.uniform(low, high) + self.rng.normal(0, chroma, 3))

    def grid(self, height: int, width: int) -> Grid:
        return self.rng.uniform(-1, 1, (height, width)).astype(np.float32)


def luminance(color: Color) -> float:
    return float(color @ np.asarray((0.3, 0.59, 0.11), np.float32))


def draw_face(seed: int) -> Face:
    """All parameters of the face with this seed (0 or greater)."""
    draw = Draw(seed)
    pose = draw_pose(draw)
    light = Light(draw.normal(0, 0.6, limit=1.8), draw.between(-0.7, -0.1), draw.between(0.16, 0.34))
    head = draw_head(draw)
    skin = draw_skin(draw)
    eyes = draw_eyes(draw, head)
    hair = draw_hair(draw, head, skin)
    return Face(
        seed=seed,
        pose=pose,
        light=light,
        head=head,
        skin=skin,
        eyes=eyes,
        brows=draw_brows(draw, eyes, hair, skin),
        nose=draw_nose(draw),
        mouth=draw_mouth(draw, skin),
        hair=hair,
        clothes=draw_clothes(draw),
        glasses=draw_glasses(draw, skin) if draw.chance(0.12) else None,
        hat=draw_hat(draw) if draw.chance(0.10) else None,
        background=draw_background(draw, hair, skin),
        noise=draw.between(0.004, 0.012),
    )


def draw_pose(draw: Draw) -> Pose:
    return Pose(
        scale=draw.normal(1.0, 0.06),
        shift_x=draw.normal(0.0, 0.04),
        shift_y=draw.normal(-0.09, 0.035),
        roll=radians(draw.normal(0, 6)),
        yaw=radians(draw.normal(0, 11, limit=2.0)),
    )


def draw_head(draw: Draw) -> Head:
    return Head(
        half_width=draw.normal(0.485, 0.022),
        top=draw.normal(0.62, 0.02),
        chin=draw.normal(0.61, 0.025),
        jaw=draw.between(0.3, 0.95),
        taper=draw.between(0.02, 0.18),
        ear_half_height=draw.normal(0.125, 0.013),
        ear_half_width=draw.normal(0.068, 0.01),
        ear_y=draw.normal(0.04, 0.02),
    )


def draw_skin(draw: Draw) -> Skin:
    color = draw.tone(SKIN_TONES, jitter=0.015)
    count = int(draw.rng.integers(6, 15)) if draw.chance(0.15) else 0
    freckles = tuple((draw.normal(0, 0.2), draw.normal(0.12, 0.05)) for _ in range(count))
    stubble = draw.between(0.06, 0.2) if draw.chance(0.15) else 0.0
    return Skin(color, draw.between(0, 0.3), freckles, stubble)


def draw_eyes(draw: Draw, head: Head) -> Eyes:
    openness = draw.normal(1.0, 0.16)
    return Eyes(
        x=draw.normal(0.45, 0.018) * head.half_width,
        y=draw.normal(-0.045, 0.015),
        half_width=draw.normal(0.133, 0.009),
        upper=0.075 * openness,
        lower=draw.normal(0.05, 0.008) * (0.5 + 0.5 * openness),
        slant=draw.normal(0.03, 0.06),
        iris=draw.tone(EYE_TONES),
        iris_radius=draw.normal(0.06, 0.005),
        gaze_x=draw.normal(0, 0.017),
        gaze_y=draw.normal(-0.006, 0.008),
        sclera=draw.between(0.9, 0.98),
    )


def draw_brows(draw: Draw, eyes: Eyes, hair: Hair, skin: Skin) -> Brows:
    color = hair.color * draw.between(0.5, 0.8)
    # Fair brows on fair skin, and black ones on dark skin, would be labels that nobody can see.
    if abs(luminance(color) - luminance(skin.color)) < 0.22:
        color = skin.color * 0.45 if luminance(skin.color) > 0.33 else skin.color * 0.2
    return Brows(
        y=eyes.y - draw.normal(0.162, 0.014),
        half_width=draw.normal(0.155, 0.012),
        half_thickness=draw.normal(0.035, 0.006),
        slant=draw.normal(-0.07, 0.1),
        arch=draw.between(0.03, 0.08),
        color=clip_color(color),
    )


def draw_nose(draw: Draw) -> Nose:
    return Nose(
        top=draw.normal(-0.10, 0.015),
        bottom=draw.normal(0.215, 0.018),
        bridge=draw.normal(0.048, 0.006),
        wings=draw.normal(0.122, 0.012),
        contrast=draw.between(0.8, 1.2),
    )


def draw_mouth(draw: Draw, skin: Skin) -> Mouth:
    is_open = draw.chance(0.4)
    lips = np.asarray((0.78, 0.30, 0.32)) * draw.between(0.75, 1.1) + draw.rng.normal(0, 0.03, 3)
    amount = draw.between(0.62, 1.0)
    return Mouth(
        y=draw.normal(0.375, 0.018),
        half_width=draw.normal(0.215, 0.02),
        upper=draw.normal(0.05, 0.007),
        lower=draw.normal(0.066, 0.009),
        smile=draw.normal(0.055, 0.035),
        opening=draw.between(0.025, 0.08) if is_open else 0.0,
        bow=draw.between(0.1, 0.5),
        color=clip_color(amount * lips + (1 - amount) * skin.color * (0.86, 0.6, 0.6)),
        teeth=draw.between(0.3, 1.1),
        tongue=draw.between(0.0, 0.8),
    )


def draw_hair_color(draw: Draw, skin: Skin) -> Color:
    """A natural or, rarely, dyed colour; black where it could not be told from the skin."""
    color = draw_any_hair_color(draw)
    return clip_color(color * 0.35) if np.linalg.norm(color - skin.color) < 0.26 else color


def draw_any_hair_color(draw: Draw) -> Color:
    kind = draw.rng.random()
    if kind < 0.72:
        return draw.tone(HAIR_TONES)
    if kind < 0.82:
        return draw.tone(RED_TONES)
    if kind < 0.94:
        return draw.tone(GREY_TONES)
    return draw.tone(DYED_TONES)


def draw_hair(draw: Draw, head: Head, skin: Skin) -> Hair:
    style = draw.rng.random()  # bald 5 %, a wreath of hair 4 %, short, half long, long
    has_cap, has_sides = style > 0.09, style > 0.05
    is_long, is_half_long = style > 0.66, 0.50 < style <= 0.66
    has_fringe, is_curly = draw.chance(0.30), draw.chance(0.25)
    recede = draw.between(0.06, 0.2) if not (has_fringe or is_long) and draw.chance(0.3) else 0.0
    covers_ears = (is_long or is_half_long) and draw.chance(0.65)
    length = (
        draw.between(0.85, 1.4) if is_long else draw.between(0.5, 0.72) if is_half_long else draw.between(0.2, 0.36)
    )
    hairline = draw.between(-0.3, -0.235) if has_fringe else draw.between(-0.46, -0.34)
    fullness = draw.between(0.0, 1.0)
    pad = 0.02 + 0.10 * fullness + (0.05 if is_curly else 0.0) + (0.02 if is_long or is_half_long else 0.0)
    return Hair(
        has_cap=has_cap,
        has_sides=has_sides,
        color=draw_hair_color(draw, skin),
        pad_side=pad * draw.between(0.7, 1.0) if has_cap else 0.03,
        pad_top=pad * draw.between(0.9, 1.5) if has_cap else 0.0,
        length=length,
        flare=draw.between(0.0, 0.25) if is_long or is_half_long else draw.between(-0.5, -0.1),
        side_end=length if covers_ears else draw.between(-0.12, 0.1),
        locks_before_clothes=covers_ears and draw.chance(0.6),
        over_ears=covers_ears,
        hairline=hairline if has_cap else -0.9,
        sweep=draw.normal(0, 0.22),
        parting=draw.between(0.04, 0.14) if draw.chance(0.5) else 0.0,
        part_x=draw.normal(0, 0.14),
        recede=recede,
        opening=draw.between(0.84, 0.98),
        curl=draw.between(0.05, 0.09) if is_curly else draw.between(0.004, 0.02),
        outline_noise=(draw.grid(18, 18), draw.grid(18, 18)),
        strands=draw.grid(20, 20) if is_curly else draw.grid(5, 44),
        shine=draw.between(0.0, 0.35),
    )


def draw_clothes(draw: Draw) -> Clothes:
    color = draw.any_color(0.1, 0.9)
    contrast = 0.28 if luminance(color) < 0.5 else -0.28
    return Clothes(
        color=color,
        second=clip_color(color + contrast + draw.rng.normal(0, 0.1, 3)),
        shoulder_y=draw.normal(0.75, 0.025),
        slope=draw.between(0.22, 0.5),
        neckline=draw.pick(("round", "v", "wide", "turtle", "shirt")),
        depth=draw.between(0.04, 0.22),
        cut_width=draw.between(0.26, 0.36),
        pattern=draw.pick(("plain", "plain", "plain", "stripes", "bars", "yoke")),
        period=draw.between(0.12, 0.22),
        neck_half_width=draw.normal(0.25, 0.025),
    )


def draw_glasses(draw: Draw, skin: Skin) -> Glasses:
    color = draw.any_color(0.03, 0.25) if draw.chance(0.75) else draw.any_color(0.4, 0.8)
    if abs(luminance(color) - luminance(skin.color)) < 0.2:  # the frame must be seen on the skin
        color = clip_color(color * 0.3 if luminance(skin.color) > 0.4 else color * 0.4 + 0.55)
    return Glasses(
        color=color,
        half_width=draw.normal(0.178, 0.01),
        half_height=draw.normal(0.135, 0.012),
        thickness=draw.between(0.034, 0.05),
        roundness=draw.between(0.0, 1.0),
    )


def draw_hat(draw: Draw) -> Hat:
    color = draw.any_color(0.12, 0.85)
    return Hat(
        kind=draw.pick(("beanie", "brim", "cap")),
        color=color,
        band=clip_color(color * draw.between(0.55, 0.8)),
        line=draw.between(-0.36, -0.27),
        tilt=draw.normal(0, 0.08),
        height=draw.between(0.1, 0.2),
        brim=draw.between(0.68, 0.85),
    )


def draw_background(draw: Draw, hair: Hair, skin: Skin) -> Background:
    """A backdrop that is never uniform and, in the mean, neither the hair's nor the skin's colour."""
    others = np.stack([hair.color, skin.color])
    candidates = np.stack([draw.any_color(0.18, 0.95, chroma=0.09) for _ in range(8)])
    nearest = np.linalg.norm(candidates[:, None] - others, axis=-1).min(axis=1)
    good = np.flatnonzero(nearest > 0.35)
    base = candidates[good[0] if good.size else int(nearest.argmax())]
    blobs = draw.rng.normal(0, draw.between(0.01, 0.06), (3, 6, 6)) + draw.rng.normal(0, 0.08, (1, 6, 6))
    ramp = np.linspace(-1, 1, 6)
    slope_x, slope_y = draw.rng.normal(0, 0.07, (2, 3)) + draw.rng.normal(0, 0.07, (2, 1))
    gradient = slope_x[:, None, None] * ramp[None, None, :] + slope_y[:, None, None] * ramp[None, :, None]
    return Background(
        grid=np.clip(base[:, None, None] + blobs + gradient, 0, 1).astype(np.float32),
        stripes=draw.between(0.03, 0.09) if draw.chance(0.25) else 0.0,
        stripe_angle=draw.between(0, np.pi),
        stripe_period=draw.between(0.25, 0.6),
        stripe_phase=draw.between(0, 2 * np.pi),
        vignette=draw.between(0.0, 0.3),
    )
