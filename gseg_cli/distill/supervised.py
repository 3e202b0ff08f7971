"""The stage `gseg student-train`: a student of labelled photos alone, with no GAN and no teacher.

Supervised learning, for whoever has labelled some photos: the network, its augmentation and its file are those of
`gseg distill`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gseg_cli.annotate.hatching import marked
from gseg_cli.annotate.legend import with_legend
from gseg_cli.checkpoint import read_meta
from gseg_cli.distill.config import StudentConfig, configure_supervised, from_saved
from gseg_cli.distill.held_out import HeldOut, draw_held_out, measure, split
from gseg_cli.distill.labelled_photos import labelled_photos, parents_of, read_labelled, read_squares
from gseg_cli.distill.larger_input import segmented_size, with_larger_input
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.resuming import check_labelled, check_same, labelled_of, moved, newest_run
from gseg_cli.distill.sides import about_sides, exchange_table, sides_of
from gseg_cli.distill.stage import finish, notices
from gseg_cli.distill.student import Student, start_student
from gseg_cli.distill.train import fit_student
from gseg_cli.runs import EDITED, Run, open_run
from gseg_cli.steps import OnStep, Say, ignore_say, ignore_step
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.detail import Detail
from gseg_runtime.errors import ConfigError, GsegError
from gseg_runtime.label_map import Pixels, contact_sheet
from gseg_runtime.spread import spread

KIND = "student"
SHEET, HELD_OUT_SHEET = "photos", "held-out"  # pictures in the run
SHOWN, COLUMNS, CELL = 24, 4, 160


@dataclass(frozen=True)
class SupervisedStudent:
    """photos: how many it was trained on; held_out: what others say of it, if any were kept."""

    run: Path
    checkpoint: Path
    photos: int
    held_out: HeldOut | None = None


def run_student_train(
    classes: ClassMap,
    config: StudentConfig,
    runs_dir: Path,
    device: torch.device,
    *,
    held_out: int = 0,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> SupervisedStudent:
    """Train a student on the photos and masks below config.labelled. held_out: how many of them it is measured on
    instead.

    Nothing is written before all that can be wrong was looked at: GsegError for photos and masks that do not fit
    together, ConfigError for an input that the network cannot have, BackendUnavailable without pretrained weights.
    """
    photos = _Photos.read(classes, config, held_out)
    how = {**asdict(config), "classes": classes.to_json(), "held_out": held_out}
    run = open_run(runs_dir, KIND, how, parents_of(config.labelled), device)
    run.picture(SHEET, draw_labelled(photos.ours, classes))
    say(f"look at {run.dir / SHEET}.png: the photos as the student sees them, with their labels")
    with run.held():
        return _train(photos, classes, config, run, device, say=say, on_step=on_step)


def resume_student_train(
    given: Mapping[str, Any],
    runs_dir: Path,
    device: torch.device,
    *,
    named: ClassMap | None = None,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> SupervisedStudent:
    """Resume the newest run as it was started, or tell what it came to.

    given: options of `configure_supervised`; named: classes, where they were given, too. ConfigError when one differs,
    GsegError for other photos or masks, ProjectError without a run.
    """
    run = newest_run(runs_dir, KIND)
    saved, parents = run.saved()
    held_out = _held_out_of(saved, run.config)
    config = moved(from_saved(saved, run.config), given, runs_dir)
    classes = _classes_of(saved, run.config)
    if named and named.names != classes.names:
        was, now = (", ".join(those.names) for those in (classes, named))
        message = f"{run.dir}: classes were {was} when this run started, now {now}"
        raise ConfigError(message, hint="resume with the same options, or without any")
    if given.get("held_out", held_out) != held_out:
        message = f"{run.dir}: held_out was {held_out} when this run started, now {given['held_out']}"
        raise ConfigError(message, hint="resume with the same options, or without any")
    check_same(run, config, configure_supervised(given, config))
    check_labelled(config, parents)
    if run.checkpoint.is_file():
        say(f"{run.dir}: already finished")
        return _outcome(run)
    with run.held():
        say(f"{run.dir}: resuming")
        photos = _Photos.read(classes, config, held_out)
        return _train(photos, classes, config, run, device, resume=True, say=say, on_step=on_step)


def _classes_of(saved: Mapping[str, Any], where: Path) -> ClassMap:
    """ConfigError when a run's config.json, `where`, holds none."""
    try:
        return ClassMap.from_json(saved.get("classes"))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", EDITED) from error


def _held_out_of(saved: Mapping[str, Any], where: Path) -> int:
    """Runs of before have none. ConfigError for what is no number."""
    count = saved.get("held_out", 0)
    if not isinstance(count, int) or count < 0:
        raise ConfigError(f"{where}: held_out: expected a number of photos, got {count!r}", EDITED)
    return count


def draw_labelled(photos: PairSet, classes: ClassMap) -> Pixels:
    """Some of the photos, each beside its labels, below the classes' colours."""
    cells = []
    for row in spread(range(len(photos)), SHOWN):
        image, labels = photos.images[row].numpy(), photos.first[row].numpy()
        cells += [image, marked(image, labels, classes)]
    width = 2 * COLUMNS
    rows = [cells[i : i + width] for i in range(0, len(cells), width)]
    return with_legend(contact_sheet(rows, CELL), classes)


