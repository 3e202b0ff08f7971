"""What a network that knows ImageNet brings where labels are few, on photographs and on game characters.

    python -m benchmarks.pretrained DATA --faces GAN --sprites GAN

DATA holds faces/fasseg_dev (portraits labelled by hand) and sprites/train.zip and test.zip (game characters with exact
maps). Networks learn from a few labelled photos alone: the UNet of `gseg distill`, a linear and a two-layer head on
frozen features of EfficientNet-Lite0, and the student lite0. Then the students of labelled samples of GANs, 64 px, as
of discriminators.py, and those of samples and photos together. The samples' labels are an annotator's: of faces a
network that learned from five portraits which are not measured on, of characters one that learned from all exact maps.
Every training is a cell. Writes pretrained.md and the table in the README.
"""

import argparse
import atexit
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import photos, sprites
from benchmarks.align import read_labelled
from benchmarks.cells import ROOT, cell, made
from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.choices import Loss
from gseg_cli.device import pick_device
from gseg_cli.distill.augment import Augmentation
from gseg_cli.distill.config import (
    PHOTOS_GEOMETRY,
    PRETRAINED_LOSS,
    PRETRAINED_STEPS,
    DistillConfig,
    PairsConfig,
    configure,
    find_geometry,
)
from gseg_cli.distill.larger_input import with_larger_input
from gseg_cli.distill.loss import soft_cross_entropy
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.pairs import PairSet, annotated_pairs
from gseg_cli.distill.second_opinion import agreed, second_opinion
from gseg_cli.distill.stage import choose_pairs, make_training_pairs
from gseg_cli.distill.student import Student
from gseg_cli.distill.train import fit_student
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.train import fit_teacher, taught
from gseg_cli.gan.framing import frame_labels
from gseg_cli.gan.load import GanModule, load_generator
from gseg_cli.memory import keep_freed_memory
from gseg_cli.pretrained.lite0 import WIDTHS, load_lite0
from gseg_cli.progress import progress
from gseg_cli.reproduce.scoring import score_unet
from gseg_cli.reproduce.subject import Photo, ScoredPhotos, Task
from gseg_cli.seeding import seed_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.files import sha256_file, write_text
from gseg_runtime.label_map import LabelMap, Pixels

NOTES = ROOT / "pretrained_notes.md"
HIDDEN = 256  # of the two-layer head
SIDE = 128  # of what a pretrained network sees
STEPS = 600  # of a network that starts from nothing
NUM_PAIRS = 1000  # for one student
NUM_SAMPLES, NUM_PHOTOS = (0, 1, 10), (0, 1, 5)  # together, in the second table
Labelled = list[tuple[Pixels, LabelMap]]


@dataclass(frozen=True)
class Domain:
    """name: for cells; title: for people. counts: of labelled photos. key: says which photos these are.

    split: for a draw and a count of labels, the photos to learn from and those to measure on. size: of the UNet's
    input; geometry: of both.
    """

    name: str
    title: str
    classes: ClassMap
    counts: tuple[int, ...]
    size: int
    geometry: str
    key: str
    split: Callable[[int, int], tuple[Labelled, Labelled]]


def faces(data: Path) -> Domain:
    """Nine portraits are held out in each draw, others each time, as in photos.md; four of them from ten labels."""
    folder = data / "faces" / "fasseg_dev"
    read = {path.stem: (pixels, truth) for path, pixels, truth in _read_faces(folder)}

    def split(draw: int, count: int) -> tuple[Labelled, Labelled]:
        order = np.random.RandomState(draw).permutation(sorted(read)).tolist()
        learned = max(count, 5)
        return [read[stem] for stem in order[:learned]], [read[stem] for stem in order[learned:]]

    key = photos.digest([*(folder / "images").iterdir(), *(folder / "masks").iterdir()])
    return Domain("faces", "portraits", photos.CLASSES, (1, 5, 10), 64, "paper", key, split)


def _read_faces(folder: Path) -> Iterator[tuple[Path, Pixels, LabelMap]]:
    return read_labelled(folder / "images", folder / "masks", photos.CLASSES)


def game_characters(data: Path) -> Domain:
    """Five hundred characters to measure on, the same in each draw."""
    folder = data / "sprites"

    @cache
    def read(name: str) -> Labelled:
        pairs = sprites.read_sprites(folder / f"{name}.zip")
        return list(zip(pairs.images.numpy(), pairs.first.numpy(), strict=True))

    def split(draw: int, _: int) -> tuple[Labelled, Labelled]:
        rows = np.random.RandomState(draw).permutation(len(read("train")))[:10]
        return [read("train")[row] for row in rows], read("test")

    key = sha256_file(folder / "train.zip")[:12]
    return Domain("sprites", "game characters", sprites.CLASSES, (1, 5, 10), 64, "aligned", key, split)


