"""Students of labelled photos on data sets that anybody can fetch: parts of cars, clothes, and a field with weeds.

    python -m benchmarks.public_photos --cars DIR --clothes DIR --weeds DIR [--draws 2]

DIRs are clones of https://github.com/dsmlr/Car-Parts-Segmentation, https://github.com/bearpaw/clothing-co-parsing and
https://github.com/cwfid/dataset. Students learn from some of the photos that these keep for training, and are measured
on all that they keep for testing. Every training is a cell; writes public_photos.md.
"""

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.cells import ROOT, cell, made
from benchmarks.photos import digest
from benchmarks.pretrained import judged, spread
from gseg_cli.app import main as gseg
from gseg_cli.device import pick_device
from gseg_cli.distill.config import SUPERVISED_PRETRAINED_SIZE, StudentConfig, configure_supervised
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.labelled_photos import classes_of, read_labelled
from gseg_cli.distill.larger_input import with_larger_input
from gseg_cli.distill.net_config import PRETRAINED
from gseg_cli.distill.student import save_student
from gseg_cli.distill.train import fit_student
from gseg_cli.memory import keep_freed_memory
from gseg_cli.progress import progress
from gseg_runtime import Segmenter
from gseg_runtime.class_map import ClassMap
from gseg_runtime.files import write_text
from gseg_runtime.label_map import LabelMap, Pixels, read_label_png, write_label_png
from gseg_runtime.metrics import confusion_matrix, iou_per_class

Labelled = list[tuple[Pixels, LabelMap]]


@dataclass(frozen=True)
class Set:
    """A clone. train, test: folders of images and masks, as `gseg student-train` takes them."""

    train: Path
    test: Path
    classes: ClassMap

    @cached_property
    def key(self) -> str:
        return digest(path for where in (self.train, self.test) for pair in self.files(where) for path in pair)

    def files(self, where: Path) -> list[tuple[Path, Path]]:
        masks = {path.stem: path for path in (where / "masks").iterdir()}
        return [(path, masks[path.stem]) for path in sorted((where / "images").iterdir())]

    def chosen(self, count: int, draw: int) -> list[tuple[Path, Path]]:
        """Of those to learn from."""
        files = self.files(self.train)
        return [files[row] for row in np.random.RandomState(draw).permutation(len(files))[:count]]


def cars(clone: Path, scratch: Path) -> Set:
    """As `gseg annotate-import` reads them."""
    folders = []
    for name in ("trainingset", "testset"):
        project = scratch / name
        classes = str(folders[0].parent / "gseg.toml") if folders else "background"
        gseg(["init", str(project), "--classes", classes])
        source, photos = clone / name / "annotations.json", clone / name / "JPEGImages"
        call = ["annotate-import", str(source), "--photos", str(photos), "--no-invert", "--yes"]
        if gseg(["-C", str(project), *call]):
            raise SystemExit(f"{source}: not the data set that was expected")
        folders.append(project / "labelled")
    classes_there = classes_of(folders[0])
    assert classes_there
    return Set(*folders, classes_there)


# Of the 59 classes of Clothing Co-Parsing, each part of them with those that it is made of.
GARMENTS = {
    "hair": "hair",
    "skin": "skin",
    "shoes": "boots clogs flats heels loafers pumps sandals shoes sneakers wedges",
    "bag": "bag purse wallet",
    "dress": "dress romper bodysuit suit swimwear",
    "top": "blouse bra hoodie intimate jumper shirt sweater sweatshirt t-shirt top vest tie",
    "outerwear": "blazer cape cardigan coat jacket",
    "trousers": "jeans leggings pants shorts panties",
    "skirt": "skirt",
    "legwear": "stockings tights socks",
    "hat": "hat",
    "glasses": "glasses sunglasses",
    "accessories": "accessories belt bracelet earrings gloves necklace ring scarf watch",
}
CLOTHES = ClassMap.of_names(["background", *GARMENTS])


