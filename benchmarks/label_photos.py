"""`gseg label --photos`: how many strokes photos take, with and without a student that learns from those before.

    python -m benchmarks.label_photos DATA [--draws 3]

DATA as for pretrained.py. A simulated annotator paints photo after photo, as simulated_annotator.py does samples, until
what the page shows of a photo is good, and accepts it. Every painting and training is a cell; writes label_photos.md.
"""

import argparse
import base64
import zlib
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import simulated_annotator as annotator
from benchmarks.cells import ROOT, cell, made
from benchmarks.pretrained import SIDE, Domain, Labelled, faces, game_characters, judged, pretrained_config, spread
from gseg_cli.device import pick_device
from gseg_cli.distill.config import PHOTOS_GEOMETRY, PRETRAINED_LOSS, find_geometry
from gseg_cli.distill.larger_input import with_larger_input
from gseg_cli.distill.net_config import PRETRAINED
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.train import fit_student
from gseg_cli.gan.framing import frame_labels
from gseg_cli.label import photos as label_photos
from gseg_cli.label.features import SampleFeatures
from gseg_cli.label.photo_session import LEAST, STEPS, study
from gseg_cli.label.photos import Photos, Square
from gseg_cli.label.pixels import PixelChoice
from gseg_cli.label.prediction import Picture
from gseg_cli.label.refine import Refiner
from gseg_cli.label.ridge import fit_ridge
from gseg_cli.label.table import Table
from gseg_cli.label.teacher import PIXELS
from gseg_cli.memory import keep_freed_memory
from gseg_cli.pretrained.lite0 import load_lite0
from gseg_cli.progress import progress
from gseg_cli.reproduce.subject import Photo
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.files import write_text
from gseg_runtime.metrics import confusion_matrix, mean_iou

GOOD, MOST = 0.9, 40  # a photo is accepted at this mean IoU, or after so many strokes
PAINTED, TAUGHT = 8, 5  # photos; a student learns from the first of them
# By domain: the side that photos are painted at, and the side they are seen at, as on a page of 512 px.
SIDES = {"faces": (128, 256), "sprites": (64, 128)}


class Page:
    """What the page shows of photos, computed in one thread. Changed labels are given anew."""

    def __init__(self, photos: Photos) -> None:
        self.photos, self.features = photos, SampleFeatures(photos)
        self.choice, self.refiner = PixelChoice(PIXELS), Refiner(photos.feature_channels, photos.size)
        for seed in photos.seeds:
            self.features.small(seed)
        self.table = Table(*self.features.statistics())

    def look(self, labels: annotator.Labels, seed: int) -> Picture:
        """The refined prediction of one photo."""
        maps = {i: labels[i].copy() for i in self.photos.seeds}
        follow = self.table.follow(self.choice.of(maps), lambda i, places: self.features.whole(i).at(places))
        annotator.returned(follow)
        refined = annotator.returned(self.refiner.fit(self.table, fit_ridge(self.table)))
        return annotator.returned(refined.predict(self.features.whole(seed)))


@dataclass
class Painting:
    """Of photos in squares [N, S, S, 3] with true labels [N, S, S]. has_student: as on the page since there is one."""

    images: np.ndarray
    truth: annotator.Labels
    classes: ClassMap
    photos: Photos
    has_student: bool
    labels: annotator.Labels = field(init=False)

    def __post_init__(self) -> None:
        self.labels = np.full_like(self.truth, IGNORE)

    def paint(self) -> list[int]:
        """The strokes of each photo."""
        page, counts = Page(self.photos), []
        for seed in self.photos.seeds:
            if self.has_student and seed >= LEAST:
                page = Page(replace(self.photos, student=self._student(seed)))
            counts.append(self._paint(page, seed))
        return counts

    def _student(self, count: int) -> Any:
        """Of the photos before; their accepted labels."""
        pairs = PairSet.exact(self.images[:count], self.labels[:count])
        return annotator.returned(study(pairs, self.classes, pick_device()))

    def _paint(self, page: Page, seed: int) -> int:
        """Until the photo is good; then all that is shown becomes its labels."""
        truth, shown, count = self.truth[seed], self.labels[seed], 0
        acts = annotator.outlined_parts(truth[None] != IGNORE, truth[None])
        if seed:
            shown = self._shown(page, seed)
        while count < MOST and (count < 2 or self._quality(shown, truth) < GOOD):
            act = self._best(acts, shown, seed)
            self.labels[seed][act.mask] = act.label
            count += 1
            shown = self._shown(page, seed) if seed or count > 1 else self.labels[seed]
        self.labels[seed] = shown
        return count

    def _shown(self, page: Page, seed: int) -> np.ndarray:
        labels, predicted = self.labels[seed], page.look(self.labels, seed).labels
        return np.where(self.truth[seed] == IGNORE, IGNORE, np.where(labels == IGNORE, predicted, labels))

    def _quality(self, shown: np.ndarray, truth: np.ndarray) -> float:
        return float(mean_iou(confusion_matrix(shown, truth, len(self.classes))))

    def _best(self, outlines: list[annotator.Region], shown: np.ndarray, seed: int) -> annotator.Region:
        truth = self.truth[seed][None]
        weight = np.bincount(truth.ravel(), minlength=256).clip(1)[truth] ** -0.5 * (truth != IGNORE)
        right = (shown[None] == truth) | (truth == IGNORE)
        scale = truth.shape[-1] // 64
        acts = annotator.polygons(outlines, self.labels[seed][None]) + annotator.lines(right, truth, weight, scale)
        best = max(acts, key=lambda act: annotator.gain(act, right, truth, weight))
        return replace(best, mask=best.mask & (truth[0] != IGNORE))


