"""Step `teaching`: teachers, pairs, students, second opinions and the demo, with the GANs that come with gseg."""

import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.setting import Figures, Setting, peak_gib, seconds_of
from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.builtin import BY_SIZE, Builtin
from gseg_cli.choices import Precision, StudentSize
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.demo import QUICK, DemoSize, run_demo
from gseg_cli.distill.config import DistillConfig, configure, usual_student
from gseg_cli.distill.pairs import PairSet, make_pairs
from gseg_cli.distill.second_opinion import agreed, second_opinion
from gseg_cli.distill.student import Student
from gseg_cli.distill.train import fit_student
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.load import GanModule, load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe
from gseg_runtime.label_map import read_label_png

MODELS = ("mlp", "cnn-s", "cnn-l")
WARM_UP = 20  # steps


def measure(s: Setting) -> None:
    sizes = (64,) if s.dry_run else tuple(BY_SIZE)
    for size in sizes:
        shipped = Builtin(BY_SIZE[size])
        for model in MODELS[:1] if s.dry_run else MODELS:
            config = {"pixels": size, "model": model}
            s.cell("teacher", config, lambda m=model, b=shipped: teacher(s, b, m), shipped.gan_sha256)  # type: ignore[misc]
        s.cell("pairs", {"pixels": size}, lambda b=shipped: pairs(s, b), shipped.gan_sha256)  # type: ignore[misc]
    for size in sizes:
        for name, precision in product(students(), ("fp32", "bf16")):
            config = {"pixels": size, "precision": precision, "student": name}
            s.cell("student", config, lambda c=config: student(s, **c))  # type: ignore[misc]
        s.cell("opinion", {"pixels": size}, lambda z=size: opinion(s, z))  # type: ignore[misc]
    s.cell("demo", {"draw": 0}, lambda: demo(s))


def annotations(shipped: Builtin, generator: GanModule) -> AnnotationSet:
    """The ten that come with gseg."""
    labels = np.stack([read_label_png(path) for path in shipped.annotations])
    seeds = tuple(int(path.stem) for path in shipped.annotations)
    psi = Recipe.truncation_psi
    ws = ws_for_seeds(generator, seeds, psi).cpu().numpy()
    return AnnotationSet(labels, ws, seeds, CLASSES, shipped.gan_sha256, truncation_psi=psi)


def teacher(s: Setting, shipped: Builtin, model: str) -> Figures:
    generator = load_generator(shipped.gan, s.device)
    labelled = annotations(shipped, generator)
    config = FewshotConfig(model=model, steps=5 if s.dry_run else None)
    fit_teacher(generator, labelled, replace(config, steps=5))  # to warm up
    return {"seconds": seconds_of(lambda: fit_teacher(generator, labelled, config), s.device)}


def pairs(s: Setting, shipped: Builtin) -> Figures:
    """Generated, labelled and written, photos a second."""
    generator = load_generator(shipped.gan, s.device)
    network = fit_teacher(generator, annotations(shipped, generator), FewshotConfig(steps=5))
    count = 20 if s.dry_run else 2000

    def work(first: int, number: int) -> None:
        folder = s.work / "pairs"
        make_pairs(generator, network, range(first, first + number), folder)
        shutil.rmtree(folder)

    work(0, 10)
    return {"pairs_per_s": count / seconds_of(lambda: work(100, count), s.device)}


def students() -> tuple[StudentSize, ...]:
    """The one that a bare `gseg distill` trains, last."""
    return tuple(dict.fromkeys(("default", usual_student())))


def made_up(size: int, count: int) -> PairSet:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8, generator=random)
    labels = torch.randint(0, len(CLASSES), (count, size, size), dtype=torch.uint8, generator=random)
    return PairSet.exact(images.numpy(), labels.numpy())


def student(s: Setting, *, pixels: int, precision: Precision, student: StudentSize) -> Figures:
    """Steps a second, losses and augmentation included; input: the side that this student looks at."""
    learned, steps = made_up(pixels, 500), 5 if s.dry_run else 200
    config = DistillConfig(student=student, precision=precision)

    def work(number: int) -> Student:
        return fit_student(learned, CLASSES, replace(config, steps=number), s.device)

    peak_gib(s.device)
    net = work(2 if s.dry_run else WARM_UP)
    steps_per_s = steps / seconds_of(lambda: work(steps), s.device)
    about = {"batch": config.batch, "input": net.config.input_size}
    return {**about, "steps_per_s": steps_per_s, "gib": peak_gib(s.device)}


def opinion(s: Setting, size: int) -> Figures:
    """The second opinion of the usual student: its training on ten samples, and then pairs a second."""
    usual = configure({"student": usual_student()}).train
    config = replace(usual, steps=4) if s.dry_run else usual
    samples, pairs = made_up(size, 10), made_up(size, 20 if s.dry_run else 2000)
    found: list[Student] = []
    seconds = seconds_of(lambda: found.append(second_opinion(samples, CLASSES, config, s.device)), s.device)
    return {"seconds": seconds, "pairs_per_s": len(pairs) / seconds_of(lambda: agreed(pairs, found[0]), s.device)}


def demo(s: Setting) -> Figures:
    """What `gseg demo` says of itself."""
    size = replace(QUICK, num_photos=4, num_teacher_samples=4) if s.dry_run else DemoSize()
    if s.dry_run:
        train = replace(size.student.train, steps=10)
        size = replace(size, student=replace(size.student, train=train, pairs=replace(size.student.pairs, count=20)))
    found = run_demo(Path(s.work / "demo"), size, s.device, progress, overwrite=True)
    names = ("miou_teacher", "miou_student", "held_out_miou", "images_per_second")
    return {**{name: getattr(found, name) for name in names}, **{f"{k}_s": v for k, v in found.seconds.items()}}
