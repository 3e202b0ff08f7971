"""Few-shot segmentation of real photos by inversion, and which photos the GAN knows.

    python -m benchmarks.invert

Writes invert.md. A row takes 50 x steps x 25 ms of one core for the shipped 64-px GAN.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cells import ROOT, cell
from benchmarks.toy_data import TOY
from gseg_cli.annotate.formats.png import import_files
from gseg_cli.datasets.splits import TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES, render
from gseg_cli.device import pick_device
from gseg_cli.evaluate.reference import compare_teacher
from gseg_cli.evaluate.samples import TEACHER_SEEDS
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.domain import Domain
from gseg_cli.gan.inversion.drawn_samples import draw_samples, look_at
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.gan.load import GanModule, load_gan, load_generator
from gseg_cli.gan.sample import write_samples
from gseg_cli.progress import progress
from gseg_cli.steps import Step
from gseg_runtime.metrics import Matrix, confusion_matrix, iou_per_class, mean_iou

FACES = TEST_SEEDS[:50]
ROWS = (("w", 200), ("w+", 200), ("f", 100), ("f", 200))
DEFAULT = ("f", 200)
SIZE = 64


def make_teacher(generator: GanModule) -> Teacher:
    """The default teacher on the ten annotations that come with gseg."""
    maps = TOY.annotations
    with tempfile.TemporaryDirectory() as folder:
        samples = write_samples(generator, TOY.gan, [int(p.stem) for p in maps], 0.7, Path(folder) / "samples")
        annotations = import_files(maps, samples, CLASSES).all()
    return fit_teacher(generator, annotations, FewshotConfig())


def figures_of(matrix: Matrix) -> dict[str, Any]:
    per_class = dict(zip(CLASSES.names, (round(float(v), 4) for v in iou_per_class(matrix)), strict=True))
    return {"miou": round(mean_iou(matrix), 4), "per_class": per_class}


def generated() -> dict[str, Any]:
    """The teacher on samples, against the reference annotator."""

    def compute() -> dict[str, Any]:
        generator = load_generator(TOY.gan, pick_device())
        return figures_of(compare_teacher(generator, make_teacher(generator), TEACHER_SEEDS, 1.0))

    config = {"what": "generated", "seeds": len(TEACHER_SEEDS), "reference": TOY.reference_sha256}
    return cell("invert", config, compute, TOY.gan_sha256)


def inverted(space: str, steps: int) -> dict[str, Any]:
    """The teacher on fresh faces, by inversion, against their exact labels."""

    def compute() -> dict[str, Any]:
        device = pick_device()
        inverter = Inverter.load(TOY.gan, InvertConfig(space=space, steps=steps), device)
        faces = [render(seed, SIZE) for seed in FACES]
        photos, truth = np.stack([image for image, _ in faces]), np.stack([labels for _, labels in faces])
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        with progress(f"invert, {space}, {steps} steps", "photos") as on_step:
            labels, errors = _segment(inverter, make_teacher(inverter.generator), photos, on_step)
        seconds = {"wall": time.perf_counter() - start_s, "cpu": time.process_time() - start_cpu_s}
        per_photo = {f"{name}_s_per_photo": round(value / len(photos), 2) for name, value in seconds.items()}
        figures = figures_of(confusion_matrix(labels, truth, len(CLASSES)))
        return {**figures, **per_photo, "error": round(float(errors.mean()), 2), "device": str(device)}

    config = {"what": "inverted", "space": space, "steps": steps, "faces": len(FACES)}
    return cell("invert", config, compute, TOY.gan_sha256)


def _segment(inverter: Inverter, teacher: Teacher, photos: np.ndarray, on_step: Any) -> tuple[np.ndarray, np.ndarray]:
    labels, errors = [], []
    for part in np.split(photos, range(inverter.batch, len(photos), inverter.batch)):
        fitted = inverter.fit(part, np.ones(part.shape[:3], bool))
        with fitted.inversion.drawn_by(inverter.generator):
            labels.append(predict(inverter.generator, teacher, fitted.inversion.ws).labels.cpu().numpy())
        errors.append(fitted.errors)
        on_step(Step(sum(map(len, labels)), len(photos)))
    return np.concatenate(labels), np.concatenate(errors)


def domain() -> dict[str, Any]:
    """The share of each kind of picture that is called too far from the GAN's."""

    def compute() -> dict[str, Any]:
        device = pick_device()
        generator, discriminator = load_gan(TOY.gan, device)
        for network in (generator, discriminator):
            network.eval().requires_grad_(False)
        known = Domain.of(draw_samples(generator, discriminator, 0, device).look)

        def share(images: np.ndarray) -> float:
            target = torch.from_numpy(images.copy()).to(device).permute(0, 3, 1, 2) / 127.5 - 1
            far = [known.distance_of(look_at(part, discriminator)) > 1 for part in target.split(50)]
            return round(float(torch.cat(far).float().mean()), 4)

        faces = np.stack([render(seed, SIZE)[0] for seed in TEST_SEEDS])
        return {name: share(images) for name, images in {"faces": faces, **dict(others(faces))}.items()}

    config = {"what": "domain", "faces": len(TEST_SEEDS)}
    return cell("invert", config, compute, TOY.gan_sha256)


