"""Of which masks a model is sure: in the manifest, in the tables, in the report."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import INPUT_SIZE, MakePhoto
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import Segmenter
from gseg_runtime.files import read_json
from gseg_runtime.least_sure import Doubt, LeastSure
from gseg_runtime.manifest import read_sorted
from gseg_runtime.merge import merge
from gseg_runtime.remote.parts import Row

SURE, UNSURE = 32, 63  # greys in the middle of a class, and almost in the next


@pytest.fixture
def greys(tmp_path: Path) -> Path:
    """Twenty photos, of which each has more sure pixels than the one before."""
    (tmp_path / "greys").mkdir()
    for number in range(20):
        pixels = np.full((INPUT_SIZE, INPUT_SIZE, 3), UNSURE, np.uint8)
        pixels.reshape(-1, 3)[: number * INPUT_SIZE**2 // 20] = SURE
        Image.fromarray(pixels).save(tmp_path / "greys" / f"{number:02d}.png")
    return tmp_path / "greys"


def confidences(folder: Path) -> list[float | None]:
    return [entry.confidence for entry in read_sorted(folder)]


def names(folder: Path) -> list[str]:
    return [doubt["image"] for doubt in read_json(folder / "gseg-report.json")["least_sure"]]


@pytest.mark.parametrize(
    "options", [{}, {"edges": "guided"}, {"tile": INPUT_SIZE}, {"edges": "nearest", "confidence": True}]
)
def test_a_photos_confidence_is_the_mean_of_its_confidence_map_be_that_wanted_or_not(
    model_with_logits: Path,
    model_with_confidence: Path,
    make_photo: MakePhoto,
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    make_photo(tmp_path / "in" / "x.png", 2 * INPUT_SIZE, 2 * INPUT_SIZE, (UNSURE, SURE))
    model = model_with_confidence if options.get("edges") == "nearest" else model_with_logits
    with Segmenter.load(model, "cpu") as segmenter:
        segmenter.segment_folder(tmp_path / "in", tmp_path / "plain", **options)
        segmenter.segment_folder(tmp_path / "in", tmp_path / "map", **{**options, "confidence": True})
    with Image.open(tmp_path / "map" / "x.confidence.png") as image:
        expected = np.asarray(image).mean() / 255
    assert confidences(tmp_path / "plain") == confidences(tmp_path / "map") == [pytest.approx(expected, abs=0.01)]
    assert 0 < expected < 1


def test_what_a_model_does_not_tell_is_left_empty(model: Path, greys: Path, tmp_path: Path) -> None:
    with Segmenter.load(model, "cpu") as segmenter:
        report = segmenter.segment_folder(greys, tmp_path / "out", stats=True)
        assert segmenter.predict([np.zeros((8, 8, 3), np.uint8)])[0].mean_confidence is None
    assert report.least_sure == () and set(confidences(tmp_path / "out")) == {None}
    with (tmp_path / "out" / "gseg-stats.csv").open(newline="") as file:
        assert {row["confidence"] for row in csv.DictReader(file)} == {""}


def test_the_report_names_the_least_sure_photos_of_this_run_and_those_before(
    model_with_logits: Path, greys: Path, tmp_path: Path
) -> None:
    expected = [f"{number:02d}.png" for number in range(12)]
    (greys / "03.png").rename(tmp_path / "03.png")
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        segmenter.segment_folder(greys, tmp_path / "out", stats=True)
        (tmp_path / "03.png").rename(greys / "03.png")
        report = segmenter.segment_folder(greys, tmp_path / "out", resume=True, sheet=True)
        for index in range(3):
            segmenter.segment_folder(greys, tmp_path / f"shard-{index}", shard=(index, 3))
    assert names(tmp_path / "out") == [doubt.image for doubt in report.least_sure] == expected
    merge([tmp_path / f"shard-{index}" for index in range(3)], tmp_path / "merged")
    assert names(tmp_path / "merged") == expected
    with (tmp_path / "out" / "gseg-stats.csv").open(newline="") as file:
        told = [float(row["confidence"]) for row in csv.DictReader(file)]
    assert told == confidences(tmp_path / "out") and told == sorted(told) and told[0] < 0.9 * told[-1]


def test_of_photos_alike_the_first_by_name_are_told_in_whatever_order_they_are_done() -> None:
    rows = [Row(f"{number:02d}.png", {}, "done", confidence=0.5) for number in range(20)]
    told = LeastSure(rows).doubts
    assert LeastSure(reversed(rows)).doubts == told == tuple(Doubt(row.key, 0.5) for row in rows[:12])


def test_the_sheet_shows_doubtful_photos_where_it_cannot_show_all(
    model_with_logits: Path, greys: Path, tmp_path: Path
) -> None:
    heights = []
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        for count in (9, 8):  # the first run has one photo more than the sheet has places
            for path in sorted(greys.iterdir())[count:]:
                path.unlink()
            segmenter.segment_folder(greys, tmp_path / str(count), sheet=True)
            with Image.open(tmp_path / str(count) / "gseg-sheet.jpg") as image:
                heights.append(image.height)
    assert heights[0] == heights[1] + 2 * (32 + 192 + 2 * 6)


def test_what_is_said_of_the_sheet_is_what_it_shows(
    model_with_logits: Path, greys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["segment", str(greys), "--model", str(model_with_logits), "--device", "cpu", "-o"]
    assert main([*command, str(tmp_path / "many")]) == 0
    assert "some of the photos beside their masks, and those the model is least sure of\n" in capsys.readouterr().err
    for path in sorted(greys.iterdir())[8:]:
        path.unlink()
    assert main([*command, str(tmp_path / "few")]) == 0
    assert "gseg-sheet.jpg: the photos beside their masks\n" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["NaN", "-1", "1" + 400 * "0"])
def test_a_photo_whose_confidence_was_changed_by_hand_to_no_share_is_done_again(
    model_with_logits: Path, greys: Path, tmp_path: Path, value: str
) -> None:
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        segmenter.segment_folder(greys, tmp_path / "out")
        manifest = tmp_path / "out" / "gseg-manifest.jsonl"
        first, *others = manifest.read_text().splitlines(keepends=True)
        changed = re.sub(r'"confidence": [\d.]+', f'"confidence": {value}', first)
        assert changed != first
        manifest.write_text("".join([changed, *others]))
        report = segmenter.segment_folder(greys, tmp_path / "out", resume=True, sheet=True)
    assert (report.done, report.skipped) == (1, 19) and names(tmp_path / "out")[0] == "00.png"