def pretrained_config(domain: Domain, draw: int, **changes: Any) -> DistillConfig:
    """Of a network that knows ImageNet."""
    return DistillConfig(steps=PRETRAINED_STEPS, seed=draw, augment=find_geometry(domain.geometry), **changes)


class Frozen(nn.Module):
    """Features of EfficientNet-Lite0 at a quarter of the input's resolution, and a head that alone learns."""

    def __init__(self, num_classes: int, hidden: int | None) -> None:
        super().__init__()
        self.config = NetConfig(size="lite0", num_classes=num_classes, input_size=SIDE)
        self.encoder = load_lite0().requires_grad_(False)
        width = sum(WIDTHS)
        layers: list[nn.Module] = [nn.BatchNorm2d(width)]
        if hidden:
            layers += [nn.Conv2d(width, hidden, 1), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Conv2d(hidden or width, num_classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, C, S, S]."""
        with torch.no_grad():
            features = self.encoder(image)
            side = image.shape[-1] // 4
            joined = torch.cat([resized(feature, side) for feature in features], dim=1)
        return resized(self.head(joined), image.shape[-1])


def resized(x: Tensor, side: int) -> Tensor:
    return nn.functional.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def fit_frozen(pairs: PairSet, classes: ClassMap, config: DistillConfig, hidden: int | None) -> Frozen:
    """As `fit_student` without its schedule: AdamW at 1e-3."""
    seed_step(config.seed, 0)
    net = Frozen(len(classes), hidden).to(pick_device()).train()
    optimizer = torch.optim.AdamW(net.head.parameters(), lr=1e-3, weight_decay=1e-4)
    augmentation = Augmentation(config.augment, classes, pick_device())
    for step in range(1, config.steps + 1):
        seed_step(config.seed, step)
        batch = augmentation(pairs[torch.randint(len(pairs), [config.batch])])
        optimizer.zero_grad()
        soft_cross_entropy(net(batch.image), batch).backward()
        optimizer.step()
    return net.eval()


def squares(labelled: Labelled, size: int) -> PairSet:
    """As the networks see photos, with their exact labels."""
    shown = [Photo.of(pixels, truth, size) for pixels, truth in labelled]
    labels = np.stack([frame_labels(photo.truth, photo.framing) for photo in shown])
    return PairSet.exact(np.stack([photo.square for photo in shown]), labels)


def judged(net: Any, test: Labelled, size: int, classes: ClassMap) -> dict[str, Any]:
    """Over all photos at once, each at its own size."""
    task = Task("all", classes)
    scored = ScoredPhotos("", {}, len(test), lambda _: (Photo.of(pixels, truth, size) for pixels, truth in test))
    return score_unet(net, scored, task)


def learned(domain: Domain, network: str, count: int, draw: int, loss: Loss = PRETRAINED_LOSS) -> dict[str, Any]:
    """The cell of a network that learned from so many labelled photos alone. loss: of lite0."""
    size = domain.size if network == "unet" else SIDE
    config = pretrained_config(domain, draw, student="default" if network == "unet" else "lite0", input_size=size)
    if network == "unet":
        config = replace(config, steps=STEPS)
    if network == "lite0":
        config = replace(config, loss=loss, augment=find_geometry(PHOTOS_GEOMETRY))
    about = {"domain": domain.key, "network": network, "count": count, "draw": draw, "train": asdict(config)}

    def compute() -> dict[str, Any]:
        train, test = domain.split(draw, count)
        pairs = squares(train[:count], size)
        if network in ("linear", "mlp"):
            net: Any = fit_frozen(pairs, domain.classes, config, HIDDEN if network == "mlp" else None)
        else:
            with progress(f"{network}, {count} {domain.title}, draw {draw}", "steps") as on_step:
                net = fit_student(pairs, domain.classes, config, pick_device(), on_step=on_step)
            net = with_larger_input(net, config.augment)
        return judged(net, test, net.config.input_size, domain.classes)

    return cell(f"pretrained-{domain.name}", about, compute)["figures"]


@dataclass(frozen=True)
class Samples:
    """Of a GAN of the domain. labelled: for a draw, so many of them as an annotator labels them."""

    gan: Path
    labelled: Callable[[int, int], AnnotationSet]

    @cached_property
    def gan_sha256(self) -> str:
        return sha256_file(self.gan)

    @cached_property
    def generator(self) -> GanModule:
        return load_generator(self.gan, pick_device())


def samples_of(domain: Domain, gan: Path, data: Path) -> Samples:
    """As the domain's annotator labels them."""
    if domain.name == "sprites":
        inner = sprites.Labelling(data / "sprites", gan)
        return Samples(gan, lambda draw, count: inner.annotations(draw).rows(range(count)))

    def labelled(draw: int, count: int) -> AnnotationSet:
        net = annotator(domain, pretrained_config(domain, draw, student="lite0", input_size=SIDE))
        return sprites.annotated_by(net, domain.classes, samples.generator, samples.gan_sha256, count, draw)

    samples = Samples(gan, labelled)
    return samples


@cache
def annotator(domain: Domain, config: DistillConfig) -> Student:
    """A network that learned from the five portraits that are not measured on in the draw of config.seed."""
    pairs = squares(domain.split(config.seed, 5)[0], SIDE)
    with progress(f"annotator, draw {config.seed}", "steps") as on_step:
        return fit_student(pairs, domain.classes, config, pick_device(), on_step=on_step)


def autoshot(
    domain: Domain, samples: Samples, network: str, count: int, num_photos: int, draw: int,
    loss: Loss | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The cell of a student of so many labelled samples and photos. loss: the usual one, if none is given."""
    usual = configure({"student": network}).train
    size = domain.size if network == "default" else SIDE
    config = pretrained_config(
        domain, draw, student=network, labels=usual.labels, annotated=usual.annotated, loss=loss or usual.loss
    )
    if network == "default":
        config = replace(config, steps=STEPS)
    elif num_photos:
        config = replace(config, augment=find_geometry(PHOTOS_GEOMETRY))
    about = {
        "domain": domain.key, "count": count, "photos": num_photos, "draw": draw, "train": asdict(config),
        "pairs": NUM_PAIRS,
    }  # fmt: skip

    def compute() -> dict[str, Any]:
        train, test = domain.split(draw, 5)
        labelled = squares(train[:num_photos], size) if num_photos else None
        net = distilled(samples, PairsConfig(count=NUM_PAIRS), config, count, draw, labelled)
        if num_photos:
            net = with_larger_input(net, config.augment)
        return judged(net, test, net.config.input_size, domain.classes)

    return cell(f"pretrained-autoshot-{domain.name}", about, compute, samples.gan_sha256)["figures"]


@cache
def taught_pairs(samples: Samples, how: PairsConfig, count: int, draw: int) -> tuple[PairSet, PairSet, ClassMap]:
    """Pairs, the labelled samples themselves and their classes, as the commands make them; for all students."""
    annotations, generator = samples.labelled(draw, count), samples.generator
    teacher = fit_teacher(generator, annotations, FewshotConfig(seed=draw))
    with progress(f"pairs of {count}", "pairs") as on_step:
        pairs = make_training_pairs(generator, teacher, how, Path(mkdtemp(dir=scratch())) / "pairs", on_step)
    return pairs, annotated_pairs(generator, taught(annotations)), annotations.classes


@cache
def scratch() -> str:
    """A folder that lives as long as the process."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    return folder.name


def distilled(
    samples: Samples, how: PairsConfig, config: DistillConfig, count: int, draw: int, labelled: PairSet | None
) -> Any:
    """As `gseg distill` trains it."""
    pairs, annotated, classes = taught_pairs(samples, how, count, draw)
    with progress(f"{config.student} of {count}, draw {draw}", "steps") as on_step:
        if config.labels == "agreed":
            pairs = agreed(pairs, second_opinion(annotated, classes, config, pick_device(), labelled=labelled))
        return fit_student(
            choose_pairs(pairs, config), classes, config, pick_device(), annotated=annotated, labelled=labelled,
            on_step=on_step,
        )  # fmt: skip


NETWORKS = {
    "unet": "UNet of `gseg distill`, from nothing",
    "linear": "frozen features, linear head",
    "mlp": "frozen features, two-layer head",
    "lite0": "student `lite0`",
}


def spread(values: list[float]) -> str:
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


@dataclass(frozen=True)
class Measured:
    """A domain's figures. draws: how many of them are taken the mean of."""

    domain: Domain
    samples: Samples
    draws: int

    def photos(self, network: str, count: int) -> str:
        return self._spread(lambda draw: learned(self.domain, network, count, draw))

    def samples_and_photos(self, count: int, num_photos: int, network: str = "lite0") -> str:
        """Of photos alone where count is 0."""
        if not count:
            return self.photos(network, num_photos) if num_photos else ""
        return self._spread(lambda draw: autoshot(self.domain, self.samples, network, count, num_photos, draw))

    def _spread(self, figures: Callable[[int], dict[str, Any]]) -> str:
        return spread([figures(draw)["miou"] for draw in range(self.draws)])

    def of_photos(self) -> str:
        """The table of networks that learn from photos alone."""
        heads = [_counted(count, "photo") for count in self.domain.counts]
        rows = [
            [title, *(self.photos(network, count) for count in self.domain.counts)]
            for network, title in NETWORKS.items()
        ]
        return _table([self.domain.title, *heads], rows)

    def of_both(self) -> str:
        """The table of samples and photos together."""
        heads = [_counted(count, "sample") for count in NUM_SAMPLES]
        rows = [
            [_counted(num_photos, "photo"), *(self.samples_and_photos(count, num_photos) for count in NUM_SAMPLES)]
            for num_photos in NUM_PHOTOS
        ]
        if self.domain.name == "faces":  # photographs, on which a pretrained network has to be worth its extra
            rows.append(["no photo, UNet", *(self.samples_and_photos(count, 0, "default") for count in NUM_SAMPLES)])
        return _table([self.domain.title, *heads], rows)


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}" + ("s" if count > 1 else "")


def _table(heads: list[str], rows: list[list[str]]) -> str:
    line = "|---|" + "---:|" * (len(heads) - 1)
    return "\n".join([f"| {' | '.join(heads)} |", line, *(f"| {' | '.join(row)} |" for row in rows)])


TEXT = """# A network that knows ImageNet

What few labels are worth to a network that has seen a million photographs before, and to one that starts from nothing.
All learn from labelled photos or from labelled samples of a GAN, with the same augmentation, and are measured on the
same other photos, at each photo's own size: mean IoU from one confusion matrix, background included. Each draw has
other labelled photos and samples and another seed; draws: {draws}.

- Portraits: FASSEG V2, hand-drawn masks of six classes; nine of fourteen are held out in each draw, and four in the
  column of ten photos. `--geometry paper`.
- Game characters: 64 px, exact maps of nine classes; 500 others to measure on. `--geometry aligned`; `paper` of
  `lite0` where photos are among what it learns from, which it takes there by itself.

The UNet trains for {steps} steps at 64 px, the others for {fewer} steps at {side} px, of {batch} pictures each.
The UNet and the heads of photos alone were trained on an AMD EPYC with avx512_bf16, all others on the processor below;
four trainings of `lite0` that were done on both differ by 0.004 at most.

Made by `python -m benchmarks.pretrained DATA --faces GAN --sprites GAN --draws {draws}`,
commit {commit}, {date}, {hardware}.

## Photos alone

{alone}

## Samples and photos

The student of so many labelled samples and {pairs} pairs, as `gseg distill` trains it, with photos by `--labelled`; of
samples `lite0` has a second opinion and `--loss {loss}`. Photos without samples as `gseg student-train --input-size
128` trains it. With photos `lite0` segments pictures of 160 px after learning from {side}
([input_size.md](input_size.md)).

Samples are those of the GANs of [discriminators.md](discriminators.md) after two hours of a core{gans}.
No person labels them, but of portraits a network that learned from five portraits which are not measured on, and of
game characters one that learned from 4,000 exact maps.

{both}

## What decides, and what was tried

{notes}
"""

README = [(1, 0), (10, 0), (0, 1), (10, 1), (0, 5), (10, 5)]  # samples and photos


def update_readme(domains: list[Measured]) -> None:
    """Put the table between the README's figure marks."""
    rows = []
    for count, num_photos in README:
        named = [_counted(n, what) for n, what in ((count, "generated sample"), (num_photos, "photo")) if n]
        rows.append([" and ".join(named), *(domain.samples_and_photos(count, num_photos) for domain in domains)])
    lines = _table(["you label", *(domain.domain.title for domain in domains)], rows)
    source = f"Mean IoU of `lite0`, {domains[0].draws} draws, [benchmarks/pretrained.md](benchmarks/pretrained.md)."
    path, (start, end) = ROOT.parent / "README.md", ("<!-- figures:start -->", "<!-- figures:end -->")
    head, _, rest = path.read_text(encoding="utf-8").partition(start)
    write_text(path, f"{head}{start}\n\n{lines}\n\n{source}\n\n{end}{rest.partition(end)[2]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--faces", type=Path, metavar="GAN", required=True)
    parser.add_argument("--sprites", type=Path, metavar="GAN", required=True)
    parser.add_argument("--draws", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    domains = [
        Measured(domain, samples_of(domain, gan, args.data), args.draws)
        for domain, gan in ((faces(args.data), args.faces), (game_characters(args.data), args.sprites))
    ]
    gans = " and ".join(f"`{one.samples.gan_sha256[:12]}`" for one in domains)
    text = TEXT.format(
        **made(), draws=args.draws, steps=STEPS, fewer=PRETRAINED_STEPS, batch=DistillConfig.batch, side=SIDE,
        pairs=NUM_PAIRS, loss=PRETRAINED_LOSS, gans=f" ({gans})",
        alone="\n\n".join(one.of_photos() for one in domains), both="\n\n".join(one.of_both() for one in domains),
        notes=NOTES.read_text(encoding="utf-8").strip(),
    )  # fmt: skip
    write_text(ROOT / "pretrained.md", text)
    update_readme(domains)
    print(text)


if __name__ == "__main__":
    main()
