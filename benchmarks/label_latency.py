"""One measurement of the live teacher of `gseg label`, in a process of its own: benchmarks/label.py starts it.

    python -m benchmarks.label_latency {128,512,1024}

Random strokes on ten samples, each drawn as soon as the refined prediction of the one before has come. Prints JSON.
"""

import argparse
import json
import queue
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from gseg_cli.builtin import PREFIX, Builtin
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.gan.load import GanModule, load_generator
from gseg_cli.gan.networks.config import StyleGAN2Config
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.label.gan_samples import GanSamples
from gseg_cli.label.journal import Rectangle
from gseg_cli.label.store import LabelStore
from gseg_cli.label.teacher import LiveTeacher
from gseg_cli.project import Project

SIZES = (128, 512, 1024)
SAMPLES, STROKES = 10, {128: 3, 512: 3, 1024: 1}  # strokes on each, by size
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Moment:
    """wall_s and cpu_s: of this process, all threads."""

    wall_s: float = field(default_factory=time.perf_counter)
    cpu_s: float = field(default_factory=time.process_time)

    def since(self, start: "Moment") -> dict[str, float]:
        return {"wall_ms": 1000 * (self.wall_s - start.wall_s), "cpu_ms": 1000 * (self.cpu_s - start.cpu_s)}


class Painter:
    """Somebody who paints, and the teacher that follows."""

    def __init__(self, generator: GanModule, samples: SampleSet, project: Project) -> None:
        subject = GanSamples(project.gan_path, generator, samples)
        self.store = LabelStore(project, subject)
        self.events: queue.Queue[tuple[str, dict[str, Any], Moment]] = queue.Queue()
        self.teacher = LiveTeacher(subject, self.store.labels, self._hear)
        self.random, self.drawn = np.random.default_rng(0), 0

    def draw(self, seed: int) -> Moment:
        """A stroke of the next class, a quarter of the picture long; when it ended."""
        long, thick = self.store.size // 4, max(2, self.store.size // 32)
        w, h = (long, thick) if self.random.random() < 0.5 else (thick, long)
        x, y = (int(self.random.integers(self.store.size - side)) for side in (w, h))
        label, self.drawn = self.drawn % len(CLASSES), self.drawn + 1
        end = Moment()
        rev = self.store.snapshot(seed)[1].rev
        self.store.draw(seed, rev, Rectangle(x, y, w, h), np.full((h, w), label, np.uint8))
        self.teacher.follow(seed)
        return end

    def turn_to(self, seed: int) -> dict[str, float]:
        """Until its prediction is there."""
        start = Moment()
        self.teacher.look_at(seed)
        while not self.teacher.shelf.has_whole(seed):
            time.sleep(0.001)
        return Moment().since(start)

    def until(self, seed: int, stage: str) -> Moment:
        """When the next classifier of that stage was there and has predicted the sample."""
        self._wait("fit", stage=stage)  # one that was there before has predicted it as well, if it has come into view
        return self._wait("prediction", seed=seed, stage=stage)

    def _wait(self, kind: str, **about: Any) -> Moment:
        while True:
            name, data, moment = self.events.get(timeout=PATIENCE_S)
            if name == kind and about.items() <= data.items():
                return moment

    def close(self) -> None:
        self.teacher.close()
        self.store.close()

    def _hear(self, name: str, data: dict[str, Any]) -> None:
        self.events.put((name, data, Moment()))


def generator_of(size: int) -> GanModule:
    """The toy-face GAN at 128 px, else one of config f with random weights."""
    if size == 128:
        return load_generator(Builtin("toy-faces").gan)
    config = StyleGAN2Config(
        img_resolution=size, z_dim=512, w_dim=512, mapping_layers=8, channel_base=32768, channel_max=512
    )
    torch.manual_seed(0)
    return StyleGAN2(config).eval().requires_grad_(False)


def measure(size: int) -> dict[str, Any]:
    generator, seeds = generator_of(size), range(SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "project", classes=CLASSES, gan=PREFIX + "toy-faces")
        ws = ws_for_seeds(generator, seeds, 0.7).numpy()
        samples = SampleSet(project.samples_dir, tuple(seeds), ws, 0.7, "0" * 64, size)
        painter = Painter(generator, samples, project)
        try:
            rows = list(_strokes(painter, list(seeds)))
        finally:
            painter.close()
    names = ("turn", "ridge", "mlp")
    return {name: _summary([row[name] for row in rows if name in row]) for name in names} | {"peak_mb": _peak_mb()}


def _strokes(painter: Painter, seeds: list[int]) -> Iterator[dict[str, dict[str, float]]]:
    painter.draw(seeds[0])
    painter.draw(seeds[0])  # from the second class on there are predictions
    painter.until(seeds[0], "mlp")
    for seed in seeds:
        yield {"turn": painter.turn_to(seed)}
        for _ in range(STROKES[painter.store.size]):
            end = painter.draw(seed)
            ridge, mlp = painter.until(seed, "ridge"), painter.until(seed, "mlp")
            yield {"ridge": ridge.since(end), "mlp": mlp.since(end)}


def _summary(times: list[dict[str, float]]) -> dict[str, Any]:
    found: dict[str, Any] = {"count": len(times)}
    for unit in times[0]:
        values = [one[unit] for one in times]
        found[unit] = {"median": round(median(values), 1), "worst": round(max(values), 1)}
    return found


def _peak_mb() -> float:
    """Of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", type=int, choices=SIZES)
    torch.set_num_threads(1)
    print(json.dumps(measure(parser.parse_args().size)))
