"""The stage `gseg distill`: pairs from a GAN and its teacher, and a student trained on them, scored and written.

All of it lies in a run folder, from which an interrupted distillation goes on.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gseg_cli.checkpoint import parent_of, read_meta
from gseg_cli.distill.config import (
    DistillConfig,
    PairsConfig,
    StudentConfig,
    configure,
    from_saved,
)
from gseg_cli.distill.forecast import forecast
from gseg_cli.distill.labelled_photos import parents_of, read_labelled
from gseg_cli.distill.larger_input import with_larger_input
from gseg_cli.distill.net_config import PRETRAINED, NetConfig, usual_input_size
from gseg_cli.distill.pairs import SETTINGS, PairSet, annotated_pairs, make_pairs
from gseg_cli.distill.resuming import check_labelled, check_same, labelled_of, moved, newest_run, same_file
from gseg_cli.distill.score import score_student
from gseg_cli.distill.second_opinion import SHARE, agreed, second_opinion, unknown_classes
from gseg_cli.distill.sheet import draw_pairs
from gseg_cli.distill.sides import about_sides
from gseg_cli.distill.student import Student, save_student, start_student
from gseg_cli.distill.train import STATE, fit_student
from gseg_cli.distill.trainer import check_batch
from gseg_cli.fewshot.model import Annotated, Teacher, load_annotated, load_teacher_of
from gseg_cli.gan.generator import Generator
from gseg_cli.gan.load import GanModule, load_generator
from gseg_cli.pretrained.lite0 import NOTICE
from gseg_cli.runs import EDITED, Run, open_run
from gseg_cli.steps import OnStep, Say, ignore_say, ignore_step
from gseg_cli.world import ALONE, World
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import CheckpointError, ConfigError
from gseg_runtime.files import read_json

KIND = "distill"
HELD_OUT = "held-out"  # folder in the run of the pairs that the student is scored on
HELD_OUT_SEED, NUM_HELD_OUT, LEAST_HELD_OUT = 90_000, 200, 20
ALL_HELD_OUT_PX = 256  # side of the largest samples of which there are so many


@dataclass(frozen=True)
class TrainedStudent:
    """gan: its file, which a resumed run finds again. pairs: how many the student was trained on.

    held_out_miou: mean IoU against the teacher's labels on samples that no pair holds.
    """

    run: Path
    gan: Path
    checkpoint: Path
    pairs: int
    held_out_miou: float


def run_distill(
    gan: Path,
    teacher: Path,
    config: StudentConfig,
    runs_dir: Path,
    device: torch.device,
    *,
    world: World = ALONE,
    say: Say = ignore_say,
    on_pairs: OnStep = ignore_step,
    on_step: OnStep = ignore_step,
) -> TrainedStudent:
    """Make pairs, and train a student on them; what takes minutes is said before.

    Of many processes the first writes the run. CheckpointError when the teacher was trained on another GAN's features.
    """
    given = _Given.of(gan, teacher, config, device)  # whatever is wrong with it leaves no run behind
    parents = [parent_of(gan, "gan"), parent_of(teacher, "fewshot"), *parents_of(config.labelled)]
    run = world.agree(open_run(runs_dir, KIND, asdict(config), parents, device) if world.is_first else None)
    assert run is not None
    if world.is_first:
        num_samples = config.pairs.count + _num_held_out(run.dir / HELD_OUT, given.generator.img_resolution)
        for line in forecast(given.generator, given.network, config, given.size, num_samples, world.size):
            say(line)
        for line in about_sides(given.classes) if config.train.augment.mirror else ():
            say(line)
    with run.held(is_needed=world.is_first):
        return _distill(given, run, world=world, say=say, on_pairs=on_pairs, on_step=on_step)


def resume_distill(
    given: Mapping[str, Any],
    runs_dir: Path,
    device: torch.device,
    *,
    gan: Path | None = None,
    teacher: Path | None = None,
    world: World = ALONE,
    say: Say = ignore_say,
    on_pairs: OnStep = ignore_step,
    on_step: OnStep = ignore_step,
) -> TrainedStudent:
    """Resume the newest run as it was started, or tell what it came to.

    given: options of `configure`. gan, teacher: None takes the files it was started with, though their project was
    moved since. ConfigError when an option differs, CheckpointError for other files, ProjectError without a run.
    """
    run = newest_run(runs_dir, KIND)
    saved, origins = run.saved()
    config = moved(from_saved(saved, run.config), given, runs_dir)
    check_same(run, config, configure(given, config))
    parents = {parent["kind"]: parent for parent in origins}
    if missing := {"gan", "fewshot"} - parents.keys():
        raise ConfigError(f"{run.config}: parents: expected one of kind {min(missing)}", EDITED)
    gan = same_file(gan, parents["gan"], "--gan", runs_dir)
    teacher = same_file(teacher, parents["fewshot"], "--teacher", runs_dir)
    check_labelled(config, origins)
    if run.checkpoint.is_file():
        say(f"{run.dir}: already finished")
        return _outcome(run, gan)
    check_batch(config.train, world)
    with run.held(is_needed=world.is_first):
        say(f"{run.dir}: resuming")
        again = _Given.of(gan, teacher, config, device)
        return _distill(again, run, resume=True, world=world, say=say, on_pairs=on_pairs, on_step=on_step)


@dataclass(frozen=True)
class _Given:
    """What a distillation starts from. meta: of the teacher's file."""

    gan: Path
    teacher: Path
    config: StudentConfig
    device: torch.device
    generator: GanModule
    network: Teacher
    classes: ClassMap
    meta: Mapping[str, Any]
    taught: Annotated | None
    labelled: PairSet | None
    size: int  # side of the student's input

    @property
    def pair_size(self) -> int:
        """Side of the pairs' pictures: a student sees no more of them, and they take less memory."""
        return self.config.pairs.size or min(self.size, self.generator.img_resolution)

    @classmethod
    def of(cls, gan: Path, teacher: Path, config: StudentConfig, device: torch.device) -> "_Given":
        """Raises GsegError for whatever does not fit together."""
        generator = load_generator(gan, device, read_meta(teacher).get("gan_class"))
        network, classes, meta = load_teacher_of(gan, teacher, device)
        if (got := network.config.size) != (side := generator.img_resolution):
            message = f"{teacher}: labels {got} pixels, and the GAN's samples have {side}"
            raise CheckpointError(message, "train the teacher again, on label maps of the samples' size")
        taught, train = load_annotated(teacher), config.train
        if taught is None and train.labels == "agreed":
            message = f"{teacher}: holds no annotated samples, which a second opinion learns from"
            raise CheckpointError(message, "train the teacher again, or use --labels soft")
        size = train.input_size or usual_input_size(train.student, generator.img_resolution)
        start_student(NetConfig(size=train.student, num_classes=len(classes), input_size=size))  # its weights are there
        labelled = read_labelled(Path(config.labelled), classes, size) if config.labelled else None
        return cls(gan, teacher, config, device, generator, network, classes, meta, taught, labelled, size)


