"""Toy faces: what the rest of gseg may rely on."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gseg_cli.datasets.toy_faces.canvas import Canvas
from gseg_cli.datasets.toy_faces.dataset import CLASSES, render, write_dataset
from gseg_cli.datasets.toy_faces.draw import draw_face
from gseg_cli.datasets.toy_faces.face import Face
from gseg_cli.datasets.toy_faces.parts import paint_face
from gseg_cli.steps import Step
from gseg_runtime.errors import GsegError
from gseg_runtime.files import INCOMPLETE, read_json
from gseg_runtime.images import read_image
from gseg_runtime.label_map import read_label_png

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def faces() -> list[tuple[Pixels, Pixels]]:
    return [render(seed, 64) for seed in range(50)]


def paint(face: Face, size: int) -> tuple[npt.NDArray[np.float32], Pixels]:
    canvas = Canvas(size, face.pose)
    paint_face(canvas, face)
    return canvas.rgb, canvas.labels


def test_one_seed_is_one_face() -> None:
    first, again, other = render(7, 64), render(7, 64), render(8, 64)
    assert (first[0] == again[0]).all() and (first[1] == again[1]).all()
    assert (first[0] != other[0]).any() and (first[1] != other[1]).any()


@pytest.mark.parametrize("size", [32, 50, 64, 192])
def test_image_and_labels_have_the_size_asked_for(size: int) -> None:
    image, labels = render(3, size)
    assert image.shape == (size, size, 3) and labels.shape == (size, size)
    assert image.dtype == labels.dtype == np.uint8
    assert labels.max() < len(CLASSES)


@pytest.mark.parametrize("seed", range(4))
def test_a_face_is_the_same_at_two_sizes(seed: int) -> None:
    small_image, small = render(seed, 64)
    large_image, large = render(seed, 256)
    assert (large[2::4, 2::4] == small).mean() > 0.96
    shrunk = large_image.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small_image).mean() < 4


def test_every_class_occurs(faces: list[tuple[Pixels, Pixels]]) -> None:
    present = np.stack([np.bincount(labels.ravel(), minlength=len(CLASSES)) > 0 for _, labels in faces]).mean(axis=0)
    may_be_hidden = {"hair": 0.8, "ears": 0.4}
    for name, share in zip(CLASSES.names, present, strict=True):
        assert share >= may_be_hidden.get(name, 0.95), name


@pytest.mark.parametrize("name", CLASSES.names)
def test_labels_agree_with_the_picture(faces: list[tuple[Pixels, Pixels]], name: str) -> None:
    # The picture steps where the class begins and ends, more than two pixels beside it and away from other edges.
    # With labels that are two pixels off the ratio is below 1 for every class; the nose has the lowest true one, 1.2.
    at_edge, beside = [], []
    for image, labels in faces:
        steps = np.abs(np.diff(image.astype(np.float32), axis=1)).sum(axis=2)
        is_smooth = np.diff(labels.astype(np.int16), axis=1) == 0
        edge = np.diff((labels == CLASSES.index(name)).astype(np.int8), axis=1) != 0
        at_edge.append(steps[edge])
        beside += [steps[np.roll(edge, by, axis=1) & is_smooth] for by in (-2, 2)]
    assert np.concatenate(at_edge).mean() > 1.15 * np.concatenate(beside).mean()


@pytest.mark.parametrize("accessory", ["hat", "glasses"])
def test_hats_and_glasses_are_background(accessory: str) -> None:
    wearers = [face for face in map(draw_face, range(60)) if getattr(face, accessory) is not None]
    assert 2 <= len(wearers) <= 18
    for face in wearers[:4]:
        picture, labels = paint(face, 128)
        bare_picture, bare_labels = paint(replace(face, **{accessory: None}), 128)
        changed = (picture != bare_picture).any(axis=0)
        assert changed.any()
        assert (labels[changed] == 0).all()
        assert (labels[~changed] == bare_labels[~changed]).all()


def test_faces_differ_in_what_a_portrait_can_differ_in() -> None:
    faces = [draw_face(seed) for seed in range(200)]
    brightness = sorted(float(face.skin.color.mean()) for face in faces)
    assert brightness[10] < 0.4 and brightness[-10] > 0.75
    assert 0.25 < np.mean([face.mouth.opening > 0 for face in faces]) < 0.55
    assert {face.hair.has_cap for face in faces} == {True, False}
    assert np.std([face.pose.yaw for face in faces]) > 0.1
    lengths = sorted(face.hair.length for face in faces)
    assert max(after - before for before, after in pairwise(lengths)) < 0.2  # from short to long without a wide gap


def test_a_dataset_holds_what_render_gives_named_by_seed(tmp_path: Path) -> None:
    out, steps = tmp_path / "toy", list[Step]()
    write_dataset(out, count=3, seed=41, size=32, on_step=steps.append)
    assert sorted(path.name for path in (out / "images").iterdir()) == ["000041.png", "000042.png", "000043.png"]
    image, labels = render(42, 32)
    assert (read_image(out / "images/000042.png").pixels == image).all()
    assert (read_label_png(out / "masks/000042.png") == labels).all()
    config = read_json(out / "toy-faces.json")
    assert (config["kind"], config["count"], config["seed"], config["size"]) == ("toy-faces", 3, 41, 32)
    assert [entry["name"] for entry in config["classes"]] == list(CLASSES.names)
    assert steps[-1] == Step(3, 3)


def test_a_dataset_by_several_processes_is_complete(tmp_path: Path) -> None:
    write_dataset(tmp_path / "toy", count=410, size=16)
    assert len(list((tmp_path / "toy/masks").iterdir())) == 410
    assert (read_image(tmp_path / "toy/images/000409.png").pixels == render(409, 16)[0]).all()


def test_a_dataset_is_not_overwritten_unasked(tmp_path: Path) -> None:
    write_dataset(tmp_path / "toy", count=2, size=16)
    before = (tmp_path / "toy/images/000000.png").read_bytes()
    with pytest.raises(GsegError) as refusal:
        write_dataset(tmp_path / "toy", count=2, size=24)
    assert "--overwrite" in (refusal.value.hint or "")
    assert (tmp_path / "toy/images/000000.png").read_bytes() == before
    write_dataset(tmp_path / "toy", count=1, size=24, overwrite=True)
    assert read_label_png(tmp_path / "toy/masks/000000.png").shape == (24, 24)
    assert not (tmp_path / "toy/images/000001.png").exists()


def test_resuming_renders_only_what_is_missing_and_never_mixes_two_datasets(tmp_path: Path) -> None:
    out = tmp_path / "toy"
    write_dataset(out, count=3, size=16)
    kept, lost = out / "images/000000.png", out / "masks/000002.png"
    stamp = kept.stat().st_mtime_ns
    lost.unlink()
    write_dataset(out, count=4, size=16, resume=True)
    assert lost.exists() and (out / "masks/000003.png").exists()
    assert kept.stat().st_mtime_ns == stamp
    with pytest.raises(GsegError, match="seed"):
        write_dataset(out, count=4, size=24, resume=True)
    with pytest.raises(GsegError, match="started with 4 faces, not with 3"):
        write_dataset(out, count=3, size=16, resume=True)
    (out / "toy-faces.json").write_text("[")
    with pytest.raises(GsegError, match="not valid JSON"):
        write_dataset(out, count=4, size=16, resume=True)
    assert not (out / INCOMPLETE).exists()  # of a refusal
