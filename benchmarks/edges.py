"""What do smooth edges and tiles bring, and what do they cost?

python -m benchmarks.edges [--models DIR] [--portraits DIR]

Toy faces rendered at several times the network's size, with exact labels. DIR of the models keeps the networks that
are trained for this. DIR of the portraits holds images and masks, as of FASSEG. Writes edges.md.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image

from benchmarks.cells import ROOT, made
from gseg_cli.builtin import PREFIX, SMALL, Builtin
from gseg_cli.datasets.splits import TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES, render, write_dataset
from gseg_cli.demo import STUDENT
from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.student import load_student
from gseg_cli.distill.train import fit_student
from gseg_cli.evaluate.boundary import boundary_counts, boundary_f
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe, run_recipe
from gseg_export.graph import CONFIDENCE, LABELS, LOGITS, finish
from gseg_export.to_onnx import trace
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.detail import Edges
from gseg_runtime.files import write_bytes, write_text
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, Pixels, read_label_png, resize_labels
from gseg_runtime.metrics import confusion_matrix, mean_iou
from gseg_runtime.model_card import ModelCard
from gseg_runtime.segmenter import Segmenter

OUTPUTS = (LABELS, CONFIDENCE, LOGITS)
SIDE, NUM_FACES = 512, 32
SMALL_SIDE, NUM_COLLAGES = 256, 4
TOLERANCES = (0.0025, 0.0075)  # of the image diagonal; the second is that of gseg evaluate
PORTRAIT_STEPS = 200
PORTRAITS = ClassMap.of_names(["background", "skin", "hair", "eyes", "nose", "mouth"])
SPEED_SIDE, NUM_PHOTOS, REPEATS = 1024, 8, 5

Scene = tuple[Pixels, LabelMap]  # a photo and its exact labels


@dataclass
class Score:
    """Counts over all photos."""

    num_classes: int
    matrix: np.ndarray | int = 0
    counts: list[np.ndarray | int] = field(default_factory=lambda: [0] * len(TOLERANCES))

    def add(self, predicted: LabelMap, truth: LabelMap) -> None:
        self.matrix = self.matrix + confusion_matrix(predicted, truth, self.num_classes)
        for index, tolerance in enumerate(TOLERANCES):
            more = boundary_counts(predicted, truth, self.num_classes, tolerance=tolerance)
            self.counts[index] = self.counts[index] + more

    def row(self, *names: str) -> str:
        figures = [mean_iou(self.matrix), *(float(np.nanmean(boundary_f(counts))) for counts in self.counts)]
        return "| " + " | ".join([*names, *(f"{figure:.3f}" for figure in figures)]) + " |"


def student(folder: Path) -> Path:
    """Of ten annotations, as `gseg demo` trains it, but at 64 px."""
    out = folder / f"{SMALL}.onnx"
    if not out.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            photos = Path(temporary) / "photos"
            write_dataset(photos, count=1, seed=TEST_SEEDS[0])
            recipe = Recipe(
                gan=PREFIX + SMALL, label_maps=Builtin(SMALL).annotations, classes=CLASSES, photos=photos / "images",
                student=STUDENT,
            )  # fmt: skip
            outcome = run_recipe(recipe, Path(temporary) / "project", torch.device("cpu"), progress)
            export_student(outcome.student.checkpoint, out, outputs=OUTPUTS)
    return out


def reference(folder: Path, name: str) -> Path:
    """The network that learned from thousands of exact labels and annotates the samples of a GAN that comes along."""
    out = folder / f"{name}-reference.onnx"
    net, classes, _ = load_student(Builtin(name).reference)
    size = net.config.input_size
    write_bytes(out, finish(trace(net, size, OUTPUTS), ModelCard(classes=classes, input_size=size)).onnx)
    return out


def _masks(edges: Edges) -> Callable[[Segmenter, Pixels], LabelMap]:
    return lambda segmenter, photo: segmenter.predict([photo], edges=edges)[0].labels


WAYS = {
    "labels enlarged": _masks("nearest"),
    "logits enlarged, `--edges smooth`": _masks("smooth"),
    "drawn to the photo, `--edges guided`": _masks("guided"),
}


def face_rows(models: dict[str, Path], faces: list[Scene]) -> Iterator[str]:
    yield from ("| network | edges | mean IoU | F, 2 px | F, 6 px |", "|---|---|---:|---:|---:|")
    for name, model in models.items():
        with Segmenter.load(model, "cpu") as segmenter:
            for way, label in WAYS.items():
                score = Score(len(CLASSES))
                for photo, truth in faces:
                    score.add(label(segmenter, photo), truth)
                yield score.row(name, way)


def portrait_rows(folder: Path, models: Path) -> Iterator[str]:
    """Every second portrait through a network that learned from the labels of the others."""
    yield from ("| edges | mean IoU | F, 2 px | F, 5 px |", "|---|---:|---:|---:|")
    scenes = portraits(folder)
    with Segmenter.load(trained(scenes[1::2], models / "portraits.onnx"), "cpu") as segmenter:
        for way, label in WAYS.items():
            score = Score(len(PORTRAITS))
            for photo, truth in scenes[::2]:
                score.add(label(segmenter, photo), truth)
            yield score.row(way)


def portraits(folder: Path) -> list[Scene]:
    paths = sorted((folder / "masks").iterdir())
    photos = [read_image(next((folder / "images").glob(f"{path.stem}.*"))).pixels for path in paths]
    return list(zip(photos, map(read_label_png, paths), strict=True))


def trained(scenes: list[Scene], out: Path) -> Path:
    """A student's network of 64 px, from labelled photos in place of pairs."""
    if out.is_file():
        return out
    size = 64
    boxes = [Letterbox(*truth.shape, size) for _, truth in scenes]
    squares = np.stack([box.apply(photo) for box, (photo, _) in zip(boxes, scenes, strict=True)])
    labels = np.full(squares.shape[:3], IGNORE, np.uint8)
    for square, box, (_, truth) in zip(labels, boxes, scenes, strict=True):
        square[box.window] = resize_labels(truth, box.scaled)
    with progress(out.stem, "steps") as on_step:
        pairs, cpu = PairSet.exact(squares, labels), torch.device("cpu")
        net = fit_student(pairs, PORTRAITS, DistillConfig(steps=PORTRAIT_STEPS, batch=16), cpu, on_step=on_step)
    write_bytes(out, finish(trace(net, size, OUTPUTS), ModelCard(classes=PORTRAITS, input_size=size)).onnx)
    return out