@dataclass(frozen=True)
class _Photos:
    """ours: to learn from; others: to measure on, as large as the student will segment them. In squares, of which
    photos in tiles have many. photo_of: number of the photo that each of ours is of, [N]. num_ours, num_others: of the
    photos themselves."""

    ours: PairSet
    photo_of: Tensor
    num_ours: int
    others: PairSet | None
    num_others: int

    @classmethod
    def read(cls, classes: ClassMap, config: StudentConfig, held_out: int) -> "_Photos":
        """All at once: people may paint on while it trains. GsegError for whatever does not fit together."""
        train, tile = config.train, config.tile
        assert config.labelled and train.input_size  # the command names a folder, and `configure_supervised` a size
        Detail(tile=tile).check(train.input_size)
        net = NetConfig(size=train.student, num_classes=len(classes), input_size=train.input_size)
        start_student(net)
        folder = Path(config.labelled)
        ours, others = split(labelled_photos(folder), held_out)
        photos, photo_of = read_squares(folder, classes, train.input_size, files=ours, tile=tile)
        _check_learnable(photos, classes, f"{folder}: {'the masks left to learn from' if others else 'the masks'}")
        if not others:
            return cls(photos, photo_of, len(ours), None, 0)
        size = train.input_size if tile else segmented_size(net, train.augment)
        kept = read_labelled(folder, classes, size, files=others, tile=tile)
        if (kept.first == IGNORE).all():
            message = f"{others[0][1]}: nothing is labelled on what is held out, so nothing can be measured"
            raise GsegError(message, "hold out more, or label the photo")
        return cls(photos, photo_of, len(ours), kept, len(others))


def _check_learnable(photos: PairSet, classes: ClassMap, what: str) -> None:
    """GsegError where no part of anything is labelled."""
    if not any((photos.first == label).any() for label in range(1, len(classes))):
        message = f"{what} show nothing but {classes.names[0]}"
        raise GsegError(message, "label the parts, too; a mask's values are class indices, and 255 (white) is ignored")


def _train(
    photos: _Photos,
    classes: ClassMap,
    config: StudentConfig,
    run: Run,
    device: torch.device,
    *,
    resume: bool = False,
    say: Say,
    on_step: OnStep,
) -> SupervisedStudent:
    for warning in _about_classes(photos, classes, mirror=config.train.augment.mirror):
        say(f"warning: {warning}")
    for line in about_sides(classes) if config.train.augment.mirror else ():
        say(line)
    student = fit_student(photos.ours, classes, config.train, device, run=run, resume=resume, on_step=on_step)
    if not config.tile:  # all tiles are at one scale
        student = with_larger_input(student, config.train.augment)
    measured = _measured(student, photos, classes, run, say) if photos.others else None
    about = {
        "trained": asdict(config), "parents": labelled_of(run), "notices": notices(config),
        "num_photos": photos.num_ours, "quality": {"held_out_miou": measured.miou} if measured else {},
        "held_out": measured and asdict(measured),
    }  # fmt: skip
    finish(run, student, classes, about)
    return _outcome(run)


def _measured(student: Student, photos: _Photos, classes: ClassMap, run: Run, say: Say) -> HeldOut:
    assert photos.others
    measured, predicted = measure(student, photos.others, classes)
    run.picture(HELD_OUT_SHEET, draw_held_out(photos.others, predicted, classes))
    say(f"look at {run.dir / HELD_OUT_SHEET}.png: photos it did not learn from, their labels, and what it says")
    return replace(measured, photos=photos.num_others)


def _about_classes(photos: _Photos, classes: ClassMap, *, mirror: bool) -> list[str]:
    """Those that the student will not find, or hardly: game characters' hats, shown by one photo of ten, had IoU 0.

    mirror: a left door then shows what a right door is, too.
    """
    other_side = exchange_table(sides_of(classes) if mirror else ()).tolist()
    first = photos.ours.first
    on_none, on_one = [], []
    for label, name in enumerate(classes.names):
        shows = ((first == label) | (first == other_side[label])).flatten(1).any(dim=1)
        num_shown = len(photos.photo_of[shows].unique())
        if not num_shown:
            on_none.append(name)
        elif num_shown == 1 < photos.num_ours:
            on_one.append(name)
    return [
        *_told(on_none, "labelled on no photo; the student never predicts {0}"),
        *_told(on_one, "labelled on one photo only; label more that show {0}, to have {0} found"),
    ]


def _told(names: list[str], what: str) -> list[str]:
    """A warning, if there are any. what: is said of them, "{0}" in their place."""
    if not names:
        return []
    are, them = (f"class {names[0]} is", "it") if len(names) == 1 else (f"classes {', '.join(names)} are", "them")
    return [f"{are} {what.format(them)}"]


def _outcome(run: Run) -> SupervisedStudent:
    meta = read_meta(run.checkpoint)
    measured = meta.get("held_out")
    return SupervisedStudent(run.dir, run.checkpoint, meta["num_photos"], HeldOut(**measured) if measured else None)
