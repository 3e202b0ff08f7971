"""From a GAN and a teacher to a trained student in a run folder, and on with one that was interrupted."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gseg_cli.checkpoint import parent_of, read_meta
from gseg_cli.distill.config import StudentConfig, configure, differences, from_saved
from gseg_cli.distill.distill import distill, outcome
from gseg_cli.distill.trainer import ALONE
from gseg_cli.gan.load import load_generator
from gseg_cli.runs import Run, list_runs, open_run
from gseg_cli.steps import OnStep, Say, ignore_say, ignore_step
from gseg_cli.world import World
from gseg_runtime.errors import CheckpointError, ConfigError, ProjectError
from gseg_runtime.files import read_json, sha256_file

KIND = "distill"


def start_distill(
    gan: Path,
    teacher: Path,
    config: StudentConfig,
    runs_dir: Path,
    device: torch.device,
    *,
    world: World = ALONE,
    on_pairs: OnStep = ignore_step,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Make pairs and train; returns run, gan, checkpoint, number of pairs and held_out_miou.

    Of many processes the first writes the run.
    """
    parents = [parent_of(gan, "gan"), parent_of(teacher, "fewshot")]
    run = world.agree(open_run(runs_dir, KIND, asdict(config), parents) if world.is_first else None)
    assert run is not None
    how: dict[str, Any] = {"world": world, "on_pairs": on_pairs, "on_step": on_step}
    return _train(gan, teacher, config, run, device, **how)


def resume_distill(
    given: Mapping[str, Any],
    runs_dir: Path,
    device: torch.device,
    *,
    gan: Path | None = None,
    teacher: Path | None = None,
    world: World = ALONE,
    say: Say = ignore_say,
    on_pairs: OnStep = ignore_step,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Go on with the newest run as it was begun, or say what it came to; returns what `start_distill` does.

    given: options of `configure`. gan, teacher: None takes the files the run was begun with. ConfigError when an option
    differs, CheckpointError for other files, ProjectError without a run.
    """
    run = _newest_run(runs_dir)
    saved = read_json(run.dir / "config.json")
    config = from_saved(saved["config"])
    for name, was, now in differences(config, configure(given, config)):
        message = f"{run.dir}: {name} was {was!r} when this run started, now {now!r}"
        raise ConfigError(message, hint="resume with the options the run was started with, or with none")
    parents = {parent["kind"]: parent for parent in saved["parents"]}
    gan, teacher = _same_file(gan, parents["gan"], "--gan"), _same_file(teacher, parents["fewshot"], "--teacher")
    if run.checkpoint.is_file():
        say(f"{run.dir}: is finished already")
        return {"run": run.dir, "gan": gan, **outcome(run)}
    say(f"{run.dir}: goes on")
    how: dict[str, Any] = {"world": world, "on_pairs": on_pairs, "on_step": on_step}
    return _train(gan, teacher, config, run, device, resume=True, **how)


def _train(
    gan: Path, teacher: Path, config: StudentConfig, run: Run, device: torch.device, **how: Any
) -> dict[str, Any]:
    """how: of `distill`."""
    generator = load_generator(gan, device, read_meta(teacher).get("gan_class"))
    return {"run": run.dir, "gan": gan, **distill(generator, gan, teacher, config, run, **how)}


def _newest_run(runs_dir: Path) -> Run:
    runs = [path for path in list_runs(runs_dir, KIND) if (path / "config.json").is_file()]
    if not runs:
        raise ProjectError(f"{runs_dir}: no distill run to resume", "leave --resume out to start one")
    return Run(runs[-1])


def _same_file(path: Path | None, parent: Mapping[str, str], option: str) -> Path:
    """The file that a run was begun with, wherever it is now."""
    path = path or Path(parent["path"])
    if not path.is_file():
        raise CheckpointError(f"{path}: the run was begun with this file, and it is gone", f"name it with {option}")
    if (got := sha256_file(path)) != parent["sha256"]:
        message = f"{path}: the run was begun with {parent['sha256'][:12]}, this is {got[:12]}"
        raise CheckpointError(message, f"name the file it was begun with: {option}")
    return path