def others(faces: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What no portrait is; as many of each."""
    random = np.random.default_rng(6)
    shape = faces.shape
    yield "upside down", faces[:, ::-1]
    yield "turned by 90 degrees", faces.transpose(0, 2, 1, 3)
    yield "uniform noise", random.integers(0, 256, shape, np.uint8)
    yield "normal noise", np.clip(random.normal(128, 50, shape), 0, 255).astype(np.uint8)
    for cells in (4, 8):
        coarse = torch.from_numpy(random.integers(0, 256, (len(faces), 3, cells, cells))).float()
        smooth = torch.nn.functional.interpolate(coarse, size=SIZE, mode="bicubic").clamp(0, 255)
        yield f"smooth noise, {cells} x {cells}", smooth.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def page(samples: dict[str, Any], rows: list[dict[str, Any]], flagged: dict[str, Any]) -> str:
    lines = [
        "# Few-shot segmentation of photos by inversion",
        "",
        "Mean IoU over all ten classes of the default teacher, trained on the ten annotations that come with gseg:",
        f"on {len(FACES)} fresh toy faces of {SIZE} px, each inverted into the shipped GAN, against exact labels;",
        f"and on {len(TEACHER_SEEDS)} samples against the reference annotator. Spaces: see `gseg fewshot-segment`.",
        "Error: root mean square of the difference between photo and reconstruction, in levels of 255.",
        "",
        f"Made by `python -m benchmarks.invert`. GAN `{TOY.gan_sha256}`, reference annotator `{TOY.reference_sha256}`.",
        "",
        "| | steps | mean IoU | below samples | error | s per photo | CPU s per photo | commit | date | hardware |",
        "|---|---:|---:|---:|---:|---:|---:|---|---|---|",
        f"| generated samples | | {samples['figures']['miou']:.3f} | | | | | {_made(samples)} |",
        *(_line(row, samples["figures"]["miou"]) for row in rows),
        "",
        "IoU by class:",
        "",
        "| | steps | " + " | ".join(CLASSES.names) + " |",
        "|---|---:|" + "---:|" * len(CLASSES),
        _classes("generated samples", "", samples),
        *(_classes(row["config"]["space"], row["config"]["steps"], row) for row in rows),
        "",
        "## Which photos the GAN knows",
        "",
        f"The share of {len(TEST_SEEDS)} pictures of each kind of which `gseg fewshot-segment` warns. The test is",
        "calibrated by generated samples alone.",
        "",
        "| pictures | too far |",
        "|---|---:|",
        *(f"| {name} | {share:.1%} |" for name, share in flagged["figures"].items()),
        "",
        f"Commit {flagged['commit']}, {flagged['date']}, {flagged['hardware']}.",
    ]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any], samples: float) -> str:
    f, config = row["figures"], row["config"]
    name = f"{config['space']} (default)" if (config["space"], config["steps"]) == DEFAULT else config["space"]
    figures = f"{f['miou']:.3f} | {samples - f['miou']:.3f} | {f['error']:.1f}"
    seconds = f"{f['wall_s_per_photo']:.1f} | {f['cpu_s_per_photo']:.1f}"
    return f"| {name} | {config['steps']} | {figures} | {seconds} | {_made(row)} |"


def _made(row: dict[str, Any]) -> str:
    return f"{row['commit']} | {row['date']} | {row['hardware']}"


def _classes(name: str, steps: Any, row: dict[str, Any]) -> str:
    return f"| {name} | {steps} | " + " | ".join(f"{v:.2f}" for v in row["figures"]["per_class"].values()) + " |"


def main() -> None:
    flagged, samples = domain(), generated()
    text = page(samples, [inverted(*row) for row in ROWS], flagged)
    (ROOT / "invert.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
