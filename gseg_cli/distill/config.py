"""Everything `gseg distill` can be told, and how the command's options become it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gseg_cli.distill.augment import AugmentConfig, find_geometry
from gseg_cli.distill.loss import LOSSES
from gseg_cli.distill.unet import SIZES
from gseg_runtime.errors import ConfigError, UsageError

PAIR_SEED = 100_000  # behind the seeds people annotate
LABELS = ("soft", "hard")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class PairsConfig:
    count: int = 4000
    truncation_psi: float = 1.0  # 1 keeps the GAN's whole variety
    first_seed: int = PAIR_SEED


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """ConfigError for a name that is not known."""

    student: str = "default"  # tiny | default | paper
    labels: str = "soft"  # soft | hard: the likeliest class alone
    drop: float = 0.1  # share of the pairs left out, those the teacher doubts most
    ignore_below: float = 0.0  # pixels whose first class has less than this share of the two likeliest are ignored
    annotated: float = 0.25  # share of each step's pairs that are the annotated samples, with their labels as drawn
    loss: str = "ce"  # ce | dice | balanced | focal
    steps: int = 1000
    minutes: float | None = None  # how long to train, instead of steps
    batch: int = 32
    microbatch: int | None = None  # pairs computed at once; None takes all of a process's
    lr: float = 3e-3  # peak of a one-cycle schedule
    weight_decay: float = 1e-4
    ema: float = 0.9999  # highest decay per step of the averaged weights, which are the ones kept
    precision: str = "auto"  # auto: bf16 where the hardware has it | fp32 | bf16
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    save_minutes: float = 1.0  # between two states to resume from
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("student", SIZES), ("labels", LABELS), ("loss", LOSSES), ("precision", PRECISIONS)):
            if (value := getattr(self, name)) not in known:
                raise ConfigError(f"{name}: expected one of {', '.join(known)}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Everything `gseg distill` can be told."""

    pairs: PairsConfig = field(default_factory=PairsConfig)
    train: DistillConfig = field(default_factory=DistillConfig)


def configure(given: Mapping[str, Any], base: StudentConfig | None = None) -> StudentConfig:
    """The options that were given, laid over `base`. UsageError when both steps and minutes are among them."""
    base = base or StudentConfig()
    if {"steps", "minutes"} <= given.keys():
        raise UsageError("--steps and --minutes both say how long to train", hint="give one of them")
    augment = base.train.augment
    if "geometry" in given:
        about = {name: getattr(augment, name) for name in ("mirror", "colour", "background")}
        augment = replace(find_geometry(given["geometry"]), **about)
    augment = replace(augment, **_those(given, AugmentConfig))
    pairs = replace(base.pairs, **_those({**given, "count": given.get("pairs", base.pairs.count)}, PairsConfig))
    return StudentConfig(pairs=pairs, train=replace(base.train, augment=augment, **_those(given, DistillConfig)))


def _those(given: Mapping[str, Any], config: type) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in config.__dataclass_fields__}  # type: ignore[attr-defined]


def from_saved(saved: Mapping[str, Any]) -> StudentConfig:
    """Back from a run's config.json; ConfigError when it holds something else."""
    try:
        train = dict(saved["train"])
        train["augment"] = AugmentConfig(**train["augment"])
        return StudentConfig(pairs=PairsConfig(**saved["pairs"]), train=DistillConfig(**train))
    except (KeyError, TypeError) as error:
        raise ConfigError(f"config.json: not of a distillation: {error}", "distil anew, without --resume") from error


def differences(one: StudentConfig, other: StudentConfig) -> Iterator[tuple[str, Any, Any]]:
    """Name and both values of every setting that differs."""
    flat_one, flat_other = (dict(_flat(asdict(config))) for config in (one, other))
    yield from ((name, flat_one[name], flat_other[name]) for name in flat_one if flat_one[name] != flat_other[name])


def _flat(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        yield from _flat(value) if isinstance(value, dict) else [(name, value)]