def clothes(clone: Path, scratch: Path) -> Set:
    """It keeps none for testing: every seventh of its labelled photos."""
    names = [str(name[0]) if len(name) else "" for name in _matlab(clone / "label_list.mat", "label_list")[0]]
    part_of = {name: part for part, those in enumerate(GARMENTS.values(), 1) for name in those.split()}
    table = np.array([part_of.get(name, 0) for name in names], np.uint8)
    for number, drawn in enumerate(sorted((clone / "annotations/pixel-level").glob("*.mat"))):
        where = scratch / ("train" if number % 7 else "test")
        for part in ("images", "masks"):
            (where / part).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clone / "photos" / f"{drawn.stem}.jpg", where / "images" / f"{drawn.stem}.jpg")
        write_label_png(where / "masks" / f"{drawn.stem}.png", table[_matlab(drawn, "groundtruth")], CLOTHES)
    return Set(scratch / "train", scratch / "test", CLOTHES)


def _matlab(path: Path, name: str) -> Any:
    from scipy.io import loadmat

    return loadmat(path)[name]


FIELD = ClassMap.of_names(["soil", "crop", "weed"])


def weeds(clone: Path, scratch: Path) -> Set:
    """Green is crop, red is weed. Photo 28 is in both parts of the split: it is learned from only."""
    lines = (clone / "train_test_split.yaml").read_text().splitlines()
    split = {part: json.loads(rows) for part, rows in (line.split(":") for line in lines if ":" in line)}
    for part in ("train", "test"):
        for number in split[part]:
            if part == "train" or number not in split["train"]:
                _field_photo(clone, number, scratch / part)
    return Set(scratch / "train", scratch / "test", FIELD)


def _field_photo(clone: Path, number: int, where: Path) -> None:
    for part in ("images", "masks"):
        (where / part).mkdir(parents=True, exist_ok=True)
    with Image.open(clone / "annotations" / f"{number:03d}_annotation.png") as drawn:
        red, green, _ = np.moveaxis(np.asarray(drawn.convert("RGB")) > 127, 2, 0)
    write_label_png(where / "masks" / f"{number:03d}.png", np.where(red, 2, green).astype(np.uint8), FIELD)
    with Image.open(clone / "images" / f"{number:03d}_image.png") as photo:
        photo.convert("RGB").save(where / "images" / f"{number:03d}.png")


def _config(count: int, draw: int, **changes: Any) -> StudentConfig:
    """As of `gseg student-train`."""
    return configure_supervised({"student": PRETRAINED, "geometry": "paper", "seed": draw, **changes}, num_photos=count)


def of_cars(data: Set, count: int, draw: int, *, tells_sides: bool = True, **changes: Any) -> dict[str, Any]:
    """The cell of a student of so many cars. tells_sides: whether the names of its classes tell them."""
    plain = ClassMap.of_names([f"part {i}" for i in range(len(data.classes))])
    taught = data.classes if tells_sides else plain
    return _of_whole_photos("public-cars", data, count, draw, taught, {"sides": tells_sides}, changes)


def of_clothes(data: Set, count: int, draw: int, **changes: Any) -> dict[str, Any]:
    """The cell of a student of so many photos of people in their clothes."""
    return _of_whole_photos("public-clothes", data, count, draw, data.classes, {}, changes)


def _of_whole_photos(
    name: str, data: Set, count: int, draw: int, taught: ClassMap, also: dict[str, Any], changes: dict[str, Any]
) -> dict[str, Any]:
    """taught: the classes as the student knows them. also: of the cell's config."""
    train = _config(count, draw, **changes).train
    about = {"data": data.key, "count": count, "draw": draw, **also, "train": asdict(train)}

    def compute() -> dict[str, Any]:
        assert train.input_size
        photos = read_labelled(data.train, data.classes, train.input_size, files=data.chosen(count, draw))
        start_s = time.process_time()
        with progress(f"{train.student}, {count} photos at {train.input_size} px, draw {draw}", "steps") as on_step:
            net = fit_student(photos, taught, train, pick_device(), on_step=on_step)
        trained_s = time.process_time() - start_s
        net = with_larger_input(net, train.augment)
        figures = judged(net, list(_read(data.files(data.test))), net.config.input_size, data.classes)
        return {"trained_s": trained_s, "side": net.config.input_size, **figures}

    return cell(name, about, compute)["figures"]


