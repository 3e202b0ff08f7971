"""Jobs: each is one cell, a config and what computes its figures. Of the same config they are the same job."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gseg_cli.choices import TeacherModel
from gseg_cli.counted import counted
from gseg_cli.distill.config import find_geometry
from gseg_cli.reproduce import networks
from gseg_cli.reproduce.inversions import inverted_photos, summary
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.subject import ScoredPhotos, Task
from gseg_cli.steps import OnStep
from gseg_runtime.files import read_json

TEACHER: TeacherModel = "mlp"  # of auto-shot, and wherever a table does not compare models: the default of gseg
INVERSIONS, PAIRS = "inversions", "pairs"  # folders beside the cells


@dataclass(frozen=True)
class Job:
    """work: how much of what is done, such as {"student": 600} training steps; see timing.py for the words."""

    setup: Setup
    kind: str
    title: str
    config: Mapping[str, Any]
    work: Mapping[str, float]
    compute: Callable[[OnStep], dict[str, Any]]

    @property
    def gan(self) -> str:
        return "" if self.kind == "supervised" else self.setup.subject.gan_sha256

    @property
    def path(self) -> Path:
        """Of the cell."""
        return self.setup.store.path(self.kind, self.config, self.compute, self.gan, type(self.setup.subject))

    @property
    def is_done(self) -> bool:
        return self.path.is_file()

    def run(self, on_step: OnStep) -> dict[str, Any]:
        """The cell, computed unless it is there."""
        compute = partial(self.compute, on_step)
        return self.setup.store.cell(self.kind, self.config, compute, self.gan, type(self.setup.subject))

    @property
    def cell(self) -> dict[str, Any]:
        """As it is kept; GsegError when it was not computed."""
        return read_json(self.path)

    @property
    def figures(self) -> dict[str, Any]:
        return self.cell["figures"]


def inversion(setup: Setup, photos: ScoredPhotos) -> Job:
    """Photos to latents, in a folder beside the cells; every teacher uses the same."""
    config = setup.key(photos=photos.key, invert=asdict(setup.size.invert()))
    work = {"inversion": photos.count * setup.size.invert_steps, "photo": photos.count}
    task = setup.subject.tasks[0]

    def compute(on_step: OnStep) -> dict[str, Any]:
        return summary(inverted_photos(setup.inverter, photos, task, folder_of(job), on_step))

    job = Job(setup, "inversion", f"inverting photos: {photos.name}", config, work, compute)
    return job


def folder_of(job: Job) -> Path:
    """Where an inversion keeps its latents."""
    return job.setup.folder / INVERSIONS / job.path.stem


def teacher(setup: Setup, model: TeacherModel, task: Task, shots: int, draw: int) -> Job:
    """Few-shot, on the test photos by inversion and on samples."""
    train = setup.size.fewshot(model, draw)
    inverted = inversion(setup, setup.test)
    config = setup.key(
        train=asdict(train), task=task.name, shots=shots, draw=draw, photos=setup.test.key,
        invert=asdict(setup.size.invert()), samples=setup.size.num_samples,
    )  # fmt: skip
    work = {model: train.steps or 0, "sample": setup.test.count + setup.size.num_samples, "photo": setup.test.count}
    title = f"few-shot {model}, {task.name}, {counted(shots, 'annotation')}, draw {draw}"
    compute = partial(networks.teacher_figures, setup, task, train, shots, draw, folder_of(inverted))
    return Job(setup, "teacher", title, config, work, compute)


def viewed_teacher(setup: Setup, shots: int, draw: int) -> Job:
    """Few-shot, on every view by inversion."""
    train, task = setup.size.fewshot(TEACHER, draw), setup.subject.tasks[0]
    folders = {name: folder_of(inversion(setup, photos)) for name, photos in setup.views.items()}
    config = setup.key(
        train=asdict(train), task=task.name, shots=shots, draw=draw, invert=asdict(setup.size.invert()),
        views={name: photos.key for name, photos in setup.views.items()},
    )  # fmt: skip
    count = sum(photos.count for photos in setup.views.values())
    work = {TEACHER: train.steps or 0, "sample": count, "photo": count}
    title = f"few-shot {TEACHER} on views, {counted(shots, 'annotation')}, draw {draw}"
    compute = partial(networks.viewed_figures, setup, task, train, shots, draw, folders)
    return Job(setup, "viewed", title, config, work, compute)


def student(setup: Setup, shots: int, draw: int, geometry: str = "aligned") -> Job:
    """Auto-shot. geometry: of the student's augmentation, as of `gseg distill`."""
    size, task = setup.size, setup.subject.tasks[0]
    fewshot = size.fewshot(TEACHER, draw)
    train = replace(size.distill(draw), augment=find_geometry(geometry))
    config = setup.key(
        train=asdict(train), fewshot=asdict(fewshot), pairs=asdict(size.pairs), task=task.name, shots=shots, draw=draw,
        photos=setup.test.key, views={name: photos.key for name, photos in setup.views.items()},
    )  # fmt: skip
    scored = sum(photos.count for photos in (setup.test, *setup.views.values()))
    work = {TEACHER: fewshot.steps or 0, "pair": size.pairs.count, "student": train.steps, "photo": scored}
    title = f"auto-shot, {geometry}, {counted(shots, 'annotation')}, draw {draw}"

    def compute(on_step: OnStep) -> dict[str, Any]:
        folder = setup.folder / PAIRS / job.path.stem
        return networks.student_figures(setup, task, fewshot, train, shots, draw, folder, on_step)

    job = Job(setup, "student", title, config, work, compute)
    return job


def supervised(setup: Setup, count: int, draw: int) -> Job:
    """The student's network on so many photos with their true labels."""
    train, task = setup.size.distill(draw), setup.subject.tasks[0]
    config = setup.key(train=asdict(train), task=task.name, labels=count, draw=draw, photos=setup.test.key)
    work = {"student": train.steps, "photo": count + setup.test.count}
    title = f"supervised, {counted(count, 'label')}, draw {draw}"
    compute = partial(networks.supervised_figures, setup, task, train, count, draw)
    return Job(setup, "supervised", title, config, work, compute)
