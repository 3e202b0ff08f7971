"""A sheet of what a teacher learned: the samples it was taught, and some that it never saw."""

import math
from functools import partial
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.annotate.hatching import marked
from gseg_cli.annotate.legend import with_legend
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.predict import entropy, predict
from gseg_cli.gan.generator import Generator, images_at_once
from gseg_cli.gan.sample import device_of, ws_for_seeds
from gseg_cli.picture_files import titled
from gseg_runtime.class_map import ClassMap
from gseg_runtime.label_map import Pixels, contact_sheet
from gseg_runtime.spread import spread

FRESH_SEED = 80_000  # behind the seeds people annotate, before those that a student is measured on
LEAST, MOST, MAX_PIXELS = 2, 8, 2**20  # of either kind; few large samples, which take a CPU seconds each
CELL = 160  # pixels of a picture on the sheet
_BLANK = np.full((8, 8, 3), 255, np.uint8)


def draw_teacher(generator: Generator, teacher: Teacher, annotated: AnnotationSet) -> Pixels:
    """Above, annotated samples, their labels and what the teacher says; below, fresh ones, that, and how it doubts.

    Each has its seed, of photos the name. Doubt is white where two classes are as likely as each other.
    """
    most = max(LEAST, images_at_once(generator, MAX_PIXELS, MOST))
    seen = partial(_seen, generator, teacher, annotated.classes)
    taught, fresh = [], []
    for i in spread(range(len(annotated.seeds)), most):
        image, said, _ = seen(torch.from_numpy(annotated.ws[i : i + 1]))
        taught.append([titled(image, _name(annotated, i)), marked(image, annotated.labels[i], annotated.classes), said])
    for seed in fresh_seeds(annotated, most):
        image, said, doubt = seen(ws_for_seeds(generator, [seed], annotated.truncation_psi))
        fresh.append([titled(image, str(seed)), said, doubt])
    parts = [_part(taught, ["annotated", "labels", "teacher"]), _part(fresh, ["never seen", "teacher", "doubt"])]
    return with_legend(np.concatenate(parts), annotated.classes)


def fresh_seeds(annotated: AnnotationSet, number: int) -> list[int]:
    """The same for every teacher, so that two can be compared, but none that was annotated."""
    return list(islice((seed for seed in count(FRESH_SEED) if seed not in annotated.seeds), number))


def _name(annotated: AnnotationSet, i: int) -> str:
    seed = annotated.seeds[i]
    return Path(annotated.photos[seed]).stem[:16] if seed in annotated.photos else str(seed)


def _seen(generator: Generator, teacher: Teacher, classes: ClassMap, ws: Tensor) -> tuple[Pixels, Pixels, Pixels]:
    """The image of a latent ws [1, L, W], what the teacher says of it, and how it doubts that.

    Doubt is entropy here, of ensembles too, whose networks may all be as unsure as each other.
    """
    seen = predict(generator, teacher, ws.to(device_of(generator)))
    image, labels = (tensor[0].cpu().numpy() for tensor in (seen.images, seen.labels))
    doubt = (entropy(seen.probs)[0] * 255 / math.log(2)).clamp(0, 255).to(torch.uint8).cpu().numpy()
    return image, marked(image, labels, classes), np.repeat(doubt[..., None], 3, axis=2)


def _part(samples: list[list[Pixels]], titles: list[str]) -> Pixels:
    """Two samples to a line."""
    lines = [list(chain(*samples[i : i + 2])) for i in range(0, len(samples), 2)]
    lines[0] += [_BLANK] * (2 * len(titles) - len(lines[0]))
    return contact_sheet(lines, CELL, titles * min(2, len(samples)))