@dataclass(frozen=True)
class Job:
    """One draw: photos that are painted one after the other, and the student that learns from them."""

    domain: Domain
    draw: int
    has_student: bool

    @cached_property
    def painted(self) -> dict[str, Any]:
        about = {
            "domain": self.domain.key, "draw": self.draw, "student": self.has_student and STEPS, "good": GOOD,
            "least": self.has_student and LEAST, "photos": PAINTED, "sides": SIDES[self.domain.name],
        }  # fmt: skip
        return cell("label-photos", about, self._paint)["figures"]

    @property
    def trained(self) -> float:
        """Mean IoU of `gseg student-train`'s student of the first accepted photos."""
        about = {
            "domain": self.domain.key,
            "draw": self.draw,
            "labels": self.painted["labels"],
            "train": asdict(self._train),
        }
        return cell("label-photos-student", about, self._fit)["figures"]["miou"]

    @property
    def _photos(self) -> tuple[Labelled, Labelled]:
        """Those that are painted, and those that a student of the first is measured on."""
        train, test = self.domain.split(self.draw, TAUGHT)
        return (train + test)[:PAINTED], test

    @property
    def _train(self) -> Any:
        config = pretrained_config(self.domain, self.draw, student=PRETRAINED, input_size=SIDE, loss=PRETRAINED_LOSS)
        return replace(config, augment=find_geometry(PHOTOS_GEOMETRY))

    def _paint(self) -> dict[str, Any]:
        side, seen = SIDES[self.domain.name]
        label_photos.LEAST_INPUT = seen
        images, truth = squares(self._photos[0], side)
        with TemporaryDirectory() as folder:
            photos = _photos_of(images, Path(folder))
            painting = Painting(images, truth, self.domain.classes, photos, self.has_student)
            counts = painting.paint()
        quality = mean_iou(confusion_matrix(painting.labels, truth, len(self.domain.classes)))
        labels = base64.b64encode(zlib.compress(painting.labels[:TAUGHT].tobytes(), 9)).decode()
        return {"strokes": counts, "miou": quality, "labels": labels}

    def _fit(self) -> dict[str, Any]:
        images, truth = squares(self._photos[0][:TAUGHT], SIDES[self.domain.name][0])
        data = zlib.decompress(base64.b64decode(self.painted["labels"]))
        pairs = PairSet.exact(images, np.frombuffer(data, np.uint8).reshape(truth.shape).copy())
        config = self._train
        with progress(f"{self.domain.title}, draw {self.draw}", "steps") as on_step:
            net = fit_student(pairs.at(SIDE), self.domain.classes, config, pick_device(), on_step=on_step)
        net = with_larger_input(net, config.augment)
        return judged(net, self._photos[1], net.config.input_size, self.domain.classes)


def squares(labelled: Labelled, side: int) -> tuple[np.ndarray, annotator.Labels]:
    shown = [Photo.of(pixels, truth, side) for pixels, truth in labelled]
    return np.stack([p.square for p in shown]), np.stack([frame_labels(p.truth, p.framing) for p in shown])


def _photos_of(images: np.ndarray, folder: Path) -> Photos:
    found = []
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.png")
        found.append(Square(folder / f"{i}.png", Photo.of(image, image[..., 0], len(image)).framing, str(i)))
    names, encoder = tuple(f"{i}.png" for i in range(len(images))), load_lite0().requires_grad_(False)
    return Photos(folder, names, tuple(found), names, images.shape[1], folder, folder, encoder.to(pick_device()))


TEXT = """# Strokes on photos

How many strokes it takes to label {count} photos on the page of `gseg label --photos`, and what their labels are worth.

A simulated annotator paints photo after photo: each stroke is the polygon or the line that corrects most of what the
page shows of this photo, as in [label.md](label.md), whose strokes are longer and wider here with the pictures. When
what is shown has {good} mean IoU, labels and prediction together, or after {most} strokes, all of it is accepted, and
the next photo follows. *With a student*: once {least} photos are accepted the page's teacher also goes by what a
student of the photos before says, which trained for {steps} steps, as on the page; *without*: the page as it was.
*Labels*: mean IoU of what was accepted. *Student*: mean IoU of `gseg student-train`'s student of the first {taught} on
other photos.
Portraits and game characters, and those others, are as in [pretrained.md](pretrained.md), which has students of exact
labels. Draws: {draws}.

Made by `python -m benchmarks.label_photos DATA --draws {draws}`,
commit {commit}, {date}, {hardware}.

{tables}
"""


def table(domain: Domain, draws: int) -> str:
    photos = " | ".join(f"photo {i + 1}" for i in range(PAINTED))
    rows = [f"| {domain.title} | {photos} | all | labels | student |", f"|---|{'---:|' * (PAINTED + 3)}"]
    for name, has_student in (("without a student", False), ("with a student", True)):
        jobs = [Job(domain, draw, has_student) for draw in range(draws)]
        strokes = [job.painted["strokes"] for job in jobs]
        each = " | ".join(f"{mean(counts[i] for counts in strokes):.1f}" for i in range(PAINTED))
        sums = f"{mean(map(sum, strokes)):.0f}"
        labels = f"{mean(job.painted['miou'] for job in jobs):.3f}"
        rows.append(f"| {name} | {each} | {sums} | {labels} | {spread([job.trained for job in jobs])} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    tables = "\n\n".join(map(partial(table, draws=args.draws), (faces(args.data), game_characters(args.data))))
    write_text(
        ROOT / "label_photos.md",
        TEXT.format(
            count=PAINTED,
            taught=TAUGHT,
            least=LEAST,
            good=GOOD,
            most=MOST,
            steps=STEPS,
            draws=args.draws,
            tables=tables,
            **made(),
        ),
    )


if __name__ == "__main__":
    main()
