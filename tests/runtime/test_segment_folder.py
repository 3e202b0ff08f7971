import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, MakeModel, MakePhoto
from PIL import Image

from gseg_runtime import GsegError, Segmenter
from gseg_runtime.bench import run_bench
from gseg_runtime.errors import UsageError
from gseg_runtime.folder import Progress
from gseg_runtime.label_map import read_label_png

MASKS = ["a.png", "b.png", "deep/a.png", "deep/er/photo de la mère\n.png"]
EXTRA = ["gseg-manifest.jsonl", "gseg-report.json"]


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def manifest_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "gseg-manifest.jsonl").read_text().splitlines()]


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


def test_arrays_of_any_size_are_segmented_at_their_own_size(segmenter: Segmenter) -> None:
    images = [np.full((height, width, 3), value, np.uint8) for height, width, value in [(5, 9, 10), (64, 3, 130)]]
    label_maps = segmenter.segment(images)
    assert [label_map.shape for label_map in label_maps] == [(5, 9), (64, 3)]
    assert [np.unique(label_map).tolist() for label_map in label_maps] == [[0], [2]]
    with pytest.raises(GsegError, match=r"expected an image uint8 \[H, W, 3\], got float64 \[2, 2\]"):
        segmenter.segment([np.zeros((2, 2))])  # type: ignore[list-item]