def collages() -> list[Scene]:
    """Nine faces in rows of three, the outer ones cut off in part; few lie in a tile as the network learned them."""
    scenes = []
    for index in range(NUM_COLLAGES):
        faces = [render(seed, SMALL_SIDE) for seed in TEST_SEEDS[9 * index : 9 * index + 9]]
        image, labels = (
            np.concatenate([np.concatenate([face[which] for face in faces[row : row + 3]], 1) for row in (0, 3, 6)])
            for which in (0, 1)
        )
        scenes.append((image[37:, :700], labels[37:, :700]))
    return scenes


def tile_rows(model: Path, faces: list[Scene]) -> Iterator[str]:
    yield from ("| photos | tile | mean IoU | F, fine | F, coarse |", "|---|---|---:|---:|---:|")
    kinds = {
        f"nine faces, each {SMALL_SIDE} px": (collages(), (None, 200, 256, 320)),
        f"one face, {SIDE} px": (faces, (None, 384, 256)),
    }
    with Segmenter.load(model, "cpu") as segmenter:
        for kind, (scenes, tiles) in kinds.items():
            for tile in tiles:
                score = Score(len(CLASSES))
                for photo, truth in scenes:
                    score.add(segmenter.predict([photo], edges="smooth", tile=tile)[0].labels, truth)
                yield score.row(kind, "whole photo" if tile is None else f"{tile} px")


