"""What a network that knows ImageNet brings where labels are few, on photographs and on game characters.

    python -m benchmarks.pretrained DATA [--faces CHECKPOINT --label-maps DIR] [--sprites CHECKPOINT ...]

DATA holds faces/fasseg_dev (portraits labelled by hand) and sprites/train.zip and test.zip (game characters with exact
maps). Networks learn from a few labelled photos alone: the UNet of `gseg distill`, a linear and a two-layer head on
frozen features of EfficientNet-Lite0, and the student lite0. With a GAN also the students of its labelled samples, and
those of samples and photos together. Every training is a cell; writes pretrained.md.
"""

import argparse
import atexit
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from itertools import chain, islice, repeat
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
from gseg_cli.checkpoint import read_meta
from gseg_cli.device import pick_device
from gseg_cli.distill.augment import Augmentation
from gseg_cli.distill.config import PRETRAINED_STEPS, DistillConfig, PairsConfig, configure, find_geometry
from gseg_cli.distill.loss import soft_cross_entropy
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.pairs import PairSet, annotated_pairs
from gseg_cli.distill.second_opinion import agreed, second_opinion
from gseg_cli.distill.stage import choose_pairs, make_training_pairs
from gseg_cli.distill.train import fit_student
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.train import fit_teacher, taught
from gseg_cli.gan.framing import frame_labels
from gseg_cli.gan.load import GanModule, load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.memory import keep_freed_memory
from gseg_cli.pretrained.lite0 import WIDTHS, load_lite0
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe
from gseg_cli.reproduce.scoring import score_unet
from gseg_cli.reproduce.subject import Photo, ScoredPhotos, Task
from gseg_cli.seeding import seed_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.files import sha256_file, write_text
from gseg_runtime.label_map import LabelMap, Pixels, read_label_png

NOTES = ROOT / "pretrained_notes.md"
HIDDEN = 256  # of the two-layer head
SIDE = 128  # of what a pretrained network sees
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


@dataclass(frozen=True)
class Setting:
    """draws: by domain. steps: of networks that start from nothing; fewer: of those that know ImageNet.

    pairs: for one student.
    """

    domains: tuple[Domain, ...]
    draws: dict[str, int]
    steps: int
    fewer: int
    pairs: int

    def config(self, domain: Domain, draw: int, **changes: Any) -> DistillConfig:
        """Of a network that knows ImageNet."""
        augment = find_geometry(domain.geometry)
        return DistillConfig(steps=self.fewer, seed=draw, augment=augment, **changes)


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


def fit_frozen(pairs: PairSet, num_classes: int, config: DistillConfig, hidden: int | None) -> Frozen:
    """As `fit_student` without its schedule: AdamW at 1e-3."""
    seed_step(config.seed, 0)
    net = Frozen(num_classes, hidden).to(pick_device()).train()
    optimizer = torch.optim.AdamW(net.head.parameters(), lr=1e-3, weight_decay=1e-4)
    augmentation = Augmentation(config.augment, pick_device())
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


def learned(s: Setting, domain: Domain, network: str, count: int, draw: int) -> dict[str, Any]:
    """The cell of a network that learned from so many labelled photos alone."""
    size = domain.size if network == "unet" else SIDE
    config = s.config(domain, draw, student="default" if network == "unet" else "lite0", input_size=size)
    if network == "unet":
        config = replace(config, steps=s.steps)
    about = {"domain": domain.key, "network": network, "count": count, "draw": draw, "train": asdict(config)}

    def compute() -> dict[str, Any]:
        train, test = domain.split(draw, count)
        pairs, num_classes = squares(train[:count], size), len(domain.classes)
        if network in ("linear", "mlp"):
            net: Any = fit_frozen(pairs, num_classes, config, HIDDEN if network == "mlp" else None)
        else:
            with progress(f"{network}, {count} {domain.title}, draw {draw}", "steps") as on_step:
                net = fit_student(pairs, num_classes, config, pick_device(), on_step=on_step)
        return judged(net, test, size, domain.classes)

    return cell(f"pretrained-{domain.name}", about, compute)["figures"]


@dataclass(frozen=True)
class Samples:
    """Of a GAN of the domain, labelled. key: says how so many are. labelled: for a draw, so many of them."""

    gan: Path
    key: Callable[[int], dict[str, Any]]
    labelled: Callable[[int, int], AnnotationSet]

    @cached_property
    def gan_sha256(self) -> str:
        return sha256_file(self.gan)

    @property
    def kimg(self) -> str:
        return f"{read_meta(self.gan)['num_images'] / 1000:.0f}"

    @cached_property
    def generator(self) -> GanModule:
        return load_generator(self.gan, pick_device())