def test_the_output_mirrors_the_tree_and_holds_nothing_else(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []

    def on_image(state: Progress) -> None:
        steps.append((state.done, state.total))

    report = segmenter.segment_folder(photos, tmp_path / "out", on_image=on_image, workers=3)
    assert tree(tmp_path / "out") == sorted(MASKS + EXTRA)
    assert (report.done, report.failed, report.skipped) == (4, 0, 0)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with Image.open(tmp_path / "out" / "b.png") as mask:
        assert mask.mode == "P" and mask.size == (37, 51)
        assert mask.getpalette()[: 3 * len(CLASSES)] == [value for color in CLASSES.colors for value in color]


def test_masks_are_at_the_photos_size_with_the_right_classes(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    segmenter.segment_folder(photos, tmp_path / "out")
    for name, (height, width) in {"a": (20, 30), "b": (51, 37), "deep/a": (7, 90)}.items():
        labels = read_label_png(tmp_path / "out" / f"{name}.png")
        assert labels.shape == (height, width)
        middle, blur = width // 2, width // 8 + 1
        assert (labels[:, : middle - blur] == 0).all() and (labels[:, middle + blur :] == 3).all()


def test_the_exif_orientation_is_applied(segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: dark is displayed above
    make_photo(tmp_path / "in" / "x.jpg", height=20, width=40, exif=exif, quality=95)
    segmenter.segment_folder(tmp_path / "in", tmp_path / "out")
    labels = read_label_png(tmp_path / "out" / "x.png")
    assert labels.shape == (40, 20)
    assert (labels[:16] == 0).all() and (labels[24:] == 3).all()


def test_a_broken_photo_is_counted_and_the_rest_done(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    good = (photos / "a.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(good[: len(good) // 2])
    (photos / "text.jpg").write_text("a letter")
    (photos / "folder.jpg").mkdir()
    (photos / "dangling.jpg").symlink_to("nowhere")
    report = segmenter.segment_folder(photos, tmp_path / "out")
    assert (report.done, report.failed) == (4, 4)
    reasons = {Path(failure.path).name: failure.reason for failure in report.failures}
    assert sorted(reasons) == ["cut.jpg", "dangling.jpg", "folder.jpg", "text.jpg"]
    assert "truncated" in reasons["cut.jpg"].lower() and "No such file" in reasons["dangling.jpg"]
    assert tree(tmp_path / "out") == sorted(MASKS + EXTRA)
    saved = json.loads((tmp_path / "out" / "gseg-report.json").read_text())
    assert saved == json.loads(json.dumps(report.to_json()))
    assert saved["failures"][0] == {"path": str(photos / "cut.jpg"), "reason": reasons["cut.jpg"]}
    by_status = [entry["status"] for entry in manifest_of(tmp_path / "out")]
    assert sorted(by_status) == ["done"] * 4 + ["failed"] * 4


def test_collisions_are_refused_before_anything_starts(
    segmenter: Segmenter, photos: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(photos / "a.png")
    with pytest.raises(GsegError, match=r"a\.jpg and .*a\.png would both write a\.png") as caught:
        segmenter.segment_folder(photos, tmp_path / "out")
    assert "--full-names" in str(caught.value.hint)
    assert not (tmp_path / "out").exists()
    segmenter.segment_folder(photos, tmp_path / "out", full_names=True)
    assert {"a.jpg.png", "a.png.png", "deep/a.jpg.png"} <= set(tree(tmp_path / "out"))


def test_a_folder_named_like_a_mask_is_a_collision(segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "in" / "x.jpg")
    make_photo(tmp_path / "in" / "x.png" / "y.jpg")
    with pytest.raises(GsegError, match=r"both write x\.png"):
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out")


def test_files_and_folders_together(segmenter: Segmenter, photos: Path, make_photo: MakePhoto, tmp_path: Path) -> None:
    single = make_photo(tmp_path / "elsewhere" / "single.bmp")
    report = segmenter.segment_files([photos / "deep", single, photos / "deep" / "a.jpg"], tmp_path / "out")
    assert report.done == 3
    assert tree(tmp_path / "out") == sorted(["a.png", "er/photo de la mère\n.png", "single.png", *EXTRA])


@pytest.mark.parametrize("out", ["photos", "photos/deep/masks", "."])
def test_an_output_that_touches_the_input_is_refused(
    segmenter: Segmenter, photos: Path, out: str, tmp_path: Path
) -> None:
    before = tree(tmp_path)
    for flag in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(GsegError, match="the output"):
            segmenter.segment_folder(photos, tmp_path / out, **flag)
    assert tree(tmp_path) == before


def test_no_photo_is_an_error_and_leaves_no_folder(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(GsegError, match="no image found"):
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_overwrite_replaces_masks_but_never_files_of_others(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out)
    (photos / "b.png").unlink()
    with pytest.raises(GsegError, match="not empty"):
        segmenter.segment_folder(photos, out)
    segmenter.segment_folder(photos, out, overwrite=True)
    assert "b.png" not in tree(out)
    Image.new("P", (2, 2)).save(out / "mine.png")
    with pytest.raises(GsegError, match=r"did not write, for example mine\.png"):
        segmenter.segment_folder(photos, out, overwrite=True)
    assert "a.png" in tree(out)


def test_resume_writes_over_nothing_that_segment_did_not_write(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    out, annotations = tmp_path / "out", tmp_path / "annotations"
    segmenter.segment_folder(photos, out)
    (photos / "b.png").rename(photos / "mine.png")
    Image.new("P", (2, 2)).save(out / "mine.png")
    annotations.mkdir()
    (annotations / "annotations.json").write_text("{}")
    for folder, message in (
        (out, r"mine\.png: exists and was not written by gseg"),
        (annotations, r"holds annotations\.json"),
    ):
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with pytest.raises(GsegError, match=message):
            segmenter.segment_folder(photos, folder, resume=True)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (out / "mine.png").unlink()
    assert segmenter.segment_folder(photos, out, resume=True).done == 1


def test_resume_does_only_what_is_missing_or_changed(
    segmenter: Segmenter, photos: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out)
    untouched = (out / "b.png").stat().st_mtime_ns
    (out / "a.png").unlink()
    make_photo(photos / "deep" / "a.jpg", height=9, width=9)
    make_photo(photos / "new.png")
    with (out / "gseg-manifest.jsonl").open("a") as manifest:
        manifest.write('{"input": "half a li')
    (out / "deep" / ".gseg-tmp-0123456789ab.png").write_bytes(b"half a mask")
    report = segmenter.segment_folder(photos, out, resume=True)
    assert (report.done, report.failed, report.skipped) == (3, 0, 2)
    assert tree(out) == sorted([*MASKS, "new.png", *EXTRA])
    assert (out / "b.png").stat().st_mtime_ns == untouched
    assert read_label_png(out / "deep" / "a.png").shape == (9, 9)
    assert sorted(str(entry["mask"]) for entry in manifest_of(out)) == sorted([*MASKS, "new.png"])
    again = segmenter.segment_folder(photos, out, resume=True)
    assert (again.done, again.skipped) == (0, 5)


def test_failed_photos_are_tried_again_by_resume(
    segmenter: Segmenter, photos: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    (photos / "bad.jpg").write_bytes(b"")
    segmenter.segment_folder(photos, tmp_path / "out")
    make_photo(photos / "bad.jpg")
    report = segmenter.segment_folder(photos, tmp_path / "out", resume=True)
    assert (report.done, report.failed, report.skipped) == (1, 0, 4)


def test_an_interrupted_run_gone_on_with_equals_an_uninterrupted_one(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    def interrupt(state: Progress) -> None:
        if state.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmenter.segment_folder(photos, tmp_path / "out", on_image=interrupt, workers=1)
    assert ".gseg-incomplete" in tree(tmp_path / "out")
    report = segmenter.segment_folder(photos, tmp_path / "out", resume=True)
    assert report.done + report.skipped == 4 and report.skipped >= 2
    segmenter.segment_folder(photos, tmp_path / "whole")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    for name in MASKS:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_another_model_is_refused_by_resume(
    segmenter: Segmenter, make_model: MakeModel, photos: Path, tmp_path: Path
) -> None:
    segmenter.segment_folder(photos, tmp_path / "out")
    other = Segmenter.load(make_model(created_by="gseg, another day"), device="cpu")
    with pytest.raises(GsegError, match="another model") as caught:
        other.segment_folder(photos, tmp_path / "out", resume=True)
    assert "--overwrite" in str(caught.value.hint)
    assert tree(tmp_path / "out") == sorted(MASKS + EXTRA)
    assert other.segment_folder(photos, tmp_path / "out", overwrite=True).done == 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are not text")
def test_a_file_name_that_is_not_utf8_is_done(segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "in" / "x.png").rename(tmp_path / "in" / os.fsdecode(b"caf\xe9.png"))
    assert segmenter.segment_folder(tmp_path / "in", tmp_path / "out").done == 1
    assert segmenter.segment_folder(tmp_path / "in", tmp_path / "out", resume=True).skipped == 1


WITHOUT_THE_TRAINING_SIDE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "typer", "rich", "gseg_cli", "gseg_export", "onnx", "safetensors"):
            raise ImportError(f"{name} must not be imported here")

sys.meta_path.insert(0, Refuse())
from gseg_runtime import Segmenter

model, source, out = sys.argv[1:]
with Segmenter.load(model) as segmenter:
    print(segmenter.segment_folder(source, out).done)
"""


def test_a_process_that_cannot_import_torch_segments_a_folder(model: Path, photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_THE_TRAINING_SIDE, str(model), str(photos), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "4\n"
    assert tree(tmp_path / "out") == sorted(MASKS + EXTRA)


@pytest.mark.parametrize("number", [0, -1])
def test_no_workers_and_no_batch_are_wrong_usage(
    model: Path, segmenter: Segmenter, photos: Path, tmp_path: Path, number: int
) -> None:
    with pytest.raises(UsageError, match=f"workers: expected 1 or more, got {number}"):
        segmenter.segment_folder(photos, tmp_path / "out", workers=number)
    with pytest.raises(UsageError, match=f"workers: expected 1 or more, got {number}"):
        run_bench(segmenter, photos, 2, seconds=0, workers=number)
    with pytest.raises(UsageError, match=f"batch: expected 1 or more, got {number}"):
        Segmenter.load(model, "cpu", batch=number)
    assert not (tmp_path / "out").exists()


def test_a_closed_segmenter_says_so(model: Path, photos: Path, tmp_path: Path) -> None:
    with Segmenter.load(model, "cpu") as segmenter:
        pass
    segmenter.close()  # once more does no harm
    assert segmenter.device == "ONNX Runtime, CPU" and segmenter.card.classes == CLASSES
    pixels = np.zeros((4, 5, 3), np.uint8)
    calls: list[Callable[[], object]] = [
        lambda: segmenter.segment([pixels]),
        lambda: segmenter.segment_file(photos / "a.jpg"),
        lambda: segmenter.infer(np.zeros((1, 32, 32, 3), np.uint8)),
        lambda: segmenter.segment_folder(photos, tmp_path / "out"),
    ]
    for call in calls:
        with pytest.raises(GsegError, match="this segmenter is closed"):
            call()
    assert not (tmp_path / "out").exists()


def test_a_jpeg_that_no_eighth_divides_has_the_mask_of_the_same_png(segmenter: Segmenter, tmp_path: Path) -> None:
    pixels = np.full((1025, 1025, 3), 224, np.uint8)
    pixels[:, :950] = 32
    (tmp_path / "in").mkdir()
    for name, quality in (("a.jpg", {"quality": 95}), ("b.png", {})):
        Image.fromarray(pixels).save(tmp_path / "in" / name, **quality)
    segmenter.segment_folder(tmp_path / "in", tmp_path / "out")
    jpeg, png = (read_label_png(tmp_path / "out" / name) for name in ("a.png", "b.png"))
    assert len(np.unique(png)) > 1 and (jpeg == png).mean() > 0.999
    alone = segmenter.segment_file(tmp_path / "in" / "a.jpg")
    assert (alone == png).mean() > 0.999
