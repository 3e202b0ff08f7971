"""Guided edges follow the photo where the network's grid is coarse, and stay as they are where it says nothing."""

from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES
from PIL import Image

from gseg_runtime import Segmenter
from gseg_runtime.detail import Detail
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.guided import guided_labels
from gseg_runtime.images import read_image
from gseg_runtime.label_map import read_label_png
from gseg_runtime.prediction import Inference

SIZE, SCALE = 16, 12


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A photo of a slanted edge between two colours, [H, W, 3], and its exact labels."""
    height = width = SIZE * SCALE
    rows, columns = np.mgrid[:height, :width]
    labels = (columns + 0.4 * rows > 0.7 * width).astype(np.uint8)
    noise = np.random.RandomState(seed).randint(-8, 9, (height, width, 3))
    photo = np.where(labels[..., None] == 1, (235, 200, 180), (30, 50, 90)) + noise
    return photo.clip(0, 255).astype(np.uint8), labels


def coarse(photo: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The grid's logits, unsure at the edge, and its picture: means over squares of SCALE pixels."""
    share = labels.reshape(SIZE, SCALE, SIZE, SCALE).mean(axis=(1, 3)).clip(0.01, 0.99)
    grid = photo.reshape(SIZE, SCALE, SIZE, SCALE, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    return np.log(np.stack([1 - share, share])).astype(np.float32), grid


def test_an_edge_goes_where_the_photo_has_it() -> None:
    photo, truth = scene()
    logits, grid = coarse(photo, truth)
    blocks = logits.argmax(axis=0).repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    wrong, wrong_before = ((labels != truth).mean() for labels in (guided_labels(logits, grid, photo), blocks))
    assert wrong < 0.002 < 0.01 < wrong_before


def test_where_the_network_sees_one_class_the_photo_changes_nothing() -> None:
    photo, _ = scene()
    logits = np.full((3, SIZE, SIZE), -2, np.float32)
    logits[2] = 4
    assert (guided_labels(logits, photo[::SCALE, ::SCALE].copy(), photo) == 2).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (7, 5), (200, 33)])
def test_photos_of_all_shapes_have_a_mask_of_theirs(shape: tuple[int, int]) -> None:
    random = np.random.RandomState(1)
    grid_shape = max(1, min(SIZE, shape[0])), max(1, min(SIZE, shape[1]))
    grid, photo = (random.randint(0, 256, (*size, 3)).astype(np.uint8) for size in (grid_shape, shape))
    labels = guided_labels(random.randn(4, *grid_shape).astype(np.float32), grid, photo)
    assert labels.shape == shape and labels.max() < 4


def test_a_guide_without_logits_is_no_silent_matter() -> None:
    photo, _ = scene()
    inference = Inference(np.zeros((1, SIZE, SIZE), np.uint8))
    with pytest.raises(ValueError, match="guided edges need logits"):
        inference.prediction(0, Letterbox(*photo.shape[:2], SIZE), photo)


def test_tiles_are_refused() -> None:
    with pytest.raises(UsageError, match="guided does not go with tiles"):
        Detail("guided", 256)


def test_a_folder_and_an_array_are_guided_alike_and_resume_notices(model_with_logits: Path, tmp_path: Path) -> None:
    photo, _ = scene()
    (tmp_path / "in").mkdir()
    Image.fromarray(photo).save(tmp_path / "in" / "a.png")
    pixels = read_image(tmp_path / "in" / "a.png").pixels
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out", edges="guided")
        expected, others = (segmenter.predict([pixels], edges=edges)[0].labels for edges in ("guided", "smooth"))
        assert segmenter.segment_folder(tmp_path / "in", tmp_path / "out", edges="guided", resume=True).skipped == 1
        with pytest.raises(GsegError, match="with --edges guided, not with --edges smooth"):
            segmenter.segment_folder(tmp_path / "in", tmp_path / "out", resume=True)
    assert np.array_equal(read_label_png(tmp_path / "out" / "a.png"), expected)
    assert (expected != others).any() and expected.max() < len(CLASSES)
