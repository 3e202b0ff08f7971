"""The stage `gseg distill`: pairs from the GAN and its teacher, then a student trained on them."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gseg_cli.checkpoint import parent_of, read_meta
from gseg_cli.distill.config import PAIR_SEED, DistillConfig, PairsConfig, StudentConfig
from gseg_cli.distill.pairs import PairSet, annotated_pairs, make_pairs
from gseg_cli.distill.sheet import draw_pairs
from gseg_cli.distill.train import STATE, fit_student, score_student
from gseg_cli.distill.trainer import ALONE
from gseg_cli.distill.unet import save_unet
from gseg_cli.fewshot.model import Teacher, load_annotated, load_teacher
from gseg_cli.gan.generator import Generator
from gseg_cli.runs import Run
from gseg_cli.steps import OnStep, ignore_step
from gseg_cli.world import World
from gseg_runtime.errors import CheckpointError
from gseg_runtime.files import sha256_file

__all__ = ["HELD_OUT_SEED", "NUM_HELD_OUT", "PAIR_SEED", "PairsConfig", "StudentConfig", "distill"]

HELD_OUT_SEED = 90_000
NUM_HELD_OUT = 200
HELD_OUT = "held-out"  # their folder in the run


def distill(
    generator: Generator,
    gan: Path,
    teacher: Path,
    config: StudentConfig,
    run: Run,
    *,
    resume: bool = False,
    world: World = ALONE,
    on_pairs: OnStep = ignore_step,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Train a student; returns its checkpoint and quality. gan and teacher are the checkpoints used.

    quality: held_out_miou, mean IoU against the teacher's labels on 200 samples that no pair holds. resume: go on with
    what an earlier call left in the run. Of many processes only the first writes the student.
    CheckpointError when the teacher was trained on another GAN's features.
    """
    device = next(iter(generator.parameters())).device  # type: ignore[attr-defined]
    network, classes, meta = load_teacher(teacher, device)
    check_same_gan(gan, teacher, meta)
    pairs = make_training_pairs(generator, network, config.pairs, run.dir / "pairs", on_pairs, world)
    held_out = make_pairs(
        generator, network, range(HELD_OUT_SEED, HELD_OUT_SEED + NUM_HELD_OUT), run.dir / HELD_OUT,
        truncation_psi=config.pairs.truncation_psi, world=world,
    )  # fmt: skip
    chosen = choose_pairs(pairs, config.train)
    taught = load_annotated(teacher)
    annotated = annotated_pairs(generator, taught) if taught else None
    if world.is_first:
        run.log(f"{len(chosen)} of {len(pairs)} pairs kept, {len(annotated) if annotated else 'no'} annotated samples")
        run.picture("pairs", draw_pairs(pairs, config.train, classes))
    student = fit_student(
        chosen, len(classes), config.train, device,
        annotated=annotated, held_out=held_out, run=run, resume=resume, world=world, on_step=on_step,
    )  # fmt: skip
    if world.is_first:
        quality = {"held_out_miou": score_student(student, held_out, len(classes))}
        about: dict[str, Any] = {
            "trained": asdict(config),
            "parents": [parent_of(teacher, "fewshot"), parent_of(gan, "gan")],
        }
        about |= {"num_pairs": len(chosen), "gan_class": meta.get("gan_class")}
        save_unet(run.checkpoint, student, classes, {**about, "quality": quality})
        (run.dir / STATE).unlink(missing_ok=True)
    world.wait()
    return outcome(run)


def outcome(run: Run) -> dict[str, Any]:
    """What a finished run came to, as its checkpoint says."""
    meta = read_meta(run.checkpoint)
    return {"checkpoint": run.checkpoint, "pairs": meta["num_pairs"], **meta["quality"]}


def choose_pairs(pairs: PairSet, config: DistillConfig) -> PairSet:
    """Without the most doubtful ones and pixels, and with hard labels, where the config says so."""
    chosen = pairs.without_doubtful(config.drop).ignoring_below(config.ignore_below)
    return chosen.hard() if config.labels == "hard" else chosen


def make_training_pairs(
    generator: Generator,
    teacher: Teacher,
    config: PairsConfig,
    out: Path,
    on_step: OnStep = ignore_step,
    world: World = ALONE,
) -> PairSet:
    seeds = range(config.first_seed, config.first_seed + config.count)
    return make_pairs(
        generator, teacher, seeds, out, truncation_psi=config.truncation_psi, world=world, on_step=on_step
    )


def check_same_gan(gan: Path, teacher: Path, meta: Mapping[str, Any]) -> None:
    """CheckpointError when the teacher's features are another GAN's."""
    expected, got = meta.get("gan_sha256"), sha256_file(gan)
    if expected != got:
        message = f"{teacher}: was trained on the features of GAN {str(expected)[:12]}, not of {gan} ({got[:12]})"
        raise CheckpointError(message, "give the GAN it was trained with, or train the teacher again")