def _distill(
    given: _Given, run: Run, *, resume: bool = False, world: World, say: Say, on_pairs: OnStep, on_step: OnStep
) -> TrainedStudent:
    """resume: go on with what an earlier call left in the run. Of many processes only the first writes the student."""
    generator, network, classes, config = given.generator, given.network, given.classes, given.config
    of_pairs = replace(config.pairs, size=given.pair_size)
    pairs = make_training_pairs(generator, network, of_pairs, run.dir / "pairs", on_pairs, world)
    held_out = _make_held_out(generator, network, of_pairs, run, world, on_pairs)
    train, labelled = replace(config.train, input_size=given.size), given.labelled
    annotated = annotated_pairs(generator, given.taught) if given.taught else None
    if annotated and generator.img_resolution > given.size:
        annotated = annotated.at(given.size)  # once, and not in each step
    if train.labels == "agreed":
        assert annotated is not None  # or it would have been refused
        train = replace(train, minutes=train.minutes and train.minutes / (1 + SHARE))  # together they take all
        other = second_opinion(
            annotated, classes, train, given.device, labelled=labelled, run=run, resume=resume, world=world,
            on_step=_counting(on_pairs, "second-opinion steps"),
        )  # fmt: skip
        before, pairs = pairs, agreed(pairs, other, _counting(on_pairs, "pairs compared"))
        if world.is_first:
            run.log(f"teacher and second opinion differ on {float(pairs.score.mean()):.1%} of the pixels")
            _warn_of_unknown(unknown_classes(before, pairs, len(classes)), classes, run, say)
    chosen = choose_pairs(pairs, train)
    if world.is_first:
        drawn = f"{len(annotated or ())} annotated samples, {len(labelled or ())} labelled photos"
        run.log(f"{len(chosen)} of {len(pairs)} pairs kept, {drawn}")
        run.picture("pairs", draw_pairs(pairs, train, classes))
        say(f"look at {run.dir / 'pairs.png'}: the pairs with their labels, and which were left out")
    student = fit_student(
        chosen, classes, train, given.device, annotated=annotated, labelled=labelled, held_out=held_out, run=run,
        resume=resume, world=world, on_step=on_step,
    )  # fmt: skip
    if labelled is not None:  # generated pictures are blurred, and students of these alone gain nothing
        student = with_larger_input(student, train.augment)
    if world.is_first:
        about = {
            "trained": asdict(config),
            "parents": [parent_of(given.teacher, "fewshot"), parent_of(given.gan, "gan"), *labelled_of(run)],
            "notices": notices(config),
            "num_pairs": len(chosen),
            "gan_class": given.meta.get("gan_class"),
            "quality": {"held_out_miou": score_student(student, held_out, len(classes))},
        }
        finish(run, student, classes, about)
    world.wait()
    return _outcome(run, given.gan)