def drawn_faces(gan: Path, folder: Path) -> Samples:
    """The label maps SEED.png of a folder, drawn on ten samples. A single one is another in each draw."""
    paths = sorted(folder.glob("*.png"), key=lambda path: int(path.stem))

    def pool(count: int) -> list[Path]:
        return paths[: max(count, 5)]

    def labelled(draw: int, count: int) -> AnnotationSet:
        known = pool(count)
        chosen = [known[(draw + i) % len(known)] for i in range(count)]
        seeds, psi = tuple(int(path.stem) for path in chosen), Recipe.truncation_psi
        ws = ws_for_seeds(samples.generator, seeds, psi).cpu().numpy()
        labels = np.stack([read_label_png(path) for path in chosen])
        return AnnotationSet(labels, ws, seeds, photos.CLASSES, samples.gan_sha256, psi)

    samples = Samples(gan, lambda count: {"label_maps": photos.digest(pool(count))}, labelled)
    return samples


def sprites_by_reference(inner: sprites.Labelling) -> Samples:
    """As a network that learned from all exact maps labels them."""
    key = {"reference_steps": sprites.REFERENCE_STEPS}
    return Samples(inner.gan, lambda _: key, lambda draw, count: inner.annotations(draw).rows(range(count)))


def autoshot(s: Setting, domain: Domain, samples: Samples, kind: "Kind", count: int, draw: int) -> dict[str, Any]:
    """The cell of a student of so many labelled samples."""
    network, num_photos = kind.network, kind.num_photos
    usual = configure({"student": network}).train
    config = s.config(domain, draw, student=network, labels=usual.labels, annotated=usual.annotated)
    if network == "default":
        config = replace(config, steps=s.steps)
    about = {
        "domain": domain.key, "count": count, "photos": num_photos, "draw": draw, "train": asdict(config),
        "pairs": s.pairs, **samples.key(count),
    }  # fmt: skip

    def compute() -> dict[str, Any]:
        train, test = domain.split(draw, count)
        labelled = squares(train[:num_photos], domain.size if network == "default" else SIDE) if num_photos else None
        net = distilled(samples, PairsConfig(count=s.pairs), config, count, draw, labelled)
        return judged(net, test, domain.size if network == "default" else SIDE, domain.classes)

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
            choose_pairs(pairs, config), len(classes), config, pick_device(), annotated=annotated, labelled=labelled,
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


def row(title: str, cells: list[list[dict[str, Any]]]) -> str:
    return f"| {title} | " + " | ".join(spread([figures["miou"] for figures in draws]) for draws in cells) + " |"


@dataclass(frozen=True)
class Kind:
    """Of a student of samples. num_photos: labelled ones beside them."""

    title: str
    network: str
    num_photos: int = 0


KINDS = (
    Kind("auto-shot, UNet", "default"),
    Kind("auto-shot, `lite0`", "lite0"),
    Kind("auto-shot, `lite0`, and 1 photo", "lite0", 1),
    Kind("auto-shot, `lite0`, and 5 photos", "lite0", 5),
)


