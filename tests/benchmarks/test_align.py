"""Wherever a face lies in a photo, alignment brings its eyes and mouth to the GAN's places."""

import cmath
import math

import numpy as np
import pytest
from PIL import Image

from benchmarks.align import (
    PLACES,
    SIZE,
    Similarity,
    align_folder,
    find_landmarks,
    fit_similarity,
    warp_labels,
    warp_photo,
)
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.geometry import FILL

CLASSES = ClassMap.of_names(["background", "skin", "hair", "eyes", "nose", "mouth"])
EYES, MOUTH = 3, 5


def similarity(scale, degrees, shift):
    return Similarity(cmath.rect(scale, math.radians(degrees)), shift)


def draw_face(to_photo, height, width):
    """Skin everywhere, and eyes and a mouth as discs where `to_photo` takes the GAN's places."""
    labels = np.ones((height, width), np.uint8)
    rows, columns = np.mgrid[:height, :width] + 0.5
    for index, radius, place in zip((EYES, EYES, MOUTH), (2, 2, 4), to_photo(PLACES), strict=True):
        labels[np.abs(columns + 1j * rows - place) < radius * to_photo.scale] = index
    return labels


FACES = {
    "large": (similarity(7.5, 0, -60 + 20j), 512, 370),
    "turned": (similarity(5, 17, 80 - 30j), 400, 420),
    "turned the other way": (similarity(6.3, -25, -20 + 160j), 600, 500),
    "as small as the frame": (similarity(1, 4, 3 - 2j), 64, 64),
    "smaller": (similarity(0.7, 0, 5 + 4j), 50, 60),
}


@pytest.mark.parametrize("to_photo, height, width", FACES.values(), ids=FACES.keys())
def test_eyes_and_mouth_come_to_the_places_of_the_gan(to_photo, height, width):
    labels = draw_face(to_photo, height, width)
    to_frame = fit_similarity(find_landmarks(labels, eyes=EYES, mouth=MOUTH), PLACES)
    aligned = warp_labels(labels, to_frame)
    assert aligned.shape == (SIZE, SIZE) and aligned.dtype == np.uint8
    assert np.abs(find_landmarks(aligned, eyes=EYES, mouth=MOUTH) - PLACES).max() < 0.5
    assert to_frame.scale * to_photo.scale == pytest.approx(1, rel=0.03)


def test_places_count_from_the_centre_of_the_first_pixel():
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[27:29, 22] = EYES  # centroid 22, 27.5
    labels[27:29, 41:43] = EYES  # 41.5, 27.5
    labels[48, 31:33] = MOUTH  # 31.5, 48
    assert np.allclose(find_landmarks(labels, eyes=EYES, mouth=MOUTH), PLACES - [0, 0, 0.25])


def test_a_frame_that_is_the_photo_changes_nothing():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    blocks = np.kron(rng.integers(0, 6, (16, 16), np.uint8), np.ones((4, 4), np.uint8))
    same = Similarity(1, 0)
    assert (warp_labels(blocks, same) == blocks).all()
    flat = np.full_like(photo, 77)
    assert (warp_photo(flat, same) == 77).all()


def test_outside_the_photo_is_ignored_and_grey_and_inside_is_neither():
    """A photo of 40x32 pixels, three pixels from the frame's left and five from its top."""
    to_frame = Similarity(1, 3 + 5j)
    labels, photo = np.ones((40, 32), np.uint8), np.full((40, 32, 3), 200, np.uint8)
    inside = np.zeros((SIZE, SIZE), bool)
    inside[5:45, 3:35] = True
    assert (warp_labels(labels, to_frame) == np.where(inside, 1, IGNORE)).all()
    assert (warp_photo(photo, to_frame) == np.where(inside[..., None], 200, FILL)).all()


def test_a_reduced_photo_is_averaged_and_not_thinned_out():
    """Stripes of one pixel become even grey, which single samples would not give."""
    photo = np.zeros((512, 512, 3), np.uint8)
    photo[:, ::2] = 200
    assert np.abs(warp_photo(photo, Similarity(1 / 8, 0)).astype(int) - 100).max() <= 1


def test_the_fit_is_the_one_of_umeyama():
    """Against the published formula by singular values, on points no similarity maps exactly."""
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(2, 5, 2))
    x, y = source - source.mean(0), target - target.mean(0)
    u, values, vt = np.linalg.svd(y.T @ x / 5)
    signs = np.array([1, np.sign(np.linalg.det(u @ vt))])
    expected = (values * signs).sum() / (x**2).sum(1).mean() * (u * signs) @ vt
    fitted = fit_similarity(source @ [1, 1j], target @ [1, 1j])
    assert np.allclose([fitted.turn.real, fitted.turn.imag], expected[:, 0])
    assert fitted.shift == pytest.approx((target.mean(0) - expected @ source.mean(0)) @ [1, 1j])


def test_a_few_stray_pixels_do_not_move_the_split_between_the_eyes():
    to_photo, height, width = FACES["large"]
    labels = draw_face(to_photo, height, width)
    before = find_landmarks(labels, eyes=EYES, mouth=MOUTH)
    labels[200:202, 0] = EYES
    assert np.abs(find_landmarks(labels, eyes=EYES, mouth=MOUTH) - before).max() < 1


@pytest.mark.parametrize("missing", [EYES, MOUTH])
def test_a_face_without_eyes_or_mouth_is_refused(missing):
    labels = draw_face(*FACES["large"])
    labels[labels == missing] = 1
    with pytest.raises(GsegError, match=f"class {missing}"):
        find_landmarks(labels, eyes=EYES, mouth=MOUTH)


def test_a_face_with_one_eye_is_refused():
    labels = draw_face(*FACES["large"])
    labels[:, : labels.shape[1] // 2][labels[:, : labels.shape[1] // 2] == EYES] = 1
    with pytest.raises(GsegError, match="two eyes"):
        find_landmarks(labels, eyes=EYES, mouth=MOUTH)


@pytest.fixture
def portraits(tmp_path):
    """images/ and masks/ of one face whose skin is light, on a JPEG."""
    labels = draw_face(*FACES["turned"])
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.fromarray(labels).save(tmp_path / "masks" / "a.png")
    Image.fromarray(np.repeat(np.where(labels == 1, 220, 20)[..., None], 3, axis=2).astype(np.uint8)).save(
        tmp_path / "images" / "a.jpg"
    )
    return tmp_path


def test_photo_and_mask_are_moved_together(portraits, tmp_path):
    errors = align_folder(portraits / "images", portraits / "masks", tmp_path / "out", CLASSES)
    assert len(errors) == 3 and max(errors) < 0.1
    photo = np.asarray(Image.open(tmp_path / "out" / "images" / "a.png"))[..., 0]
    labels = np.asarray(Image.open(tmp_path / "out" / "masks" / "a.png"))
    assert ((photo > 120) == (labels == 1))[labels != IGNORE].mean() > 0.97
    assert photo.shape == labels.shape == (SIZE, SIZE)


def test_a_mask_of_another_size_is_refused(portraits, tmp_path):
    Image.fromarray(np.ones((10, 10), np.uint8)).save(portraits / "masks" / "a.png")
    with pytest.raises(GsegError, match="420x400 pixels as the photo has, got 10x10"):
        align_folder(portraits / "images", portraits / "masks", tmp_path / "out", CLASSES)
