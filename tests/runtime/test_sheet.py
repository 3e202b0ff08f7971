"""gseg-sheet.jpg: what a run shows of its masks."""

import shutil

import numpy as np
import pytest
from PIL import Image

from gseg_runtime.class_map import ClassMap
from gseg_runtime.extras import is_gseg_file
from gseg_runtime.images import Decoding
from gseg_runtime.label_map import overlay, write_label_png
from gseg_runtime.plan import Job, plan
from gseg_runtime.sheet import SHEET, draw_sheet
from gseg_runtime.sources import Source

CLASSES = ClassMap.of_names(["background", "skin", "hair"])


def labelled(folder, count, size=(96, 64)):
    """Photos of (width, height), of one grey each, and masks that are skin on their left."""
    (folder / "masks").mkdir(parents=True)
    (folder / "photos").mkdir()
    for number in range(count):
        Image.new("RGB", size, (10 * number,) * 3).save(folder / f"photos/{number:02d}.png")
        labels = np.zeros(size[::-1], np.uint8)
        labels[:, : size[0] // 2] = 1
        write_label_png(folder / f"masks/{number:02d}.png", labels, CLASSES)
    return plan([Source(folder / "photos")])


def drawn(folder, jobs, how=None, doubtful=()):
    sheet = draw_sheet(folder / "masks", jobs, doubtful, CLASSES, how or Decoding(), workers=2)
    if sheet is None:
        return None
    (folder / SHEET).write_bytes(sheet)
    assert is_gseg_file(folder / SHEET)  # which --overwrite may replace
    with Image.open(folder / SHEET) as image:
        return np.asarray(image)


def test_photos_stand_beside_their_masks_in_class_colours_below_a_legend(tmp_path):
    sheet = drawn(tmp_path, labelled(tmp_path, 5))
    cell, gap, legend = 192, 6, 24
    assert sheet.shape == (legend + 2 * (cell + gap) + gap, 8 * (cell + gap) + gap, 3)  # four pairs, and one
    middle = legend + gap + cell // 2
    photo, mask = sheet[middle, gap + 40], sheet[middle, gap + cell + gap + 40]
    expected = overlay(np.zeros((1, 4, 3), np.uint8), np.ones((1, 4), np.uint8), CLASSES)[0, 0]
    assert np.abs(photo.astype(int)).max() < 8 and np.abs(mask.astype(int) - expected).max() < 12


def test_doubtful_photos_stand_below_under_their_names(tmp_path):
    jobs = list(labelled(tmp_path, 2))
    plain = drawn(tmp_path, jobs)
    doubtful = [(job, 0.5) for job in jobs] + [(Job(tmp_path / "gone.png", jobs[0].mask), 0.6)]
    sheet = drawn(tmp_path, jobs, doubtful=doubtful)
    cell, gap, title, legend = 192, 6, 32, 24
    assert sheet.shape == (plain.shape[0] + title + cell + 2 * gap, *plain.shape[1:])
    rest = sheet[len(plain) :]
    np.testing.assert_allclose(rest[title + gap :], plain[legend + gap :], atol=40)  # JPEG's blocks lie otherwise
    assert [bool((rest[:title, x : x + cell] < 100).any()) for x in range(gap, rest.shape[1] - gap, cell + gap)] == [
        True
    ] * 4


def test_what_the_font_cannot_write_of_a_name_is_a_question_mark(tmp_path):
    (job,) = labelled(tmp_path, 1)
    sheets = []
    for name in ("a?b.png", "a\nb.png", "a\tb.png", "a😀b.png"):
        photo = job.photo.with_name(name)
        shutil.copy(job.photo, photo)
        sheets.append(drawn(tmp_path, [job], doubtful=[(Job(photo, job.mask), 0.5)]))
    assert all(np.array_equal(sheet, sheets[0]) for sheet in sheets)


@pytest.mark.parametrize("gone", ["photos", "masks"])
def test_a_photo_that_failed_or_was_moved_away_is_left_out(tmp_path, gone):
    jobs = labelled(tmp_path, 2)
    (tmp_path / gone / "00.png").unlink()
    assert drawn(tmp_path, jobs).shape[1] < 3 * 200
    (tmp_path / gone / "01.png").unlink()
    assert drawn(tmp_path, jobs) is None


def test_photos_that_may_not_be_read_or_are_larger_than_a_phones_are_left_out(tmp_path):
    jobs = labelled(tmp_path, 1)
    assert drawn(tmp_path, jobs, Decoding(max_pixels=96 * 64 - 1)) is None
    large = labelled(tmp_path / "large", 1, size=(8001, 8000))
    assert drawn(tmp_path / "large", large, Decoding()) is None
    phone = labelled(tmp_path / "phone", 1, size=(8160, 6144))
    assert drawn(tmp_path / "phone", phone, Decoding()) is not None


def test_a_few_jobs_of_many_are_the_first_the_last_and_some_between(tmp_path):
    for folder, count in (("a", 3), ("b", 1), ("c", 16)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            Image.new("RGB", (1, 1)).save(tmp_path / folder / f"{folder}{number:02d}.png")
    jobs = plan([Source(tmp_path / folder) for folder in "abc"])
    assert jobs.spread(100) == list(jobs)
    assert [job.mask.stem for job in jobs.spread(4)] == ["a00", "c02", "c09", "c15"]
    assert jobs.spread(1) == [Job(tmp_path / "a" / "a00.png", jobs.spread(1)[0].mask)]
