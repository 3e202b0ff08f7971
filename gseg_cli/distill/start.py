"""From a GAN and a teacher to a trained student in a run folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gseg_cli.checkpoint import parent_of, read_meta
from gseg_cli.distill.distill import StudentConfig, distill
from gseg_cli.gan.networks import load_generator
from gseg_cli.runs import open_run
from gseg_cli.steps import OnStep, ignore_step


def start_distill(
    gan: Path,
    teacher: Path,
    config: StudentConfig,
    runs_dir: Path,
    device: torch.device,
    *,
    on_pairs: OnStep = ignore_step,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Make pairs and train; returns run, checkpoint, number of pairs and held_out_miou."""
    run = open_run(runs_dir, "distill", asdict(config), [parent_of(gan, "gan"), parent_of(teacher, "fewshot")])
    generator = load_generator(gan, device, read_meta(teacher).get("gan_class"))
    return {"run": run.dir, **distill(generator, gan, teacher, config, run, on_pairs=on_pairs, on_step=on_step)}
