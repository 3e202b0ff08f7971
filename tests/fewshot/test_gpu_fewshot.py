"""A teacher taught on a GPU knows what one taught on a CPU knows, and is the same wherever it is asked."""

import pytest
import torch

from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.features import collect_features
from gseg_cli.fewshot.model import Teacher, TeacherConfig, load_teacher, save_teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.train import _fit, fit_teacher
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_runtime.metrics import confusion_matrix, mean_iou
from tests.gpu import no_waiting
from tests.tiny import CLASSES, annotate, brightness_labels

SEEDS, HELD_OUT = [0, 1, 2, 3], range(50, 82)
CONFIGS = {"mlp": FewshotConfig(model="mlp", steps=60, pixels=512), "cnn-s": FewshotConfig(model="cnn-s", steps=120)}


@pytest.fixture(scope="module")
def here(tiny_gan):
    """The generator on the CPU."""
    return load_generator(tiny_gan)


@pytest.fixture(scope="module")
def labels(here):
    return brightness_labels(here, SEEDS)


@pytest.fixture(scope="module")
def annotations(here, labels):
    return annotate(here, SEEDS, labels)


@pytest.fixture(scope="module")
def ws(here):
    return ws_for_seeds(here, HELD_OUT, 1.0)


@pytest.mark.parametrize("model", CONFIGS)
def test_a_teacher_learns_on_a_gpu_and_says_the_same_on_a_cpu(
    device, tiny_gan, here, annotations, labels, ws, tmp_path, model
):
    there = load_generator(tiny_gan, device)
    teacher = fit_teacher(there, annotations, CONFIGS[model])
    assert next(teacher.parameters()).device.type == device.type
    known = predict(there, teacher, ws_for_seeds(there, SEEDS, 1.0)).labels.cpu().numpy()
    assert mean_iou(confusion_matrix(known, labels, len(CLASSES))) > 0.33  # the commonest class alone: 0.19
    save_teacher(tmp_path / "teacher.safetensors", teacher, CLASSES, {})
    got = predict(there, teacher, ws.to(device))
    expected = predict(here, load_teacher(tmp_path / "teacher.safetensors")[0], ws)
    assert (got.labels.cpu() == expected.labels).float().mean() >= 0.999
    torch.testing.assert_close(got.probs.cpu(), expected.probs, rtol=0, atol=1e-3)
    torch.testing.assert_close(got.score().cpu(), expected.score(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("model", CONFIGS)
def test_what_is_learned_does_not_depend_on_the_device(device, tiny_gan, here, annotations, ws, model):
    there = load_generator(tiny_gan, device)
    got, expected = (
        predict(generator, fit_teacher(generator, annotations, CONFIGS[model]), ws.to(where)).labels.cpu()
        for generator, where in ((there, device), (here, "cpu"))
    )
    assert (got == expected).float().mean() > 0.95


@pytest.mark.parametrize("model", CONFIGS)
def test_a_step_of_teaching_never_waits_for_the_gpu(device, tiny_gan, annotations, model):
    generator = load_generator(tiny_gan, device)
    labels = torch.as_tensor(annotations.labels).long()
    stack = collect_features(generator, torch.as_tensor(annotations.ws).to(device), labels.shape[-1])
    config = TeacherConfig(model=model, channels=stack.channels, num_classes=len(CLASSES), size=labels.shape[-1])
    (head,) = Teacher(config).to(device).heads
    head.features.standardize(stack)
    steps = _fit(head, stack, labels, CONFIGS[model].resolved(len(labels), labels.shape[-1]), seed=0)
    losses = [next(steps), next(steps)]
    with no_waiting(device):
        losses += [next(steps) for _ in range(4)]
    assert torch.stack(losses).isfinite().all()