def table(s: Setting, domain: Domain, samples: list[Samples]) -> str:
    heads = [f"{count} label{'s' if count > 1 else ''}" for count in domain.counts]
    lines = [f"| {domain.title} | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for network, title in NETWORKS.items():
        cells = [[learned(s, domain, network, n, draw) for draw in range(s.draws[domain.name])] for n in domain.counts]
        lines.append(row(title, cells))
    return "\n".join([*lines, *(samples_rows(s, domain, samples) if samples else ())])


def samples_rows(s: Setting, domain: Domain, samples: list[Samples]) -> Iterator[str]:
    """samples: of each draw; the last of all that follow."""
    draws = list(enumerate(islice(chain(samples, repeat(samples[-1])), s.draws[domain.name])))
    for kind in KINDS:
        yield row(kind.title, [[autoshot(s, domain, of, kind, n, draw) for draw, of in draws] for n in domain.counts])


TEXT = """# A network that knows ImageNet

What few labels are worth to a network that has seen a million photographs before, and to one that starts from nothing.
All learn from labelled photos or from labelled samples of a GAN, with the same augmentation, and are measured on the
same other photos, at each photo's own size: mean IoU from one confusion matrix, background included. Each draw has
other labelled photos and another seed.

{domains}

The UNet trains for {steps} steps at the domain's {size} px, the others for {fewer} steps at {side} px, of {batch}
pictures each.{auto}

Made by `python -m benchmarks.pretrained DATA{options}`,
commit {commit}, {date}, {hardware}.

{tables}

## What decides, and what was tried

{notes}
"""
AUTO = """

*Auto-shot*: the student of so many labelled samples and {pairs} pairs, as `gseg distill` trains it. `lite0` ignores
what a second network, which learned from drawn labels alone, labels otherwise than the teacher. Photos, where there are
any, have their usual share of each step: of one photo a third, of five five sevenths.

{gans}"""
ABOUT = {
    "faces": "- Portraits (draws: {draws}): FASSEG V2, hand-drawn masks of six classes; nine of fourteen are held "
    "out in each\n  draw, and four in the column of ten labels. `--geometry paper`.",
    "sprites": "- Game characters (draws: {draws}): 64 px, exact maps of nine classes; 500 others to measure on.\n"
    "  `--geometry aligned`.",
}
GANS = {
    "faces": "- Portraits: a GAN of 10,000 photographs of other people, the middle square of each (`gseg gan-train "
    "--resolution 64\n  --channel-base 1024 --batch 16 --r1-gamma 1 --seed 1`), after {kimg} kimg. Label maps were "
    "drawn on ten of its\n  samples by looking at them: one, which is another in each draw, always the same "
    "five, or all.",
    "sprites": "- Game characters: a GAN of 4,000 others (`gseg gan-train --seed 1` on a CPU), after {kimg} kimg. A "
    "network that\n  learned from all exact maps labels its samples, others in each draw.",
}


def page(s: Setting, samples: dict[str, list[Samples]], options: str) -> str:
    """samples: by domain. options: what the command was given."""
    tables = "\n\n".join(table(s, domain, samples.get(domain.name, [])) for domain in s.domains)
    domains = "\n".join(ABOUT[domain.name].format(draws=s.draws[domain.name]) for domain in s.domains)
    gans = [GANS[name].format(kimg=" and ".join(of.kimg for of in each)) for name, each in samples.items()]
    auto = AUTO.format(pairs=s.pairs, gans="\n".join(gans)) if samples else ""
    notes = NOTES.read_text(encoding="utf-8").strip()
    return TEXT.format(
        **made(), domains=domains, steps=s.steps, fewer=s.fewer,
        batch=DistillConfig.batch, side=SIDE, size=s.domains[0].size, auto=auto, tables=tables, options=options,
        notes=notes,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--faces", type=Path, metavar="CHECKPOINT", help="a GAN of face photographs, 64 px")
    parser.add_argument("--label-maps", type=Path, metavar="DIR", help="SEED.png, drawn on its samples")
    parser.add_argument(
        "--sprites", type=Path, nargs="+", default=[], metavar="CHECKPOINT",
        help="a GAN of game characters for each draw; the last for all that follow",
    )  # fmt: skip
    parser.add_argument("--draws", type=int, default=3, help="of portraits")
    parser.add_argument("--sprite-draws", type=int, default=1, help="of game characters; 0 leaves them out")
    parser.add_argument("--steps", type=int, default=600, help="of networks that start from nothing")
    parser.add_argument("--fewer", type=int, default=PRETRAINED_STEPS, help="steps of networks that know ImageNet")
    parser.add_argument("--pairs", type=int, default=1000, help="for each student of samples")
    args = parser.parse_args()
    if bool(args.faces) != bool(args.label_maps):
        parser.error("--faces and --label-maps go together")
    keep_freed_memory()
    draws = {"faces": args.draws, "sprites": args.sprite_draws}
    domains = tuple(one for one in (faces(args.data), game_characters(args.data)) if draws[one.name])
    setting = Setting(domains, draws, args.steps, args.fewer, args.pairs)
    samples = {}
    if args.faces:
        samples["faces"] = [drawn_faces(args.faces, args.label_maps)]
    if args.sprites:
        folder = args.data / "sprites"
        samples["sprites"] = [sprites_by_reference(sprites.Labelling(folder, gan)) for gan in args.sprites]
    given = (" --faces CHECKPOINT --label-maps DIR", " --sprites" + " CHECKPOINT" * len(args.sprites))
    options = "".join(text for name, text in zip(GANS, given, strict=True) if name in samples)
    text = page(setting, samples, f"{options} --draws {args.draws} --sprite-draws {args.sprite_draws}")
    write_text(ROOT / "pretrained.md", text)
    print(text)


if __name__ == "__main__":
    main()
