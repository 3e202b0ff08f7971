"""What a toy face is, before any pixel: every number of it, independent of the resolution.

Lengths are in units of half the frame at scale 1: the frame is [-1, 1] in x and y (y down), one unit is 32 px at 64 px.
The head frame has its origin between the eyes and the mouth; the chin lies at about +0.6, the crown at about -0.62.
Colours are float RGB in [0, 1].
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Color = npt.NDArray[np.float32]  # [3]
Grid = npt.NDArray[np.float32]  # [h, w], coarse noise with mean 0 and a range of about [-1, 1]


@dataclass(frozen=True)
class Pose:
    scale: float
    shift_x: float
    shift_y: float
    roll: float  # radians, in the picture's plane
    yaw: float  # radians, about the vertical; positive turns the face to the picture's right


@dataclass(frozen=True)
class Light:
    x: float  # negative: from the left
    y: float  # negative: from above
    strength: float


@dataclass(frozen=True)
class Head:
    half_width: float
    top: float
    chin: float
    jaw: float  # 0 oval .. 1 square
    taper: float  # how much narrower the chin is
    ear_half_height: float
    ear_half_width: float
    ear_y: float


@dataclass(frozen=True)
class Skin:
    color: Color
    blush: float
    freckles: tuple[tuple[float, float], ...]
    stubble: float


@dataclass(frozen=True)
class Eyes:
    x: float
    y: float
    half_width: float
    upper: float  # height of the opening above the corners
    lower: float
    slant: float
    iris: Color
    iris_radius: float
    gaze_x: float
    gaze_y: float
    sclera: float


@dataclass(frozen=True)
class Brows:
    y: float
    half_width: float
    half_thickness: float
    slant: float
    arch: float
    color: Color


@dataclass(frozen=True)
class Nose:
    top: float
    bottom: float
    bridge: float
    wings: float
    contrast: float


@dataclass(frozen=True)
class Mouth:
    y: float
    half_width: float
    upper: float
    lower: float
    smile: float
    opening: float  # half height of the gap; 0 is closed
    bow: float
    color: Color
    teeth: float
    tongue: float


@dataclass(frozen=True)
class Hair:
    has_cap: bool  # hair on top of the head
    has_sides: bool
    color: Color
    pad_side: float
    pad_top: float
    length: float  # where the outline ends below, in head units
    flare: float
    side_end: float  # how far down hair lies in front of ears and cheeks
    locks_before_clothes: bool
    over_ears: bool
    hairline: float
    sweep: float
    parting: float
    part_x: float
    recede: float
    opening: float  # half width of the free face, relative to the head's
    curl: float
    outline_noise: tuple[Grid, Grid]
    strands: Grid
    shine: float


@dataclass(frozen=True)
class Clothes:
    color: Color
    second: Color
    shoulder_y: float
    slope: float
    neckline: str  # "round", "v", "wide", "turtle", "shirt"
    depth: float
    cut_width: float
    pattern: str  # "plain", "stripes", "bars", "yoke"
    period: float
    neck_half_width: float


@dataclass(frozen=True)
class Glasses:
    color: Color
    half_width: float
    half_height: float
    thickness: float
    roundness: float  # 0 rectangular .. 1 elliptic


@dataclass(frozen=True)
class Hat:
    kind: str  # "beanie", "brim", "cap"
    color: Color
    band: Color
    line: float
    tilt: float
    height: float
    brim: float


@dataclass(frozen=True)
class Background:
    grid: npt.NDArray[np.float32]  # [3, 6, 6], blurred by the upsampling
    stripes: float
    stripe_angle: float
    stripe_period: float
    stripe_phase: float
    vignette: float


@dataclass(frozen=True)
class Face:
    seed: int
    pose: Pose
    light: Light
    head: Head
    skin: Skin
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    hair: Hair
    clothes: Clothes
    glasses: Glasses | None
    hat: Hat | None
    background: Background
    noise: float


def clip_color(color: npt.ArrayLike) -> Color:
    return np.clip(np.asarray(color, np.float32), 0.02, 0.98).astype(np.float32)
