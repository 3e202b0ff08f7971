"""From a folder of photos to a running training: data, run folder, resume."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gseg_cli.checkpoint import read_meta
from gseg_cli.gan.data import Box, load_images
from gseg_cli.gan.networks import load_generator
from gseg_cli.gan.train import STATE, GanTrainConfig, train_gan
from gseg_cli.runs import Run, list_runs, open_run
from gseg_cli.steps import OnStep, Say, ignore_say, ignore_step
from gseg_runtime.errors import ConfigError, ProjectError
from gseg_runtime.files import read_json

KIND = "gan"


def start_gan_training(
    source: Path,
    config: GanTrainConfig,
    runs_dir: Path,
    device: torch.device,
    *,
    crop: Box | None = None,
    init_from: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Train on the photos in `source`; returns run, checkpoint, num_images, num_photos and unreadable files.

    With resume the newest run goes on; its saved config must be the given one, the length excepted.
    """
    if init_from:
        config = config.like(load_generator(init_from))
        say(
            f"{init_from}: {config.arch} with channel_base {config.channel_base}, channel_max {config.channel_max}, "
            f"z_dim {config.z_dim}, {config.mapping_layers} mapping layers"
        )
    begun_with = {"crop": list(crop) if crop else None, "init_from": str(init_from) if init_from else None}
    saved = {**asdict(config), **begun_with}
    run = _resumable(runs_dir, saved) if resume else None
    images, unreadable = load_images(source, config.resolution, crop=crop)
    for name in unreadable:
        say(f"warning: {name}: cannot be read, skipped")
    run = run or open_run(runs_dir, KIND, saved)
    say(f"{run.dir}: {len(images)} photos at {config.resolution} px on {device}")
    checkpoint = train_gan(
        images, config, run, device, init_from=init_from, resume=resume, minutes=minutes, on_step=on_step
    )
    num_images = read_meta(checkpoint)["num_images"]
    return {
        "run": run.dir,
        "checkpoint": checkpoint,
        "num_images": num_images,
        "num_photos": len(images),
        "unreadable": unreadable,
    }


def _resumable(runs_dir: Path, config: dict[str, Any]) -> Run:
    runs = [path for path in list_runs(runs_dir, KIND) if (path / STATE).is_file()]
    if not runs:
        raise ProjectError(f"{runs_dir}: no gan run with a saved state to resume", "leave --resume out to start one")
    saved = read_json(runs[-1] / "config.json")["config"]
    free = {"kimg", "snapshot_minutes"}
    for key in config.keys() - free:
        if saved.get(key) != config[key]:
            message = f"{runs[-1]}: {key} was {saved.get(key)!r} when this run started, now {config[key]!r}"
            raise ConfigError(message, hint="resume with the options the run was started with")
    return Run(runs[-1])
