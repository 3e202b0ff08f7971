"""Whatever goes wrong with one photo costs that photo alone; what is no photo's fault ends the run."""

import errno
import os
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, MakePhoto
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.label_map import read_label_png
from gseg_runtime.sources import Source

# Every step between a photo's name and its line in the manifest.
STAGES = {
    "look at": "photo_files.stamp_of",
    "read": "photo_files.read_picture",
    "decode": "photo_work.decode_image",
    "letterbox": "geometry.Letterbox.apply",
    "undo the letterbox": "prediction.Inference.prediction",
    "count": "enlarged.Enlarged.areas",
    "find runs": "photo_work.coco_annotations",
    "draw": "photo_work.overlay",
    "encode": "photo_work.encode_png",
    "write": "output_folder.write_bytes",
}
ALL = {"overlay": True, "coco": True, "stats": True}


@pytest.fixture
def three(make_photo: MakePhoto, tmp_path: Path) -> Path:
    for name in "abc":
        make_photo(tmp_path / "in" / f"{name}.png")
    return tmp_path / "in"


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


def fail_at_second(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException) -> None:
    """Let a step, a dotted name in the runtime, raise the second time it is taken."""
    where, _, name = f"gseg_runtime.{step}".rpartition(".")
    owner = resolve_name(where)
    taken, calls = getattr(owner, name), iter(range(1, 1000))

    def fails(*args: Any, **options: Any) -> Any:
        if next(calls) == 2:
            raise error
        return taken(*args, **options)

    monkeypatch.setattr(owner, name, fails)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("stage", STAGES)
def test_an_error_that_nobody_foresaw_is_that_photos_failure_at_every_stage(
    model: Path, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, batch: int
) -> None:
    with Segmenter.load(model, "cpu", batch=batch) as segmenter:
        with monkeypatch.context() as patch:
            fail_at_second(patch, STAGES[stage], ZeroDivisionError("by nothing"))
            report = segmenter.segment_folder(three, tmp_path / "out", workers=1, **ALL)
        assert (report.done, report.failed) == (2, 1)
        assert report.failures[0].reason == "unexpected ZeroDivisionError: by nothing"
        assert not (tmp_path / "out" / Path(report.failures[0].path).name).exists()
        assert segmenter.segment_folder(three, tmp_path / "out", resume=True, **ALL).done == 1


@pytest.mark.parametrize("batch", [1, 2])
def test_an_engine_that_fails_ends_the_run(
    model: Path, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    with Segmenter.load(model, "cpu", batch=batch) as segmenter:
        fail_at_second(monkeypatch, "backends.ort.OrtBackend.infer", ZeroDivisionError("device lost"))
        with pytest.raises(ZeroDivisionError, match="device lost"):
            segmenter.segment_folder(three, tmp_path / "out", workers=1)


@pytest.mark.parametrize("step", ["images.to_rgb", STAGES["letterbox"], STAGES["draw"]])
def test_too_little_memory_ends_the_run_with_what_to_do(
    segmenter: Segmenter, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    fail_at_second(monkeypatch, step, MemoryError())
    with pytest.raises(GsegError, match="memory") as caught:
        segmenter.segment_folder(three, tmp_path / "out", workers=1, overlay=True)
    assert "--workers" in str(caught.value.hint) and "--resume" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("number", "ends"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.EIO, True),
        (errno.EROFS, True),
        (errno.ENAMETOOLONG, False),
        (errno.EINVAL, False),  # a name with : on a disk of Windows
        (errno.EILSEQ, False),  # one that is no UTF-8 on a disk that wants it
        (errno.EISDIR, False),
    ],
)
def test_a_broken_output_folder_ends_the_run_and_a_name_that_it_does_not_take_costs_one_photo(
    segmenter: Segmenter, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, ends: bool
) -> None:
    fail_at_second(monkeypatch, "files.Path.replace", OSError(number, os.strerror(number)))
    if ends:
        with pytest.raises(GsegError, match=f"cannot be written: .*{os.strerror(number)}") as caught:
            segmenter.segment_folder(three, tmp_path / "out", workers=1)
        assert "--resume" in str(caught.value.hint)
        return
    report = segmenter.segment_folder(three, tmp_path / "out", workers=1)
    assert (report.done, report.failed) == (2, 1)
    assert report.failures[0].reason.endswith(f"cannot be written: {os.strerror(number)}")


