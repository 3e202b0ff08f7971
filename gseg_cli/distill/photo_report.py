"""`gseg distill --photos`: how the student behaves on the photos it is meant for, beside generated pictures.

Nobody labelled these photos. What can be told without: how sure the student is, which classes it finds how often, and
how far the photos are from what the GAN draws. The photos it is least sure of come as overlays.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gseg_cli.annotate.legend import with_legend
from gseg_cli.distill.behaviour import Behaviour, observe
from gseg_cli.distill.pairs import read_pairs
from gseg_cli.distill.photos import Photos, read_photos
from gseg_cli.distill.stage import HELD_OUT
from gseg_cli.distill.student import Student, load_student
from gseg_cli.gan.inversion.domain import Domain
from gseg_cli.gan.inversion.drawn_samples import draw_samples, look_at
from gseg_cli.gan.load import load_gan, read_gan
from gseg_cli.picture_files import titled
from gseg_cli.runs import Run
from gseg_cli.steps import OnStep, ignore_step
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.files import write_json
from gseg_runtime.label_map import Pixels, contact_sheet, overlay

REPORT, SHEET = "photos.json", "photos-worst"
WORST, CELL = 24, 160
FAR = 0.2  # share of photos unlike the GAN's from which on it is said
UNSURE = 2.0  # times as many labels that small changes move as on generated pictures, from which on it is said
RARE, COMMON = 0.5, 0.005  # a class is missed: half as frequent on photos, and no crumb on generated pictures


@torch.no_grad()
def distances(gan: Path, crops: Tensor, device: torch.device, gan_class: int | None = None) -> Tensor | None:
    """How far photos are from what the GAN draws [N], 1 is the limit; None where its file has no discriminator."""
    if not read_gan(gan).has_discriminator:
        return None
    generator, discriminator = load_gan(gan, device, gan_class)
    generator.eval(), discriminator.eval()
    domain = Domain.of(draw_samples(generator, discriminator, 0, device).look)
    x = (crop.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1 for crop in crops.split(16))
    return torch.cat([domain.distance_of(look_at(part, discriminator)).cpu() for part in x])


def report_photos(
    student: Student,
    classes: ClassMap,
    folder: Path,
    generated: Tensor,
    gan: Path,
    run: Run,
    *,
    inside: Tensor | None = None,
    mirror: bool = True,
    gan_class: int | None = None,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Write photos.json and photos-worst.png into the run; what the first says, with "warnings" in words.

    generated: pictures of the GAN to compare with, uint8 [M, S, S, 3]; inside: bool [M, S, S], not the bars of a
    rectangular GAN's, None for all.
    """
    device = next(student.parameters()).device
    photos = read_photos(folder, student.config.input_size, read_gan(gan).config.img_resolution, on_step)
    on_photos = observe(student, photos.images, photos.inside, classes, mirror=mirror)
    inside = torch.ones(generated.shape[:3], dtype=torch.bool) if inside is None else inside
    on_generated = observe(student, generated, inside, classes, mirror=mirror)
    far = distances(gan, photos.crops, device, gan_class)
    run.picture(SHEET, _sheet(photos, on_photos, classes))
    figures = {
        "photos": _figures(on_photos, classes),
        "generated": _figures(on_generated, classes),
        "far": None if far is None else round(float((far > 1).float().mean()), 4),
        "unreadable": photos.unreadable,
    }
    report = {"folder": folder.name, **figures, "warnings": warnings(figures), "worst": _worst(photos, on_photos)}
    write_json(run.dir / REPORT, {"format": 1, "kind": "distill-photos", **report})
    return report


def report_run(
    run: Run, folder: Path, gan: Path, device: torch.device, on_step: OnStep = ignore_step
) -> dict[str, Any]:
    """`report_photos` for the student of a finished run, beside the run's held-out pairs. gan: of that run."""
    student, classes, meta = load_student(run.checkpoint, device)
    pairs = read_pairs(run.dir / HELD_OUT).at(student.config.input_size)
    mirror = meta["trained"]["train"]["augment"]["mirror"]
    how: dict[str, Any] = {"mirror": mirror, "gan_class": meta.get("gan_class"), "on_step": on_step}
    return report_photos(student, classes, folder, pairs.images, gan, run, inside=pairs.first != IGNORE, **how)


def _figures(seen: Behaviour, classes: ClassMap) -> dict[str, Any]:
    shares = {name: round(float(v), 4) for name, v in zip(classes.names, seen.shares.mean(dim=0), strict=True)}
    means = {name: round(float(getattr(seen, name).mean()), 4) for name in ("confidence", "agreement")}
    return {"count": len(seen.labels), **means, "shares": shares}


def warnings(figures: dict[str, Any]) -> list[str]:
    """What a person should know before trusting the masks; empty where photos look like generated pictures."""
    photos, generated = figures["photos"], figures["generated"]
    said = []
    if figures["far"] is not None and figures["far"] > FAR:
        said.append(
            f"{figures['far']:.0%} of the photos are unlike what the GAN draws, in kind or in framing: "
            "their masks may be useless"
        )
    if 1 - photos["agreement"] > UNSURE * (1 - generated["agreement"]):
        said.append(
            f"small changes move {1 - photos['agreement']:.0%} of the labels on photos, "
            f"{1 - generated['agreement']:.0%} on generated pictures: try --geometry paper, or a GAN of such photos"
        )
    for name, share in generated["shares"].items():
        if share > COMMON and photos["shares"][name] < RARE * share:
            got, usual = photos["shares"][name], share
            said.append(f"{name}: {got:.1%} of the pixels of photos, {usual:.1%} of those of generated pictures")
    return said


def _order(seen: Behaviour) -> list[int]:
    """The photos whose labels change most, first."""
    return seen.agreement.argsort()[:WORST].tolist()


def _worst(photos: Photos, seen: Behaviour) -> list[dict[str, Any]]:
    return [{"photo": str(photos.paths[i]), "agreement": round(float(seen.agreement[i]), 4)} for i in _order(seen)]


def _sheet(photos: Photos, seen: Behaviour, classes: ClassMap) -> Pixels:
    """The worst photos with their masks laid over, four to a row."""
    cells: list[Pixels] = []
    for i in _order(seen):
        image = photos.images[i].numpy()
        title = f"{float(seen.agreement[i]):.0%}"
        cells += [titled(image, title), titled(overlay(image, seen.labels[i].numpy(), classes), "")]
    sheet = contact_sheet([cells[start : start + 8] for start in range(0, len(cells), 8)], CELL)
    return with_legend(sheet, classes)
