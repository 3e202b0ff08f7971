"""Teachers: few label maps in, label maps of any generated image out, with a figure for their doubt."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gseg_cli.app import main
from gseg_cli.checkpoint import load_checkpoint, read_meta, save_checkpoint
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import MODELS, Teacher, TeacherConfig, load_teacher, save_teacher
from gseg_cli.fewshot.predict import Prediction, predict
from gseg_cli.fewshot.stage import run_fewshot_train
from gseg_cli.fewshot.train import draw_pixels, fit_teacher
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import CheckpointError, ConfigError, GsegError, ProjectError
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import resize_labels
from gseg_runtime.metrics import confusion_matrix, mean_iou
from tests.tiny import CLASSES, annotate, brightness_labels

CPU = torch.device("cpu")
SEEDS, HELD_OUT = [0, 1, 2, 3], range(50, 58)
CONFIG = FewshotConfig(model="mlp", steps=60, pixels=512)
CNN_STEPS = 120  # of one image each


@pytest.fixture(scope="module")
def generator(tiny_gan):
    return load_generator(tiny_gan)


@pytest.fixture(scope="module")
def labels(generator):
    return brightness_labels(generator, SEEDS)


@pytest.fixture(scope="module")
def ws(generator):
    return ws_for_seeds(generator, HELD_OUT, 1.0)


def config_of(model):
    return CONFIG if model == "mlp" else replace(CONFIG, model=model, steps=CNN_STEPS)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_and_predicts_the_same_after_a_reload(generator, labels, ws, tmp_path, model):
    teacher = fit_teacher(generator, annotate(generator, SEEDS, labels), config_of(model))
    predicted = predict(generator, teacher, ws_for_seeds(generator, SEEDS, 1.0)).labels.numpy()
    assert mean_iou(confusion_matrix(predicted, labels, len(CLASSES))) > 0.33  # the commonest class alone: 0.19
    path = tmp_path / "teacher.safetensors"
    save_teacher(path, teacher, CLASSES, {"gan_sha256": "1" * 64})
    again, classes, meta = load_teacher(path)
    before, after = (predict(generator, t, ws) for t in (teacher, again))
    assert torch.equal(before.probs, after.probs) and torch.equal(before.images, after.images)
    assert (again.config, classes, meta["gan_sha256"]) == (teacher.config, CLASSES, "1" * 64)
    assert not again.training and not any(p.requires_grad for p in again.parameters())


def test_pixels_of_small_classes_are_drawn_more_often_than_they_occur():
    classes = torch.tensor([0, 3, 0, 0] * 400)[torch.randperm(1600)]
    classes[7] = 1  # of one pixel; nothing is of class 2
    for balance in (0.0, 0.25, 1.0):
        chosen = classes[draw_pixels(classes, balance)(200_000)]
        shares = classes.bincount() ** (1 - balance) * torch.tensor([1, 1, 0, 1])
        assert torch.allclose(chosen.bincount() / 200_000, shares / shares.sum(), atol=0.01)


def test_every_pixel_of_a_class_is_drawn():
    classes = torch.tensor([2, 0, 2, 0, 0, 2])
    assert set(draw_pixels(classes, 0.25)(500).tolist()) == set(range(6))


def test_a_teacher_is_readier_to_find_small_classes(generator, ws):
    brightness = to_uint8(generator.synthesis(ws_for_seeds(generator, SEEDS, 1.0))).numpy().mean(axis=3)
    annotations = annotate(generator, SEEDS, (brightness > np.quantile(brightness, 0.99)).astype(np.uint8))
    usual, as_they_occur = (
        predict(generator, fit_teacher(generator, annotations, replace(CONFIG, balance=balance)), ws).probs
        for balance in (CONFIG.balance, 0.0)
    )
    assert usual[:, 1].mean() > 1.5 * as_they_occur[:, 1].mean()


@pytest.mark.parametrize("model", ["mlp", "cnn-s"])
def test_ignored_pixels_teach_nothing(generator, labels, model):
    """Taken for background, or for a class of their own, they would be the commonest lesson."""
    unlabelled = np.where(labels == 0, IGNORE, labels)
    teacher = fit_teacher(generator, annotate(generator, SEEDS, unlabelled), config_of(model))
    predicted = predict(generator, teacher, ws_for_seeds(generator, SEEDS, 1.0)).labels.numpy()
    assert (labels == 0).mean() > 0.2 and (predicted == 0).mean() < 0.01
    assert (predicted == labels)[labels != 0].mean() > 0.8


def test_the_same_seed_gives_the_same_teacher_and_another_seed_another(generator, labels, ws):
    annotations = annotate(generator, SEEDS, labels)
    first, same, other = (
        predict(generator, fit_teacher(generator, annotations, replace(CONFIG, steps=5, seed=seed)), ws).probs
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_predictions_fit_the_images_they_come_with(generator, labels, ws):
    teacher = fit_teacher(generator, annotate(generator, SEEDS, labels), replace(CONFIG, steps=5))
    prediction = predict(generator, teacher, ws)
    image = generator.synthesis(ws).permute(0, 2, 3, 1) * 127.5 + 127.5
    assert (prediction.images - image.clamp(0, 255)).abs().max() <= 1
    assert prediction.labels.shape == (8, 16, 16) and prediction.labels.dtype == torch.uint8
    torch.testing.assert_close(prediction.probs.sum(dim=1), torch.ones(8, 16, 16))


def make_ensemble(generator, num_heads):
    torch.manual_seed(0)
    config = TeacherConfig(
        model="mlp", channels=generator.feature_channels, num_classes=3, size=16, num_heads=num_heads
    )
    return Teacher(config).eval()


def test_doubt_is_the_disagreement_of_the_heads(generator, ws):
    teacher = make_ensemble(generator, 3)
    doubt = predict(generator, teacher, ws).doubt
    heads = teacher(generator.features(ws)[1]).detach()  # [3, N, C, S, S]
    mean = heads.mean(dim=0, keepdim=True)
    divergence = (heads * (heads / mean).log()).sum(dim=2).mean(dim=0)  # Jensen-Shannon, as the mean of divergences
    torch.testing.assert_close(doubt, divergence, rtol=0, atol=1e-5)
    assert doubt.min() >= 0 and doubt.max() > 1e-4


def test_heads_that_agree_have_no_doubt(generator, ws):
    teacher = make_ensemble(generator, 3)
    for head in teacher.heads[1:]:
        head.load_state_dict(teacher.heads[0].state_dict())
    doubt = predict(generator, teacher, ws).doubt
    assert doubt.min() >= 0 and doubt.max() < 1e-6


def test_a_single_head_doubts_by_its_entropy(generator, ws):
    prediction = predict(generator, make_ensemble(generator, 1), ws)
    torch.testing.assert_close(
        prediction.doubt, torch.distributions.Categorical(prediction.probs.movedim(1, -1)).entropy()
    )
    certain = Prediction(prediction.images, torch.eye(3)[:, :, None, None], torch.zeros(3, 1, 1))
    assert certain.score().tolist() == [0, 0, 0]


def test_an_image_is_scored_by_its_most_doubtful_tenth():
    doubt = torch.zeros(2, 10, 10)
    doubt[1, 3] = torch.arange(10.0)
    prediction = Prediction(torch.zeros(2, 10, 10, 3), torch.zeros(2, 3, 10, 10), doubt)
    assert prediction.score().tolist() == [0, 4.5] and prediction.score(share=0.01).tolist() == [0, 9]


def test_an_ensemble_is_trained_head_by_head(generator, labels):
    annotations, steps = annotate(generator, SEEDS, labels), []
    teacher = fit_teacher(generator, annotations, replace(CONFIG, steps=4, num_heads=2), on_step=steps.append)
    assert [step.done for step in steps] == list(range(1, 9)) and steps[-1].total == 8
    one, two = (head.features.linear.weight for head in teacher.heads)
    assert not torch.allclose(one, two)


@pytest.fixture
def annotations(tiny_gan, generator, labels, tmp_path):
    folder = tmp_path / "annotations"
    annotate(generator, SEEDS, labels, sha256_file(tiny_gan)).save(folder, source="a test")
    return folder


def test_the_command_trains_and_says_what_it_trained_on(tiny_gan, annotations, tmp_path, capsys):
    args = ["--gan", str(tiny_gan), "--annotations", str(annotations), "--runs", str(tmp_path / "runs")]
    assert main(["fewshot-train", *args, "--model", "mlp", "--steps", "3", "--device", "cpu", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    meta = read_meta(tmp_path / "runs" / "0001-fewshot" / "checkpoint.safetensors")
    assert data["annotations"] == 4 and data["checkpoint"].endswith("0001-fewshot/checkpoint.safetensors")
    assert meta["gan_sha256"] == sha256_file(tiny_gan) == meta["parents"][0]["sha256"]
    assert (meta["trained"]["steps"], meta["trained"]["seeds"]) == (3, SEEDS)


def test_a_class_without_pixels_is_told(tiny_gan, generator, labels, tmp_path):
    annotate(generator, SEEDS, np.minimum(labels, 1), sha256_file(tiny_gan)).save(tmp_path / "a", source="a test")
    done = run_fewshot_train(tiny_gan, tmp_path / "a", replace(CONFIG, steps=2), tmp_path / "runs", CPU)
    assert len(done.warnings) == 1 and "light" in done.warnings[0]


def test_annotations_of_another_gan_are_refused_before_a_run_is_opened(tiny_gan, generator, labels, tmp_path):
    annotate(generator, SEEDS, labels, "2" * 64).save(tmp_path / "a", source="a test")
    with pytest.raises(ProjectError, match="come from GAN 222222222222, not from") as caught:
        run_fewshot_train(tiny_gan, tmp_path / "a", CONFIG, tmp_path / "runs", CPU)
    assert "--gan" in caught.value.hint and not (tmp_path / "runs").exists()


def test_annotations_without_a_labelled_pixel_are_refused(generator, labels):
    nothing = annotate(generator, SEEDS, np.full_like(labels, IGNORE))
    for model in ("mlp", "cnn-s"):
        with pytest.raises(GsegError, match="no labelled pixel"):
            fit_teacher(generator, nothing, replace(CONFIG, model=model, steps=2))


def test_a_sample_without_a_label_is_left_out_and_told(tiny_gan, generator, labels, tmp_path, monkeypatch):
    """Where no pixel of it is sure either: the mean over no pixel is no number."""
    monkeypatch.setattr("gseg_cli.fewshot.complete.SURE", 2.0)
    labels = labels.copy()
    labels[0] = IGNORE
    annotate(generator, SEEDS, labels, sha256_file(tiny_gan)).save(tmp_path / "a", source="a test")
    config = replace(CONFIG, model="cnn-s", steps=20)
    done = run_fewshot_train(tiny_gan, tmp_path / "a", config, tmp_path / "runs", CPU)
    losses = [json.loads(line)["loss"] for line in (done.run / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all() and done.annotations == len(SEEDS) - 1
    assert done.warnings == [f"{SEEDS[0]:06d}.png: left out, as none of its pixels is labelled (all are 255)"]


def test_label_maps_that_are_not_square_are_refused_before_a_run_is_opened(tiny_gan, generator, labels, tmp_path):
    annotate(generator, SEEDS, labels[:, :, :12], sha256_file(tiny_gan)).save(tmp_path / "a", source="a test")
    with pytest.raises(GsegError, match="expected square label maps like the samples, got 12x16") as caught:
        run_fewshot_train(tiny_gan, tmp_path / "a", CONFIG, tmp_path / "runs", CPU)
    assert "annotate-import" in caught.value.hint and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("size", [8, 32])
def test_label_maps_of_another_size_than_the_samples_are_refused_before_a_run_is_opened(
    tiny_gan, generator, labels, tmp_path, size
):
    maps = np.stack([resize_labels(one, (size, size)) for one in labels])
    annotate(generator, SEEDS, maps, sha256_file(tiny_gan)).save(tmp_path / "a", source="a test")
    with pytest.raises(GsegError, match=f"expected label maps of 16 pixels like the samples, got {size}") as caught:
        run_fewshot_train(tiny_gan, tmp_path / "a", CONFIG, tmp_path / "runs", CPU)
    assert "annotate-import" in caught.value.hint and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("model", ["mlp", "cnn-l"])
def test_the_papers_schedule_is_its_own(model):
    config = FewshotConfig(model=model, schedule="paper", steps=7, lr=1.0).resolved(3, 64)
    assert (config.steps, config.batch, config.pixels, config.lr, config.weight_decay) == (3000, 1, 4096, 1e-3, 1e-3)
    assert FewshotConfig(model=model).resolved(3, 64).steps in (400, 800)
    with pytest.raises(ConfigError, match="schedule: expected one of short, paper, got 'long'"):
        FewshotConfig(schedule="long")


@pytest.mark.parametrize("features", ["all", "paper"])
def test_pixels_teach_the_same_whether_their_features_are_kept_or_gathered_anew(
    generator, labels, ws, features, monkeypatch
):
    annotations, config = annotate(generator, SEEDS, labels), replace(CONFIG, steps=5, features=features)
    kept = predict(generator, fit_teacher(generator, annotations, config), ws).probs
    monkeypatch.setattr("gseg_cli.fewshot.train.MAX_TABLE", 0)
    anew = predict(generator, fit_teacher(generator, annotations, config), ws).probs
    torch.testing.assert_close(kept, anew, rtol=0, atol=1e-5)


def test_a_single_annotation_is_enough_to_begin_with(generator, labels):
    teacher = fit_teacher(generator, annotate(generator, SEEDS[:1], labels[:1]), CONFIG)
    predicted = predict(generator, teacher, ws_for_seeds(generator, SEEDS[:1], 1.0)).labels.numpy()
    assert mean_iou(confusion_matrix(predicted, labels[:1], len(CLASSES))) > 0.5


@pytest.mark.parametrize("steps", [1, 2, 10, 11])
def test_the_shortest_trainings_end_too(generator, labels, steps):
    fit_teacher(generator, annotate(generator, SEEDS, labels), replace(CONFIG, steps=steps))


def test_an_unknown_model_and_a_broken_checkpoint_are_told(generator, tmp_path):
    with pytest.raises(ConfigError, match="expected one of mlp, cnn-s, cnn-m, cnn-l, got 'vit'"):
        FewshotConfig(model="vit")
    path = tmp_path / "teacher.safetensors"
    save_teacher(path, make_ensemble(generator, 1), CLASSES, {})
    tensors, meta = load_checkpoint(path)
    save_checkpoint(path, tensors, {**meta, "config": {**meta["config"], "num_heads": 2}})
    with pytest.raises(CheckpointError, match=r"teacher\.safetensors: its tensors do not fit its config"):
        load_teacher(path)
