"""Training a GAN from pictures in memory: the loop, what it writes, and when it speaks up."""

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gseg_cli.checkpoint import load_checkpoint, parent_of, read_meta, save_checkpoint
from gseg_cli.device import fixed_shapes
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import GanModule, save_gan
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.fid import Inception, load_inception
from gseg_cli.gan.training.metrics import generate, overfit, swd
from gseg_cli.gan.training.photo_classes import PhotoClasses
from gseg_cli.gan.training.plot import draw_curves, read_curves
from gseg_cli.gan.training.projected import ProjectedTrainer
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_cli.gan.transparency import over_board
from gseg_cli.interruption import Interrupted, Interruption, put_off
from gseg_cli.runs import Run
from gseg_cli.steps import OnStep, Say, Step, ignore_say, ignore_step
from gseg_cli.world import ALONE, World
from gseg_runtime.errors import GsegError

TRAINERS = {"stylegan2": GanTrainer, "projected": ProjectedTrainer}
# What helps, by discriminator.
UNBALANCED = {
    "stylegan2": "a larger --r1-gamma or a smaller --lr",
    "projected": "a smaller --lr, or with --discriminator stylegan2",
}
STATE = "state.safetensors"
REPORT_STEPS = 20
NUM_FID = 10_000  # photos and samples for FID, at most
NUM_MEASURED = 500  # pictures of each kind for the figures of a snapshot, at most


