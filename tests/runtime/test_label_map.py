import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import (
    LabelMap,
    check_label_map,
    colorize,
    contact_sheet,
    overlay,
    read_label_png,
    resize_labels,
    write_label_png,
)
from gseg_runtime.png import is_gseg_png

CLASSES = ClassMap(("background", "skin", "eyes"), ((0, 0, 0), (200, 100, 50), (0, 0, 250)))


def random_labels(height: int, width: int) -> LabelMap:
    rng = np.random.default_rng(height * width)
    return rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (height, width))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (64, 33)])
def test_written_pngs_are_indexed_pngs_to_pillow(tmp_path: Path, size: tuple[int, int]) -> None:
    labels = random_labels(*size)
    write_label_png(tmp_path / "x.png", labels, CLASSES)
    with Image.open(tmp_path / "x.png") as image:
        assert image.mode == "P"
        assert image.get_format_mimetype() == "image/png"
        np.testing.assert_array_equal(np.array(image), labels)
        np.testing.assert_array_equal(np.array(image.convert("RGB")), colorize(labels, CLASSES))
    np.testing.assert_array_equal(read_label_png(tmp_path / "x.png"), labels)
    assert is_gseg_png(tmp_path / "x.png")


def test_label_maps_are_read_from_indexed_and_grey_pngs_of_others(tmp_path: Path) -> None:
    labels = random_labels(9, 8)
    Image.fromarray(labels, "L").save(tmp_path / "grey.png")
    few = np.minimum(labels, 2)
    indexed = Image.fromarray(few, "P")
    indexed.putpalette(CLASSES.palette())
    indexed.save(tmp_path / "indexed.png", bits=2)
    np.testing.assert_array_equal(read_label_png(tmp_path / "grey.png"), labels)
    np.testing.assert_array_equal(read_label_png(tmp_path / "indexed.png"), few)
    assert not is_gseg_png(tmp_path / "grey.png")


def test_other_files_are_no_label_maps(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "colour.png")
    Image.new("1", (4, 4)).save(tmp_path / "bits.png")
    Image.new("L", (4, 4)).save(tmp_path / "named.png", format="JPEG")
    (tmp_path / "cut.png").write_bytes((tmp_path / "colour.png").read_bytes()[:40])
    for name, reason in [
        ("colour", "got RGB of 8 bits"),
        ("bits", "got 1 of 1 bits"),
        ("named", "not a picture"),
        ("cut", ""),
        ("missing", "No such file"),
    ]:
        with pytest.raises(GsegError, match=rf"{name}\.png: .*{reason}"):
            read_label_png(tmp_path / f"{name}.png")


def test_check_names_the_index_that_has_no_class() -> None:
    labels = np.array([[0, 2, IGNORE]], np.uint8)
    assert check_label_map(labels, 3, "x.png") is labels
    with pytest.raises(GsegError, match=r"x\.png: class index 2, but there are 2 classes"):
        check_label_map(labels, 2, "x.png")
    with pytest.raises(GsegError, match=r"expected a label map uint8 \[H, W\], got int64 \[1, 3\]"):
        check_label_map(labels.astype(np.int64), 3, "x.png")


def test_a_large_label_map_is_checked_in_little_memory() -> None:
    labels = np.zeros((1000, 1000), np.uint8)
    tracemalloc.start()
    check_label_map(labels, 3, "x.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * labels.nbytes


def test_resizing_is_nearest_by_pixel_centres() -> None:
    labels = np.array([[1, 2], [3, 4]], np.uint8)
    up = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    np.testing.assert_array_equal(resize_labels(labels, (4, 4)), up)
    np.testing.assert_array_equal(resize_labels(np.array(up, np.uint8), (2, 2)), labels)
    big = random_labels(37, 53)
    expected = np.array(Image.fromarray(big).resize((101, 19), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(resize_labels(big, (19, 101)), expected)


def test_overlay_leaves_background_and_darkens_where_classes_meet() -> None:
    image = np.full((3, 6, 3), 100, np.uint8)
    labels = np.array([[0, 0, 1, 1, 2, IGNORE]] * 3, np.uint8)
    shown = overlay(image, labels, CLASSES, alpha=0.5)
    assert (shown[:, [0, 1, 5]] == 100).all()
    assert shown[0, 2].tolist() == [150, 100, 75]  # halfway between photo and colour
    assert shown[0, 3].tolist() == [68, 45, 34]  # its right neighbour is of another class


def test_a_large_overlay_is_made_in_strips_that_nobody_sees() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1100, 900, 3), dtype=np.uint8)
    labels = rng.integers(0, len(CLASSES), (110, 9), dtype=np.uint8).repeat(10, axis=0).repeat(100, axis=1)
    tracemalloc.start()
    shown = overlay(image, labels, CLASSES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * image.nbytes
    for top in (200, 250, 255, 256, 500):  # whatever lies around it, a row looks the same
        np.testing.assert_array_equal(shown[top : top + 20], overlay(image[top:], labels[top:], CLASSES)[:20])


def test_contact_sheet_holds_all_pictures() -> None:
    red = np.full((8, 4, 3), (255, 0, 0), np.uint8)
    blue = np.full((90, 90, 3), (0, 0, 255), np.uint8)
    sheet = contact_sheet([[red, blue], [blue]], 64, ["photo", "mask"])
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 2 * 64 + 3 * 2
    assert (sheet == (255, 0, 0)).all(axis=2).sum() == 64 * 32
    assert (sheet == (0, 0, 255)).all(axis=2).sum() == 2 * 64 * 64
    assert (sheet < 128).all(axis=2).any()  # letters of the titles