def test_an_overlay_larger_than_a_jpeg_can_be_is_a_png(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path
) -> None:
    for name, width in [("large", 65501), ("largest", 65500)]:
        make_photo(tmp_path / "in" / f"{name}.png", 2, width, (32, 224))
    report = segmenter.segment_folder(tmp_path / "in", out := tmp_path / "out", overlay=True)
    assert (report.done, report.failed) == (2, 0)
    assert {path.name for path in out.glob("*.overlay.*")} == {"large.overlay.png", "largest.overlay.jpg"}
    with Image.open(out / "large.overlay.png") as image:
        assert image.mode == "RGB" and image.size == (65501, 2)
        assert image.getpixel((0, 0)) == (32, 32, 32)
        mixed = [(224 + value) / 2 for value in CLASSES.colors[3]]
        assert np.abs(np.subtract(image.getpixel((65500, 1)), mixed)).max() <= 1
    assert segmenter.segment_folder(tmp_path / "in", out, overlay=True, resume=True).skipped == 2
    (out / "large.overlay.png").unlink()
    assert segmenter.segment_folder(tmp_path / "in", out, overlay=True, resume=True).done == 1
    assert segmenter.segment_folder(tmp_path / "in", out, overlay=True, overwrite=True).done == 2


def test_an_overlay_never_takes_the_place_of_a_mask(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / "x.png", 2, 65501)
    make_photo(tmp_path / "in" / "x.overlay.jpg", 8, 9)
    report = segmenter.segment_folder(tmp_path / "in", tmp_path / "out", overlay=True)
    assert [Path(failure.path).name for failure in report.failures] == ["x.png"]
    assert "x.overlay.png" in report.failures[0].reason
    assert read_label_png(tmp_path / "out" / "x.overlay.png").shape == (8, 9)


def test_a_photo_whose_overlay_cannot_be_decoded_is_named_once(
    segmenter: Segmenter, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_second(monkeypatch, "images.open_photo", ValueError("cut off"))  # the first is that of the mask
    report = segmenter.segment_folder(three, tmp_path / "out", workers=1, overlay=True)
    assert [failure.reason for failure in report.failures] == ["cut off"]


def test_resume_asks_for_more_than_a_long_name_leaves_room_for(
    model_with_confidence: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / f"{'x' * 248}.jpg")
    make_photo(tmp_path / "in" / "y.jpg")
    with Segmenter.load(model_with_confidence, "cpu") as segmenter:
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out")
        report = segmenter.segment_folder(tmp_path / "in", tmp_path / "out", confidence=True, resume=True)
    assert (report.done, report.failed) == (1, 1)


def test_links_that_lead_nowhere_cost_only_themselves(segmenter: Segmenter, three: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    listed = [Source(tmp_path / "loop" / "x.jpg", is_listed=True), Source(three / "a.png", is_listed=True)]
    for options in ({}, {"resume": True}):
        report = segmenter.segment_files(listed, tmp_path / "out", **options)
        assert (report.done + report.skipped, report.failed) == (1, 1)
    assert report.failures[0].reason == os.strerror(errno.ELOOP)


def test_one_photo_that_cannot_be_drawn_does_not_end_the_command(
    model: Path, make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photo(tmp_path / "in" / "aa_good.png")
    make_photo(tmp_path / "in" / "strip.png", 2, 65501)
    make_photo(tmp_path / "in" / "zz_good.png")
    call = ["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", str(model), "--overlay"]
    assert main(call) == 0
    assert "3 masks" in capsys.readouterr().out