def of_weeds(data: Set, count: int, draw: int, tile: int | None, **changes: Any) -> dict[str, Any]:
    """The cell of a student of so many photos of the field, or of their tiles."""
    config = _config(count, draw, **changes)
    train = config.train
    about = {"data": data.key, "count": count, "draw": draw, "tile": tile, "train": asdict(train)}

    def compute() -> dict[str, Any]:
        assert train.input_size
        files = data.chosen(count, draw)
        photos = read_labelled(data.train, data.classes, train.input_size, files=files, tile=tile)
        start_s = time.process_time()
        with progress(f"tiles of {tile}, draw {draw}", "steps") as on_step:
            net = fit_student(photos, data.classes, train, pick_device(), on_step=on_step)
        trained_s = time.process_time() - start_s
        if not tile:
            net = with_larger_input(net, train.augment)
        with TemporaryDirectory() as folder:
            checkpoint, model = Path(folder, "checkpoint.safetensors"), Path(folder, "model.onnx")
            save_student(checkpoint, net, data.classes, {"parents": [], "trained": {"tile": tile}})
            export_student(checkpoint, model)
            return {"squares": len(photos), "trained_s": trained_s, **_segmented(model, data)}

    return cell("public-weeds", about, compute)["figures"]


def _segmented(model: Path, data: Set) -> dict[str, Any]:
    """Of all test photos at their own size, as `gseg segment` makes masks."""
    files, num_classes = data.files(data.test), len(data.classes)
    matrix = np.zeros((num_classes, num_classes + 1), np.int64)
    start_s = time.process_time()
    with Segmenter.load(model) as segmenter:
        for photo, mask in files:
            matrix += confusion_matrix(segmenter.segment_file(photo), read_label_png(mask), num_classes)
    ious = dict(zip(data.classes.names, iou_per_class(matrix).tolist(), strict=True))
    return {"miou": mean(ious.values()), "ious": ious, "s_per_photo": (time.process_time() - start_s) / len(files)}


def _read(files: list[tuple[Path, Path]]) -> Iterator[tuple[Pixels, LabelMap]]:
    for photo, mask in files:
        with Image.open(photo) as image:
            yield np.asarray(image.convert("RGB")), read_label_png(mask)


TEXT = """# Students of labelled photos, on data that anybody can fetch

None of these data sets had a part in the making of gseg until 2026-12-01, and they show what other pages do not: many
classes, some of which differ in their side alone, and photos in which small things count. `gseg student-train` learns
from some of the photos that a data set keeps for training, others in each draw, and is measured on all that it keeps
for testing: mean IoU over all classes from one confusion matrix, background included, at the photos' own size. Draws:
{draws}.

Made by `python -m benchmarks.public_photos --cars DIR --clothes DIR --weeds DIR --draws {draws}`,
commit {commit}, {date}, {hardware}.

## Parts of cars

[Car Parts](https://github.com/dsmlr/Car-Parts-Segmentation) (Pasupa et al. 2021): photos of 512 px, background and 18
parts, ten of them left or right. 100 photos to measure on. `lite0`, here at 128 px unless something else is said.

{cars}

- *names that tell no side*: mirrored pictures keep their labels, as before 2026-12-01. A left door seen in a mirror was
  taught as a left door.
- *usual*: `front_left_door` and `front_right_door` change places in mirrored pictures, and so do the others.
- 400 cars had 0.601 after 1,000 steps; by a script that is not kept.

By class, with {most} photos at {side} px, the mean of the draws:

{by_class}.

## Larger pictures

Cars as above, and [Clothing Co-Parsing](https://github.com/bearpaw/clothing-co-parsing) (Yang et al. 2014): photos of
people in the street, about 550 x 830 px, whose 59 classes are merged into hair, skin and eleven kinds of garments.
Every seventh of its 1,004 labelled photos, {clothes_test}, to measure on. *Side*: `--input-size`, of the pictures that
`lite0` learns from; what it segments is somewhat larger ([input_size.md](input_size.md)). CPU seconds of one training.

{sides}

{side} px is the usual side. More pixels bring more, for as many times the work, in training and for every photo.
By class, clothes of {clothes} photos at {side} px: {clothes_by_class}.

## Crops and weeds

[CWFID](https://github.com/cwfid/dataset) (Haug and Ostermann 2014): a field from above, 1296 x 966 px, soil, crop
(carrots) and weed; green and red of its annotations. {field_photos} photos to learn from, {test_photos} to measure on.
*Squares*: whole photos, or tiles of so many pixels, shown to the student at that side. CPU seconds of one training, and
of one photo segmented.

{weeds}

More steps bring little here (tiles of 256 px at 128, the first draw: 0.724 after 500), and so does `--geometry aligned`
in place of `paper` (0.720); by a script that is not kept.
"""