def _warn_of_unknown(shares: Mapping[int, float], classes: ClassMap, run: Run, say: Say) -> None:
    """Of such classes a student learns from drawn labels alone, which nothing else would show."""
    for label, share in shares.items():
        line = (
            f"warning: second opinion: of the teacher's {classes.names[label]} {share:.0%} is left in the pairs, so "
            "the student knows it from drawn labels alone; train longer, annotate more samples that show it, or trust "
            "the teacher with --labels soft"
        )
        run.log(line)
        say(line)


def _counting(on_step: OnStep, unit: str) -> OnStep:
    return lambda step: on_step(replace(step, unit=unit))


def make_training_pairs(
    generator: Generator,
    teacher: Teacher,
    config: PairsConfig,
    out: Path,
    on_step: OnStep = ignore_step,
    world: World = ALONE,
) -> PairSet:
    """The pairs that the config asks for, those in the folder `out` already among them."""
    seeds = range(config.first_seed, config.first_seed + config.count)
    return make_pairs(
        generator, teacher, seeds, out, truncation_psi=config.truncation_psi, size=config.size, world=world,
        on_step=on_step,
    )  # fmt: skip


def _make_held_out(
    generator: Generator, teacher: Teacher, config: PairsConfig, run: Run, world: World, on_step: OnStep
) -> PairSet:
    folder = run.dir / HELD_OUT
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + _num_held_out(folder, generator.img_resolution))
    return make_pairs(
        generator, teacher, seeds, folder, truncation_psi=config.truncation_psi, size=config.size, world=world,
        unit="held-out samples", on_step=on_step,
    )  # fmt: skip


def _num_held_out(folder: Path, resolution: int) -> int:
    """Fewer of large GANs, which take long, and whose samples have more pixels; as many as a run began with."""
    if (folder / SETTINGS).is_file():
        return int(read_json(folder / SETTINGS)["count"])
    return min(NUM_HELD_OUT, max(LEAST_HELD_OUT, NUM_HELD_OUT * ALL_HELD_OUT_PX**2 // resolution**2))


def choose_pairs(pairs: PairSet, config: DistillConfig) -> PairSet:
    """Without the most doubtful ones and pixels, and with hard labels, where the config says so."""
    chosen = pairs.without_doubtful(config.drop).ignoring_below(config.ignore_below)
    return chosen.hard() if config.labels == "hard" else chosen


def notices(config: StudentConfig) -> list[str]:
    """Whose weights a student began with, as their licence asks."""
    return [NOTICE] if config.train.student == PRETRAINED else []


def finish(run: Run, student: Student, classes: ClassMap, about: dict[str, Any]) -> None:
    """With the student's file a run is finished: there is nothing left to go on from."""
    save_student(run.checkpoint, student, classes, about)
    (run.dir / STATE).unlink(missing_ok=True)


def _outcome(run: Run, gan: Path) -> TrainedStudent:
    """What a finished run came to, as its checkpoint says."""
    meta = read_meta(run.checkpoint)
    return TrainedStudent(run.dir, gan, run.checkpoint, meta["num_pairs"], meta["quality"]["held_out_miou"])
