"""How long a distillation will take, told before it starts: one sample and one step of two pairs are timed."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from gseg_cli.distill.config import DistillConfig, StudentConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.second_opinion import SHARE
from gseg_cli.distill.trainer import StudentTrainer
from gseg_cli.duration import LONG_S, seconds_of, told
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.gan.generator import Generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.seeding import seed_step
from gseg_runtime.class_map import ClassMap

LONG_STEP_S = 60.0


def forecast(
    generator: Generator, teacher: Teacher, config: StudentConfig, size: int, num_samples: int, num_processes: int
) -> Iterator[str]:
    """Lines to say, on a CPU; none where all is done soon. num_samples: to be labelled; size: the student's input."""
    device = next(teacher.parameters()).device
    if device.type != "cpu":
        return
    ws = ws_for_seeds(generator, [config.pairs.first_seed], config.pairs.truncation_psi)
    pairs_s = seconds_of(lambda: predict(generator, teacher, ws)) * num_samples / num_processes
    step_s = _seconds_of_step(config.train, teacher.config.num_classes, size, device) / num_processes
    train = config.train
    num_steps = train.steps * (1 + SHARE if train.labels == "agreed" else 1)
    training_s = num_steps * step_s if train.minutes is None else train.minutes * 60
    if pairs_s + training_s > LONG_S:
        yield (
            f"this will take about {told(pairs_s + training_s)} here: {told(pairs_s)} to draw and label {num_samples} "
            f"samples of {generator.img_resolution} px, {told(training_s)} to train at {size} px"
        )
    if step_s > LONG_STEP_S:
        yield (
            f"warning: each step takes about {told(step_s)}; --input-size {size // 2} takes a quarter of that, and a "
            "smaller --batch less"
        )


def _seconds_of_step(config: DistillConfig, num_classes: int, size: int, device: torch.device) -> float:
    """Of one process, for the whole batch."""
    blank = torch.zeros(2, size, size, dtype=torch.uint8)
    pairs = PairSet(blank[..., None].expand(-1, -1, -1, 3), blank, blank, blank, torch.zeros(2))
    how = replace(config, input_size=size, batch=2, microbatch=None)
    classes = ClassMap.of_names(tuple(map(str, range(num_classes))))
    trainer = StudentTrainer(pairs, classes, how, device)
    spent_s = seconds_of(lambda: trainer.step(0.0))
    seed_step(config.seed, 0)
    return spent_s * config.batch / 2
