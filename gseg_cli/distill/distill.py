"""The stage `gseg distill`: pairs from the GAN and its teacher, then a student trained on them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gseg_cli.checkpoint import parent_of
from gseg_cli.distill.pairs import PairSet, make_pairs
from gseg_cli.distill.train import DistillConfig, fit_student, score_student
from gseg_cli.distill.unet import save_unet
from gseg_cli.fewshot.model import Teacher, load_teacher
from gseg_cli.gan.generator import Generator
from gseg_cli.runs import Run
from gseg_cli.steps import OnStep, ignore_step
from gseg_runtime.errors import CheckpointError
from gseg_runtime.files import sha256_file

PAIR_SEED = 100_000  # behind the seeds people annotate
HELD_OUT_SEED = 90_000
NUM_HELD_OUT = 200


@dataclass(frozen=True, kw_only=True)
class PairsConfig:
    count: int = 4000
    truncation_psi: float = 1.0  # 1 keeps the GAN's whole variety
    first_seed: int = PAIR_SEED


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Everything `gseg distill` can be told."""

    pairs: PairsConfig = field(default_factory=PairsConfig)
    train: DistillConfig = field(default_factory=DistillConfig)


def distill(
    generator: Generator,
    gan: Path,
    teacher: Path,
    config: StudentConfig,
    run: Run,
    *,
    on_pairs: OnStep = ignore_step,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Train a student; returns its checkpoint and quality. gan and teacher are the checkpoints used.

    quality: held_out_miou, mean IoU against the teacher's labels on 200 samples that no pair holds.
    CheckpointError when the teacher was trained on another GAN's features.
    """
    device = next(iter(generator.parameters())).device  # type: ignore[attr-defined]
    network, classes, meta = load_teacher(teacher, device)
    check_same_gan(gan, teacher, meta)
    pairs = make_training_pairs(generator, network, config.pairs, run.dir / "pairs", on_pairs)
    held_out = make_pairs(
        generator, network, range(HELD_OUT_SEED, HELD_OUT_SEED + NUM_HELD_OUT), run.dir / "held-out",
        truncation_psi=config.pairs.truncation_psi,
    )  # fmt: skip
    kept = pairs.without_doubtful(config.train.drop)
    run.log(f"{len(kept)} of {len(pairs)} pairs kept")
    student = fit_student(kept, len(classes), config.train, device, held_out=held_out, run=run, on_step=on_step)
    quality = {"held_out_miou": score_student(student, held_out, len(classes))}
    parents = [parent_of(teacher, "fewshot"), parent_of(gan, "gan")]
    save_unet(run.checkpoint, student, classes, {"trained": asdict(config), "parents": parents, "quality": quality})
    return {"checkpoint": run.checkpoint, "pairs": len(kept), **quality}


def make_training_pairs(
    generator: Generator, teacher: Teacher, config: PairsConfig, out: Path, on_step: OnStep = ignore_step
) -> PairSet:
    seeds = range(config.first_seed, config.first_seed + config.count)
    return make_pairs(generator, teacher, seeds, out, truncation_psi=config.truncation_psi, on_step=on_step)


def check_same_gan(gan: Path, teacher: Path, meta: Mapping[str, Any]) -> None:
    """CheckpointError when the teacher's features are another GAN's."""
    expected, got = meta.get("gan_sha256"), sha256_file(gan)
    if expected != got:
        message = f"{teacher}: was trained on the features of GAN {str(expected)[:12]}, not of {gan} ({got[:12]})"
        raise CheckpointError(message, "give the GAN it was trained with, or train the teacher again")
