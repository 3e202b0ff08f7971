"""A step of teaching never waits for the GPU, and its loss is read for reports only."""

import pytest
import torch

from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.features import collect_features
from gseg_cli.fewshot.model import MODELS, Teacher, TeacherConfig
from gseg_cli.fewshot.train import REPORT_STEPS, _fit, fit_teacher
from tests.far_device import FAR, waits
from tests.tiny import CLASSES, annotate, brightness_labels, make_generator

SEEDS = [0, 1, 2]


@pytest.fixture(scope="module")
def annotations():
    generator = make_generator()
    return annotate(generator, SEEDS, brightness_labels(generator, SEEDS))


@pytest.mark.parametrize("schedule", ["short", "paper"])
@pytest.mark.parametrize("model", MODELS)
def test_teaching_waits_for_nothing(annotations, model, schedule):
    labels = torch.as_tensor(annotations.labels).long()
    stack = collect_features(make_generator().to(FAR), torch.as_tensor(annotations.ws).to(FAR), labels.shape[-1])
    config = TeacherConfig(model=model, channels=stack.channels, num_classes=len(CLASSES), size=labels.shape[-1])
    (head,) = Teacher(config).to(FAR).heads
    how = FewshotConfig(model=model, schedule=schedule, pixels=64).resolved(len(labels), labels.shape[-1])
    with waits() as found:
        head.features.standardize(stack)
        losses = [loss for _, loss in zip(range(4), _fit(head, stack, labels, how, 0), strict=False)]
    assert not found and len(losses) == 4 and all(loss.device == FAR for loss in losses)


def test_the_loss_is_read_for_reports_and_stands_until_the_next(annotations):
    steps = []
    fit_teacher(
        make_generator(), annotations, FewshotConfig(steps=2 * REPORT_STEPS + 3, pixels=64), on_step=steps.append
    )
    losses = {step.done: step.values.get("loss") for step in steps}
    assert list(losses) == list(range(1, 2 * REPORT_STEPS + 4)) and losses[REPORT_STEPS - 1] is None
    changes = [done for done in losses if done > 1 and losses[done] != losses[done - 1]]
    assert changes == [REPORT_STEPS, 2 * REPORT_STEPS, 2 * REPORT_STEPS + 3]