def train_gan(
    images: Tensor,
    config: GanTrainConfig,
    run: Run,
    device: torch.device,
    *,
    classes: PhotoClasses | None = None,
    init_from: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    fid_weights: Path | None = None,
    world: World = ALONE,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> Path:
    """Train until config.kimg thousand images or `minutes` have passed; the checkpoint's path.

    images: uint8 [N, 3, R, R], with alpha [N, 4, R, R]; classes: theirs, of a conditional GAN. Writes a checkpoint, a
    state to resume from, a grid of samples, figures and their curves every config.snapshot_minutes and at the end; with
    fid_weights, FID and KID at the end. Of many processes only the first writes and speaks; all are given the same
    images and run. Raises GsegError when a loss is no longer finite, and Interrupted, with all saved, after Ctrl-C.
    """
    start = run.checkpoint if resume else init_from
    kind = TRAINERS[config.discriminator]
    trainer = kind(config, images, device, start, world, classes=classes.indices if classes else None)
    parents = [parent_of(init_from, trainer.G.kind)] if init_from else []
    if resume:
        trainer.load_state(load_checkpoint(run.dir / STATE, "gan-state")[0])
        parents = read_meta(run.checkpoint)["parents"]
    meta = {"trained": {**asdict(config), "num_photos": len(images)}, "parents": parents}
    meta |= {"class_names": classes.names} if classes and classes.names else {}
    inception = load_inception(fid_weights, device) if fid_weights and world.is_first else None
    session = _Session(trainer, run, meta, say, on_step, inception)
    if resume and world.is_first:
        run.forget_after(trainer.num_images)
    with put_off() as interruption:
        session.train(minutes, interruption)
    session.snapshot(is_last=True)
    return run.checkpoint


@dataclass
class _Session:
    """What one call of `train_gan` tells and writes."""

    trainer: GanTrainer
    run: Run
    meta: dict[str, Any]
    say: Say
    on_step: OnStep
    inception: Inception | None
    reported: tuple[float, int] = field(init=False)  # when, and after how many images
    has_told: set[str] = field(default_factory=set)
    easy_reports: int = 0
    until_s: float | None = None  # on the monotonic clock

    def __post_init__(self) -> None:
        self.reported = (time.monotonic(), self.trainer.num_images)
        if self.trainer.is_taught_by_D:  # from the start, or an earlier call has told
            self.has_told.add("taken over")

    def train(self, minutes: float | None, interruption: Interruption) -> None:
        """Until config.kimg thousand images or `minutes` have passed. Interrupted when asked, after a snapshot."""
        trainer, config, world = self.trainer, self.trainer.config, self.trainer.world
        start_s = snapshot_s = time.monotonic()
        self.until_s = None if minutes is None else start_s + minutes * 60
        while trainer.num_images < config.kimg * 1000:
            with fixed_shapes(trainer.device):
                stats = trainer.step()
            is_report = trainer.num_steps % REPORT_STEPS == 0
            if is_report or trainer.num_images >= config.kimg * 1000:
                self.report(stats)
            if world.size > 1 and not is_report:
                continue  # the first process decides, and asking it at every step would cost time
            now_s, is_asked = world.agree((time.monotonic(), interruption.is_asked))
            if is_asked:
                self.snapshot()
                raise Interrupted
            if now_s - world.agree(snapshot_s) > config.snapshot_minutes * 60:
                self.snapshot()
                snapshot_s = time.monotonic()
            if minutes is not None and now_s - world.agree(start_s) > minutes * 60:
                break

    def report(self, stats: dict[str, Tensor]) -> None:
        trainer = self.trainer
        values = {name: float(value) for name, value in stats.items()}
        if not all(math.isfinite(value) for value in values.values()):
            raise _diverged(trainer, str(values))
        if not trainer.world.is_first:
            return
        if trainer.config.augment == "ada":
            values["p"] = trainer.augment_p
        now_s = time.monotonic()
        seconds, images = now_s - self.reported[0], trainer.num_images - self.reported[1]
        self.reported = (now_s, trainer.num_images)
        values["s_per_kimg"] = round(seconds / images * 1000, 2)
        self.run.metric(trainer.num_images, **values)
        most_s = None if self.until_s is None else self.until_s - now_s
        self.on_step(Step(trainer.num_images, int(trainer.config.kimg * 1000), values, most_s=most_s))
        self._watch_balance(values)
        if trainer.is_taught_by_D:
            self._tell("taken over", "samples were too alike, and StyleGAN2's discriminator has taken over")

    def snapshot(self, *, is_last: bool = False) -> None:
        trainer, run = self.trainer, self.run
        state = trainer.state()
        if not all(bool(tensor.isfinite().all()) for tensor in state.values()):  # the loss shows it a step later
            raise _diverged(trainer, "its weights are no longer finite")
        if trainer.world.is_first:
            figures = self._measure() | (self._inception_distances() if is_last and self.inception else {})
            meta = {**self.meta, "num_images": trainer.num_images, "figures": figures}
            save_gan(run.checkpoint, trainer.G_ema, trainer.D, meta)
            save_checkpoint(run.dir / STATE, state, {"kind": "gan-state"})
            run.preview(f"fakes-{trainer.num_images:08d}", sample_grid(trainer.G_ema, trainer.device))
            if figures:
                run.metric(trainer.num_images, **figures)
            run.picture("curves", draw_curves(read_curves(run.dir / "metrics.jsonl")))
        trainer.world.wait()

    def _measure(self) -> dict[str, float]:
        """Against held-out photos; nothing where none are held out."""
        trainer = self.trainer
        held_rows = spread(trainer.held_out, NUM_MEASURED)
        if len(held_rows) == 0:
            return {}
        rows = spread(trainer.rows, len(held_rows))
        photos, held_out = trainer.images[rows], trainer.images[held_rows]
        of_photos, of_held_out = trainer.classes_of(rows), trainer.classes_of(held_rows)
        fakes = generate(trainer.G_ema, len(held_out), trainer.device, of_held_out)
        classes = (of_photos, of_held_out, of_held_out)
        figures = {**swd(fakes, held_out), **overfit(trainer.D, photos, held_out, fakes, trainer.device, classes)}
        if figures["overfit"] > 0.5 and trainer.is_taught_by_D:
            self._warn(
                "memorises",
                "the discriminator knows its photos by heart: it places photos it has not seen "
                f"{figures['overfit']:.0%} of the way to the fakes; --augment ada, a larger --r1-gamma or more photos "
                "help, and the best samples may lie behind",
            )
        return {name: round(value, 4) for name, value in figures.items() if math.isfinite(value)}

    def _inception_distances(self) -> dict[str, float]:
        assert self.inception is not None
        trainer = self.trainer
        rows = spread(trainer.rows, NUM_FID)
        samples = generate(trainer.G_ema, len(rows), trainer.device, trainer.classes_of(rows))
        figures = self.inception.distances(_shown(trainer.images[rows]), _shown(samples))
        return {name: round(value, 4) for name, value in figures.items()}

    def _watch_balance(self, values: dict[str, float]) -> None:
        """Fifty reports in which D had no doubt: G gets next to no gradient."""
        self.easy_reports = self.easy_reports + 1 if values["loss_D"] < 0.02 else 0
        if self.easy_reports >= 50:
            self._warn(
                "unbalanced",
                "the discriminator has told all fakes from photos for the last 1000 steps: the generator no longer "
                f"learns; begin again with {UNBALANCED[self.trainer.config.discriminator]}",
            )

    def _warn(self, what: str, text: str) -> None:
        self._tell(what, text, "warning: ")

    def _tell(self, what: str, text: str, kind: str = "") -> None:
        """Each thing once."""
        if what not in self.has_told:
            self.has_told.add(what)
            self.say(f"{kind}after {self.trainer.num_images} images {text}")
            self.run.log(f"{kind}after {self.trainer.num_images} images {text}")


def spread(rows: Tensor, count: int) -> Tensor:
    """At most `count` of the rows, evenly spaced: photos are sorted by name, and neighbours are alike."""
    n = min(count, len(rows))
    return rows[torch.arange(n) * len(rows) // max(n, 1)]


def _diverged(trainer: GanTrainer, what: str) -> GsegError:
    return GsegError(
        f"training diverged after {trainer.num_images} images: {what}",
        hint="lower --lr, raise --r1-gamma, or use --precision fp32; the last snapshot is kept",
    )


def _shown(images: Tensor) -> Tensor:
    """uint8 [N, 3, R, R]: pictures with alpha over a checkerboard."""
    if images.shape[1] == 3:
        return images
    return to_uint8(over_board(images.float() / 127.5 - 1)).permute(0, 3, 1, 2)


def sample_grid(generator: GanModule, device: torch.device) -> np.ndarray:
    """The first seeds without truncation, as one picture uint8 [rows * R, columns * R, 3]; fewer if large.

    Of a conditional GAN each row has one class, the next row the next.
    """
    r = generator.img_resolution
    rows, columns = min(6, max(2, 2560 // r)), min(10, max(3, 4096 // r))
    num_classes = getattr(generator.config, "c_dim", 0)
    classes = torch.arange(rows * columns) // columns % num_classes if num_classes else None
    images = _shown(generate(generator, rows * columns, device, classes))
    grid = images.reshape(rows, columns, 3, r, r).permute(0, 3, 1, 4, 2)
    return grid.reshape(rows * r, columns * r, 3).numpy()
