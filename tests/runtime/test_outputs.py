"""What is written beside the masks."""

import csv
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, MakeModel, MakePhoto
from PIL import Image
from pycocotools.coco import COCO

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.class_map import ClassMap
from gseg_runtime.label_map import Pixels, overlay, read_label_png

ALL = {"overlay": True, "confidence": True, "coco": True, "stats": True, "sheet": True}
ALWAYS = {"gseg-manifest.jsonl", "gseg-report.json"}
EXTRA = {*ALWAYS, "gseg-coco.json", "gseg-stats.csv", "gseg-sheet.jpg"}


@pytest.fixture
def segmenter(model_with_confidence: Path) -> Segmenter:
    return Segmenter.load(model_with_confidence, device="cpu")


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_everything_lies_beside_the_masks_and_is_replaced_with_them(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out, **ALL)
    stems = ["a", "b", "deep/a", "deep/er/photo de la mère\n"]
    beside = {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".overlay.jpg", ".confidence.png")}
    assert names_in(out) == beside | EXTRA
    masks = {stem: (out / f"{stem}.png").read_bytes() for stem in stems}
    segmenter.segment_folder(photos, out, overwrite=True)
    assert names_in(out) == {f"{stem}.png" for stem in stems} | ALWAYS
    assert masks == {stem: (out / f"{stem}.png").read_bytes() for stem in stems}
    Image.new("RGB", (8, 8)).save(out / "mine.overlay.jpg")
    with pytest.raises(GsegError, match=r"did not write, for example mine\.overlay\.jpg"):
        segmenter.segment_folder(photos, out, overwrite=True)


def test_the_overlay_shows_the_photo_in_class_colours(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / "x.png", 40, 60, (32, 224))
    segmenter.segment_folder(tmp_path / "in", tmp_path / "out", overlay=True)
    with Image.open(tmp_path / "out" / "x.overlay.jpg") as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert shown.shape == (40, 60, 3)
    assert np.abs(shown[:, :20] - 32).max() < 16  # background stays
    mixed = (224 + np.array(CLASSES.colors[3])) / 2
    assert np.abs(shown[:, 40:].mean(axis=(0, 1)) - mixed).max() < 8


def test_the_confidence_is_a_grey_picture_at_the_photos_size(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / "x.png", 40, 60, (32, 224))
    segmenter.segment_folder(tmp_path / "in", tmp_path / "out", confidence=True)
    with Image.open(tmp_path / "out" / "x.confidence.png") as image:
        assert image.mode == "L" and image.size == (60, 40)
        assert np.unique(np.asarray(image)[:, :20]).tolist() == [32]
    (prediction,) = segmenter.predict([np.full((9, 7, 3), 100, np.uint8)], confidence=True)
    assert prediction.confidence is not None and np.unique(prediction.confidence).tolist() == [100]
    assert prediction.labels.shape == prediction.confidence.shape == (9, 7)
    assert prediction.areas(4) == [0, 63, 0, 0]


def test_confidence_of_a_model_without_it_is_refused_before_anything_is_written(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model), "--confidence"]
    assert main(call) == 1
    assert "gseg export --confidence" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_who_wants_confidence_beside_enlarged_labels_is_told_that_smooth_edges_give_it(
    model_with_logits: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model_with_logits), "--confidence"]
    assert main([*call, "--edges", "nearest"]) == 1
    assert "hint: leave out --edges nearest" in capsys.readouterr().err
    assert main(call) == 0


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools with numpy 2
def test_coco_masks_are_the_pngs(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out, coco=True)
    coco = COCO(out / "gseg-coco.json")
    assert {category["name"] for category in coco.cats.values()} == set(CLASSES.names[1:])
    files = {image["file_name"]: image for image in coco.imgs.values()}
    assert set(files) == {path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file()}
    for name, image in files.items():
        labels = read_label_png((out / name).with_suffix(".png"))
        assert labels.shape == (image["height"], image["width"])
        built = np.zeros_like(labels)
        for annotation in coco.imgToAnns[image["id"]]:
            mask = coco.annToMask(annotation).astype(bool)
            assert annotation["area"] == mask.sum() and not built[mask].any()
            built[mask] = annotation["category_id"]
        np.testing.assert_array_equal(built, labels)


