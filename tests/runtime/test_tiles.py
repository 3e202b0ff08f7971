"""Tiles: a large photo is looked at in squares that overlap, and has one mask without seams."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import INPUT_SIZE, MakeModel, MakePhoto
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.errors import UsageError
from gseg_runtime.label_map import Pixels, read_label_png
from gseg_runtime.tiling import Tiling

# Photo and tile: many tiles, hardly more than one, one row of them with room above and below, one column.
SHAPES = [((200, 300), 64), ((65, 64), 64), ((20, 300), 64), ((300, 9), 40), ((97, 101), 32)]


@pytest.fixture
def segmenter(model_with_logits: Path) -> Segmenter:
    return Segmenter.load(model_with_logits, "cpu")


def blocks(height: int, width: int, side: int) -> Pixels:
    """Grey squares of that side, each in the middle of one of the four classes; uint8 [height, width, 3]."""
    shape = -(-height // side), -(-width // side)
    classes = np.random.default_rng(0).integers(0, 4, shape).repeat(side, 0).repeat(side, 1)[:height, :width]
    return np.repeat((32 + 64 * classes).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(("size", "tile"), SHAPES)
def test_tiles_cover_every_pixel_and_half_of_each_other(size: tuple[int, int], tile: int) -> None:
    tiling = Tiling(*size, INPUT_SIZE, tile)
    for begins, length in zip(tiling.places, tiling.outer, strict=True):
        assert begins[0] == 0 and begins[-1] + INPUT_SIZE == length
        assert all(0 < step <= INPUT_SIZE // 2 for step in np.diff(begins))


@pytest.mark.parametrize("edges", ["nearest", "smooth"])
@pytest.mark.parametrize(("size", "tile"), SHAPES)
def test_a_model_that_sees_no_context_gives_the_same_in_tiles_as_at_that_scale(
    segmenter: Segmenter, size: tuple[int, int], tile: int, edges: Any
) -> None:
    """Its logits at a pixel depend on that pixel alone, so that blending must not change a thing."""
    pixels, tiling = blocks(*size, side=3), Tiling(*size, INPUT_SIZE, tile)
    (prediction,) = segmenter.predict([pixels], tile=tile, edges=edges, confidence=True)
    assert prediction.labels.shape == size and prediction.confidence is not None
    assert prediction.confidence.shape == size
    grey = tiling.apply(pixels)[tiling.window][..., 0]
    right = np.abs(grey[..., None] - np.array([32.0, 96, 160, 224])).argmin(axis=2)
    if edges == "nearest":
        np.testing.assert_array_equal(prediction.label_plane.small, right)
        assert prediction.areas(4) == np.bincount(prediction.labels.ravel(), minlength=4).tolist()


def test_parts_that_the_whole_view_does_not_see_are_found(segmenter: Segmenter) -> None:
    pixels = blocks(320, 320, side=5)  # half a pixel of the network's as a whole, five in tiles
    right = pixels[..., 0] // 64
    whole, tiled = segmenter.predict([pixels]), segmenter.predict([pixels], tile=INPUT_SIZE)
    assert (whole[0].labels == right).mean() < 0.6
    np.testing.assert_array_equal(tiled[0].labels, right)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_folder_in_tiles_is_as_predicted(
    model_with_logits: Path, make_photo: MakePhoto, tmp_path: Path, batch: int
) -> None:
    pixels = blocks(90, 150, side=5)
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed upright
    (tmp_path / "in").mkdir()
    Image.fromarray(np.rot90(pixels).copy()).save(tmp_path / "in" / "large.png", exif=exif)
    make_photo(tmp_path / "in" / "small.png")
    with Segmenter.load(model_with_logits, "cpu", batch=batch) as segmenter:
        report = segmenter.segment_folder(
            tmp_path / "in", tmp_path / "out", tile=32, edges="smooth", confidence=True, overlay=True, coco=True
        )
        (expected,) = segmenter.predict([pixels], tile=32, edges="smooth", confidence=True)
        (small,) = segmenter.predict([np.asarray(Image.open(tmp_path / "in" / "small.png"))], edges="smooth")
    assert (report.done, report.failed) == (2, 0)
    np.testing.assert_array_equal(read_label_png(tmp_path / "out" / "large.png"), expected.labels)
    with Image.open(tmp_path / "out" / "large.confidence.png") as image:
        np.testing.assert_array_equal(image, expected.confidence)
    with Image.open(tmp_path / "out" / "large.overlay.jpg") as image:
        assert image.size == (150, 90)
    np.testing.assert_array_equal(read_label_png(tmp_path / "out" / "small.png"), small.labels)
    lines = (tmp_path / "out" / "gseg-manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["settings"] for line in lines] == [{"edges": "smooth", "tile": 32}] * 2


@pytest.fixture(scope="session")
def of_tiles(make_model: MakeModel) -> Path:
    return make_model(logits=True, resize="tiles", tile=40)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_model_that_learned_from_tiles_looks_at_such_tiles_unless_told_otherwise(
    of_tiles: Path, model_with_logits: Path, tmp_path: Path, batch: int
) -> None:
    (tmp_path / "in").mkdir()
    photo, pixels = tmp_path / "in" / "x.png", blocks(90, 150, side=5)
    Image.fromarray(pixels).save(photo)
    with Segmenter.load(model_with_logits, "cpu") as plain:
        expected, other = (plain.predict([pixels], tile=tile)[0].labels for tile in (40, 64))
    with Segmenter.load(of_tiles, "cpu", batch=batch) as tiled:
        assert tiled.segment_folder(tmp_path / "in", tmp_path / "out").done == 1
        np.testing.assert_array_equal(tiled.segment([pixels])[0], expected)
        np.testing.assert_array_equal(tiled.segment_file(photo), expected)
        np.testing.assert_array_equal(tiled.predict([pixels], tile=64)[0].labels, other)
    np.testing.assert_array_equal(read_label_png(tmp_path / "out" / "x.png"), expected)
    (entry,) = map(json.loads, (tmp_path / "out" / "gseg-manifest.jsonl").read_text().splitlines())
    assert entry["settings"] == {"edges": "smooth", "tile": 40}


def test_what_a_model_of_tiles_cannot_do_is_said(
    of_tiles: Path, make_model: MakeModel, make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photo(tmp_path / "in" / "x.png", 80, 90)
    call = ["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model"]
    assert main([*call, str(of_tiles), "--edges", "guided"]) == 2
    assert "guided does not go with tiles" in capsys.readouterr().err
    assert main([*call, str(make_model(resize="tiles", tile=40))]) == 1
    assert "without logits" in capsys.readouterr().err
    assert main(["bench", "--model", str(of_tiles), "--photos", str(tmp_path / "in")]) == 1
    assert "whole photos" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_resume_does_not_mix_tiles_of_two_sizes(segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "in" / "x.png", 80, 90)
    segmenter.segment_folder(tmp_path / "in", tmp_path / "out", tile=40)
    assert segmenter.segment_folder(tmp_path / "in", tmp_path / "out", tile=40, resume=True).skipped == 1
    for options, here in (
        ({}, "without --tile"),
        ({"tile": 50}, "with --tile 50"),
        ({"tile": 40, "edges": "nearest"}, "with --edges nearest"),
    ):
        with pytest.raises(GsegError, match=f"not {here}$"):
            segmenter.segment_folder(tmp_path / "in", tmp_path / "out", resume=True, **options)


def test_what_tiles_cannot_be_made_of_is_said_at_once(
    model: Path, model_with_logits: Path, make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photo(tmp_path / "in" / "x.png", 80, 90)
    call = ["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--tile"]
    assert main([*call, "40", "--model", str(model)]) == 1
    assert "export it again" in capsys.readouterr().err
    assert main([*call, "31", "--model", str(model_with_logits)]) == 2
    assert "at least the 32 pixels" in capsys.readouterr().err
    with Segmenter.load(model_with_logits, "cpu") as segmenter, pytest.raises(UsageError, match="got 31"):
        segmenter.predict([], tile=31)
    assert not (tmp_path / "out").exists()


def test_an_engine_that_fails_in_a_tile_ends_the_run(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photo(tmp_path / "in" / "x.png", 80, 90)

    def lost(*_: Any) -> None:
        raise ZeroDivisionError("device lost")

    monkeypatch.setattr("gseg_runtime.backends.ort.OrtBackend.infer", lost)
    with pytest.raises(GsegError, match="ONNX Runtime, CPU: device lost"):
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out", tile=40)