# What is said of a student of cars, and how it differs from the usual one.
CARS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "UNet of `gseg distill`, from nothing, 600 steps at 64 px",
        {"student": "default", "input_size": 64, "steps": 600},
    ),
    ("names that tell no side", {"input_size": 128, "tells_sides": False}),
    ("`--no-mirror`", {"input_size": 128, "mirror": False}),
    ("usual", {"input_size": 128}),
    ("`--steps 250`", {"input_size": 128, "steps": 250}),
)
NUM_CARS, NUM_CLOTHES, NUM_FIELD = (10, 40), 10, 5
TILES = ((None, 128), (512, 128), (384, 128), (256, 128), (128, 128), (None, 192), (256, 192))  # and the side
SIDES = (("cars", 10, (128, 192, 256)), ("cars", 40, (128, 192)), ("clothes", 10, (128, 192, 256)))


def cars_table(data: Set, draws: int) -> str:
    rows = [f"| student | {' | '.join(f'{count} photos' for count in NUM_CARS)} |", f"|---|{'---:|' * len(NUM_CARS)}"]
    for name, how in CARS:
        cells = [[of_cars(data, count, draw, **how)["miou"] for draw in range(draws)] for count in NUM_CARS]
        rows.append(f"| {name} | {' | '.join(map(spread, cells))} |")
    return "\n".join(rows)


def sides_table(parts: Set, people: Set, draws: int) -> str:
    rows = ["| photos | labelled | side | mean IoU | training, s |", "|---|---:|---:|---:|---:|"]
    for what, count, sides in SIDES:
        of = partial(of_cars, parts) if what == "cars" else partial(of_clothes, people)
        for side in sides:
            found = [of(count, draw, input_size=side) for draw in range(draws)]
            miou = spread([each["miou"] for each in found])
            seconds = f"{mean(each['trained_s'] for each in found):.0f}" if "trained_s" in found[0] else ""
            rows.append(f"| {what} | {count} | {side} px | {miou} | {seconds} |")
    return "\n".join(rows)


def by_class(figures: list[dict[str, float]]) -> str:
    """figures: IoU of each class, of several draws."""
    means = {name: mean(each[name] for each in figures) for name in figures[0]}
    return ", ".join(f"{name} {iou:.2f}" for name, iou in sorted(means.items(), key=lambda item: -item[1]))


def weeds_table(data: Set, draws: int) -> str:
    rows = [
        "| squares | number | side | mean IoU | crop | weed | training, s | photo, s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for tile, side in TILES:
        found = [of_weeds(data, NUM_FIELD, draw, tile, input_size=side) for draw in range(draws)]
        ious = " | ".join(f"{mean(each['ious'][name] for each in found):.3f}" for name in ("crop", "weed"))
        seconds = [mean(each[key] for each in found) for key in ("trained_s", "s_per_photo")]
        name = f"`--tile {tile}`" if tile else "whole photos"
        miou = spread([each["miou"] for each in found])
        rows.append(
            f"| {name} | {found[0]['squares']} | {side} px | {miou} | {ious} | {seconds[0]:.0f} | {seconds[1]:.2f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cars", type=Path, required=True)
    parser.add_argument("--clothes", type=Path, required=True)
    parser.add_argument("--weeds", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    with TemporaryDirectory() as scratch:
        parts, people = cars(args.cars, Path(scratch, "cars")), clothes(args.clothes, Path(scratch, "clothes"))
        field, draws, most = weeds(args.weeds, Path(scratch, "weeds")), range(args.draws), NUM_CARS[-1]
        text = TEXT.format(
            draws=args.draws, cars=cars_table(parts, args.draws), most=most, side=SUPERVISED_PRETRAINED_SIZE,
            by_class=by_class([of_cars(parts, most, draw)["per_class_iou"] for draw in draws]),
            sides=sides_table(parts, people, args.draws), clothes_test=len(people.files(people.test)),
            clothes=NUM_CLOTHES,
            clothes_by_class=by_class([of_clothes(people, NUM_CLOTHES, draw)["per_class_iou"] for draw in draws]),
            field_photos=NUM_FIELD, test_photos=len(field.files(field.test)), weeds=weeds_table(field, args.draws),
            **made(),
        )  # fmt: skip
    write_text(ROOT / "public_photos.md", text)


if __name__ == "__main__":
    main()