def speed_rows(models: dict[str, Path], folder: Path) -> Iterator[str]:
    yield from ("| network | labels | smooth | guided |", "|---|---:|---:|---:|")
    photos = folder / "photos"
    photos.mkdir()
    for seed in TEST_SEEDS[:NUM_PHOTOS]:
        Image.fromarray(render(seed, SPEED_SIDE)[0]).save(photos / f"{seed}.jpg", quality=90)
    for name, model in models.items():
        with Segmenter.load(model, "cpu") as segmenter:
            least = dict.fromkeys(get_args(Edges), float("inf"))
            for edges in list(least) * REPEATS:
                start_s = time.process_time()
                segmenter.segment_folder(photos, folder / edges, edges=edges, workers=1, overwrite=True)
                least[edges] = min(least[edges], (time.process_time() - start_s) / NUM_PHOTOS * 1e3)
        yield f"| {name} | " + " | ".join(f"{spent:.1f}" for spent in least.values()) + " |"


def milliseconds(model: Path) -> dict[str, float]:
    """CPU time of each way with one photo in memory, the least of three."""
    photo, _ = render(TEST_SEEDS[0], SPEED_SIDE)
    least = {}
    with Segmenter.load(model, "cpu") as segmenter:
        for way, label in WAYS.items():
            times = []
            for _ in range(3):
                start_s = time.process_time()
                label(segmenter, photo)
                times.append(time.process_time() - start_s)
            least[way] = min(times) * 1e3
    return least


TEXT = """# Edges and tiles

Made by `{command}`, commit {commit}, {date}, {hardware}, no GPU.

## Edges

{num_faces} toy faces of {side} px through networks of 64 and 128 px. *Student*: of ten annotations, as `gseg demo`
trains it. *Exact labels*: the reference annotators that come with gseg. F is the boundary F-score of `gseg evaluate`,
at a tolerance of 0.25 % and of 0.75 % of the diagonal. `--edges guided` is the fast guided filter (He and Sun 2015), in
colour, window 3, eps 0.0001; of those tried (window 3 and 5, eps 0.01 to 0.0001, grey and colour) the best.

{faces}
{portraits}
- Enlarged logits are ahead of enlarged labels, or level where there is little left to gain: `--edges smooth`.
- `--edges guided` is far ahead on toy faces, whose parts are of one colour each. On portraits it is level in mean IoU
  and ahead at the edges. It decodes each photo once more, in full.

## What they cost

CPU milliseconds per photo from file to file, JPEGs of {speed_side} x {speed_side} px, one worker; the least of
{repeats} interleaved runs.

{speed}

One such photo that is in memory already, through the student: {alone}.

`gseg segment` makes smooth edges where the model has logits, as `gseg export` gives them; `--edges nearest` is faster.

## Tiles

The student, with smooth edges; `--tile` in pixels of the photo.

{tiles}

- Where objects are small on the photo, tiles of about one object's size make the difference.
- Where one object fills the photo, they take away what the network knows of its framing, and the masks get worse.
"""

PORTRAIT_TEXT = """
The same on {num} portraits with hand-drawn labels (FASSEG), through the student's network of 64 px, trained for {steps}
steps on the labels of as many others.

{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, help="folder that keeps the trained networks")
    parser.add_argument("--portraits", type=Path, help="folder of images and masks")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = {
            "student, 64 px": student(args.models or folder),
            "exact labels, 64 px": reference(folder, "toy-faces-64"),
            "exact labels, 128 px": reference(folder, "toy-faces"),
        }
        faces = [render(seed, SIDE) for seed in TEST_SEEDS[:NUM_FACES]]
        on_portraits = ""
        if args.portraits:
            rows = "\n".join(portrait_rows(args.portraits, args.models or folder))
            on_portraits = PORTRAIT_TEXT.format(
                num=len(portraits(args.portraits)[::2]), rows=rows, steps=PORTRAIT_STEPS
            )
        text = TEXT.format(
            command="python -m benchmarks.edges" + (" --portraits DIR" if args.portraits else ""), **made(),
            num_faces=NUM_FACES, side=SIDE, speed_side=SPEED_SIDE, repeats=REPEATS, portraits=on_portraits,
            speed="\n".join(speed_rows(models, folder)), faces="\n".join(face_rows(models, faces)),
            alone=", ".join(f"{way} {ms:.0f} ms" for way, ms in milliseconds(models["student, 64 px"]).items()),
            tiles="\n".join(tile_rows(models["student, 64 px"], faces)),
        )  # fmt: skip
    write_text(ROOT / "edges.md", text)
    print(text)


if __name__ == "__main__":
    main()