def test_stats_count_the_pixels_of_the_masks(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").rename(photos / os.fsdecode(b"\xe9.png"))
    segmenter.segment_folder(photos, tmp_path / "out", stats=True)
    with (tmp_path / "out" / "gseg-stats.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", "height", "width", "confidence", *CLASSES.names]
    assert [row[0] for row in rows] == ["a.jpg", "deep/a.jpg", "deep/er/photo de la mère\n.webp", r"\udce9.png"]
    for row, name in zip(rows[:2], ["a.png", "deep/a.png"], strict=True):
        labels = read_label_png(tmp_path / "out" / name)
        areas = np.bincount(labels.ravel(), minlength=len(CLASSES))
        assert [int(value) for value in row[1:3] + row[4:]] == [*labels.shape, *areas]


@pytest.mark.skipif(os.name == "nt", reason="no name has a carriage return there")
def test_a_name_with_a_carriage_return_is_one_row(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").rename(photos / "b\r1.png")
    segmenter.segment_folder(photos, tmp_path / "out", stats=True)
    with (tmp_path / "out" / "gseg-stats.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:3]] == ["a.jpg", "b\r1.png"]
    assert {len(row) for row in rows} == {4 + len(CLASSES)}


def test_resume_adds_what_an_earlier_run_was_not_asked_for(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out)
    assert segmenter.segment_folder(photos, out, resume=True, stats=True).skipped == 4  # the manifest has the areas
    assert segmenter.segment_folder(photos, out, resume=True, coco=True).done == 4
    segmenter.segment_folder(photos, out, resume=True, **ALL)
    (out / "a.overlay.jpg").unlink()
    report = segmenter.segment_folder(photos, out, resume=True, **ALL)
    assert (report.done, report.skipped) == (1, 3)
    segmenter.segment_folder(photos, tmp_path / "whole", **ALL)
    for name in ("gseg-coco.json", "gseg-stats.csv", "a.overlay.jpg", "a.confidence.png"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_masks_are_the_same_whatever_is_written_beside_them(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / "large.jpg", 600, 800, (90, 200))
    segmenter.segment_folder(tmp_path / "in", tmp_path / "bare")
    segmenter.segment_folder(tmp_path / "in", tmp_path / "all", **ALL)
    assert (tmp_path / "bare" / "large.png").read_bytes() == (tmp_path / "all" / "large.png").read_bytes()


def test_a_list_on_stdin_and_a_shard(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stdin:
        buffer = (tmp_path / "list").open("w+b")

    names = sorted(path for path in photos.rglob("*") if path.is_file())
    Stdin.buffer.write(b"\0".join(os.fsencode(name) for name in [*names, photos / "gone.jpg"]))
    Stdin.buffer.seek(0)
    monkeypatch.setattr("sys.stdin", Stdin)
    call = ["segment", "-", "-0", "--base", str(photos), "-o", str(tmp_path / "out"), "--model", str(model), "--json"]
    assert main(call) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["errors"] == [{"message": f"{photos}/gone.jpg: No such file or directory", "hint": None}]
    assert "deep/er/photo de la mère\n.png" in names_in(tmp_path / "out")
    Stdin.buffer.close()
    shard = ["segment", str(photos), "-o", str(tmp_path / "half"), "--model", str(model)]
    assert main([*shard, "--shard", "1/2"]) == 0
    halves = {name for name in names_in(tmp_path / "half") if name.endswith(".png")}
    assert halves == {"b.png", "deep/er/photo de la mère\n.png"}
    for wrong in ("2/2", "x", "1/0"):
        assert main([*shard, "--shard", wrong]) == 2


def test_a_class_that_is_named_like_a_column_gets_a_column_of_its_own(
    make_model: MakeModel, photos: Path, tmp_path: Path
) -> None:
    classes = ClassMap.of_names(["image", "width", "width (class)", "light"])
    with Segmenter.load(make_model(classes=classes), "cpu") as segmenter:
        segmenter.segment_folder(photos, tmp_path / "out", stats=True)
    with (tmp_path / "out" / "gseg-stats.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    own = ["image (class)", "width (class) (class)", "width (class)", "light"]
    assert list(rows[0]) == ["image", "height", "width", "confidence", *own]
    assert (rows[0]["image"], rows[0]["width"]) == ("a.jpg", "30")


def test_large_overlays_are_drawn_one_at_a_time(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JPEGs are decoded small for the network, but an overlay takes them whole."""
    for index in range(12):
        make_photo(tmp_path / "in" / f"{index}.jpg", 60, 80)
    at_once, most, lock = 0, 0, threading.Lock()

    def slow(image: Pixels, *rest: Any) -> Pixels:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1
        return overlay(image, *rest)

    monkeypatch.setattr("gseg_runtime.photo_work.overlay", slow)
    segmenter.segment_folder(tmp_path / "in", tmp_path / "small", overlay=True, workers=4)
    assert most > 1
    most = 0
    monkeypatch.setattr("gseg_runtime.images._LARGE", 60 * 80 - 1)
    segmenter.segment_folder(tmp_path / "in", tmp_path / "large", overlay=True, workers=4)
    assert most == 1
