"""Smooth edges: the logits are enlarged, the masks come of them, and everything else goes on as before."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import MakePhoto
from PIL import Image
from pycocotools import mask as coco

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.errors import UsageError
from gseg_runtime.label_map import LabelMap, read_label_png
from gseg_runtime.smooth import Logits, SmoothMap, labels_of

# Grid and photo: enlarged by whole and by odd factors, the same, single rows and columns; then reduced.
ENLARGED = [((24, 32), (96, 128)), ((24, 32), (61, 90)), ((9, 5), (9, 5)), ((1, 7), (5, 50)), ((7, 1), (50, 3))]
REDUCED = [((24, 32), (7, 300)), ((24, 32), (5, 6)), ((9, 9), (1, 1))]
RAMP = np.linspace(10, 245, 640)
OUTPUTS = {"overlay": True, "coco": True, "stats": True}


def random_logits(num_classes: int, grid: tuple[int, int]) -> Logits:
    return np.random.default_rng(0).standard_normal((num_classes, *grid)).astype(np.float32)


def smooth_labels(logits: Logits, size: tuple[int, int], rows_per_band: int = 1000) -> LabelMap:
    smooth = SmoothMap(logits.shape[1], *size)
    for top in range(0, logits.shape[1], rows_per_band):
        smooth.add(logits[:, top : top + rows_per_band])
    return smooth.labels


@pytest.mark.parametrize(("grid", "size"), ENLARGED)
def test_of_two_classes_the_one_with_the_larger_enlarged_logit_is_chosen(
    grid: tuple[int, int], size: tuple[int, int]
) -> None:
    logits = random_logits(2, grid)
    # By Pillow, whose BILINEAR interpolates where it enlarges.
    expected = [np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR)) for plane in logits]
    is_clear = np.abs(expected[0] - expected[1]) > 1e-5
    np.testing.assert_array_equal(smooth_labels(logits, size)[is_clear], np.argmax(expected, axis=0)[is_clear])


def test_between_four_points_no_fifth_label_appears() -> None:
    logits = np.full((3, 2, 2), 5, np.float32)
    logits[0, :, 0] = logits[1, :, 1] = 9
    logits[2] = 8  # second everywhere, and in the middle the largest
    labels = smooth_labels(logits, (8, 80))
    assert (labels[:, :40] == 0).all() and (labels[:, 40:] == 1).all()


def test_at_the_grid_s_own_size_the_labels_are_the_network_s() -> None:
    logits = random_logits(5, (9, 5)).round()  # so that some are equal
    np.testing.assert_array_equal(smooth_labels(logits, (9, 5)), logits.argmax(axis=0))


@pytest.mark.parametrize("num_classes", [1, 2, 150])
def test_labels_are_those_of_the_largest_logit_and_of_equal_ones_the_first(num_classes: int) -> None:
    logits = random_logits(num_classes, (20, 30)).round()
    np.testing.assert_array_equal(labels_of(logits), logits.argmax(axis=0))


@pytest.mark.parametrize(("grid", "size"), ENLARGED + REDUCED)
@pytest.mark.parametrize("rows_per_band", [1, 4])
def test_bands_give_what_the_whole_grid_gives(grid: tuple[int, int], size: tuple[int, int], rows_per_band: int) -> None:
    logits = random_logits(4, grid)
    whole = smooth_labels(logits, size)
    np.testing.assert_array_equal(smooth_labels(logits, size, rows_per_band), whole)
    assert set(np.unique(whole)) <= set(range(4))


def ramp(path: Path) -> Path:
    """A photo that grows brighter from left to right; its edges do not lie where the grid's points meet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.tile(RAMP.astype(np.uint8)[:, None], (480, 1, 3))).save(path)
    return path


@pytest.mark.parametrize("batch", [1, 2])
def test_edges_lie_where_the_photo_has_them_and_not_where_the_grid_does(
    model_with_logits: Path, tmp_path: Path, batch: int
) -> None:
    ramp(tmp_path / "in" / "x.png")
    with Segmenter.load(model_with_logits, "cpu", batch=batch) as segmenter:
        for edges in ("nearest", "smooth"):
            segmenter.segment_folder(tmp_path / "in", tmp_path / edges, edges=edges, **OUTPUTS)
    nearest, smooth = (read_label_png(tmp_path / edges / "x.png")[240] for edges in ("nearest", "smooth"))
    right = RAMP // 64
    assert (smooth != right).sum() <= 6 < (nearest != right).sum()


def test_everything_beside_a_smooth_mask_is_of_that_mask(model_with_logits: Path, tmp_path: Path) -> None:
    ramp(tmp_path / "in" / "x.png")
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out", edges="smooth", confidence=True, **OUTPUTS)
        (prediction,) = segmenter.predict([np.asarray(Image.open(tmp_path / "in" / "x.png"))], edges="smooth")
    mask = read_label_png(tmp_path / "out" / "x.png")
    np.testing.assert_array_equal(mask, prediction.labels)
    assert prediction.areas(4) == np.bincount(mask.ravel(), minlength=4).tolist()
    entry = json.loads((tmp_path / "out" / "gseg-manifest.jsonl").read_text())
    assert entry["settings"] == {"edges": "smooth"} and entry["areas"] == prediction.areas(4)
    annotations = json.loads((tmp_path / "out" / "gseg-coco.json").read_text())["annotations"]
    for annotation in annotations:
        theirs = coco.encode(np.asfortranarray(mask == annotation["category_id"]).astype(np.uint8))
        assert annotation["segmentation"]["counts"] == theirs["counts"].decode()
    confidence = np.asarray(Image.open(tmp_path / "out" / "x.confidence.png"))
    assert confidence.shape == mask.shape
    edge = int(np.argmax(mask[240] == 1))
    assert confidence[240, 20] == 255 > confidence[240, edge - 1 : edge + 1].max()
    assert np.abs(np.diff(confidence[240].astype(int))).max() <= 2  # no steps


def test_edges_are_smooth_where_the_model_has_logits_unless_others_are_named(
    model: Path, model_with_logits: Path, tmp_path: Path
) -> None:
    ramp(tmp_path / "in" / "x.png")
    photo = np.asarray(Image.open(tmp_path / "in" / "x.png"))
    with Segmenter.load(model, "cpu") as without, Segmenter.load(model_with_logits, "cpu") as segmenter:
        (nearest,) = without.segment([photo])
        (smooth,) = segmenter.segment([photo])
        np.testing.assert_array_equal(segmenter.predict([photo], edges="nearest")[0].labels, nearest)
        np.testing.assert_array_equal(segmenter.segment_file(tmp_path / "in" / "x.png"), smooth)
        for name, options in (("smooth", {}), ("nearest", {"edges": "nearest"})):
            segmenter.segment_folder(tmp_path / "in", tmp_path / name, **options)
        without.segment_folder(tmp_path / "in", tmp_path / "without")
    right = RAMP // 64
    assert (smooth[240] != right).sum() <= 6 < (nearest[240] != right).sum()
    np.testing.assert_array_equal(read_label_png(tmp_path / "smooth" / "x.png"), smooth)
    for name in ("nearest", "without"):
        np.testing.assert_array_equal(read_label_png(tmp_path / name / "x.png"), nearest)


def test_resume_does_not_mix_smooth_masks_with_others(
    model_with_logits: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / "x.png")
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        for first, second in (("nearest", "smooth"), ("smooth", "nearest")):
            segmenter.segment_folder(tmp_path / "in", tmp_path / first, edges=first)
            with pytest.raises(GsegError, match=f"made with --edges {first}, not with --edges {second}") as error:
                segmenter.segment_folder(tmp_path / "in", tmp_path / first, edges=second, resume=True)
            assert (error.value.hint or "").startswith(f"go on with --edges {first}, ")
            assert segmenter.segment_folder(tmp_path / "in", tmp_path / first, edges=first, resume=True).skipped == 1


def test_masks_of_labels_alone_are_gone_on_with_as_ever(model: Path, make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "in" / "x.png")
    with Segmenter.load(model, "cpu") as segmenter:
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out")
        assert "settings" not in (tmp_path / "out" / "gseg-manifest.jsonl").read_text()
        assert segmenter.segment_folder(tmp_path / "in", tmp_path / "out", resume=True).skipped == 1


def test_a_model_without_logits_is_refused_with_what_to_do(
    model_with_confidence: Path, make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photo(tmp_path / "in" / "x.png")
    call = ["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", str(model_with_confidence)]
    assert main([*call, "--edges", "smooth"]) == 1
    said = capsys.readouterr().err
    assert "exported without logits" in said and "export it again" in said
    assert not (tmp_path / "out").exists()
    assert main([*call, "--edges", "soft"]) == 2


def test_another_word_for_edges_is_a_usage_error(
    model_with_logits: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / "x.png")
    with Segmenter.load(model_with_logits, "cpu") as segmenter, pytest.raises(UsageError, match="got 'soft'"):
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out", edges="soft")


@pytest.fixture
def model_that_overflows(model_with_logits: Path, tmp_path: Path) -> Path:
    """Where a picture is black, its logits are infinite."""
    graph = onnx.load(model_with_logits)
    graph.graph.node[-1].output[0] = "finite"
    graph.graph.node.append(onnx.helper.make_node("Div", ["finite", "one_channel"], ["logits"]))
    onnx.save(graph, tmp_path / "overflows.onnx")
    return tmp_path / "overflows.onnx"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", [{}, {"edges": "guided"}, {"tile": 32}])
def test_a_photo_of_logits_that_are_not_finite_fails_and_the_others_do_not(
    options: dict[str, Any], model_that_overflows: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for grey in (0, 100):
        Image.new("L", (40, 40), grey).save(tmp_path / "in" / f"{grey}.png")
    with Segmenter.load(model_that_overflows, "cpu") as segmenter:
        report = segmenter.segment_folder(tmp_path / "in", tmp_path / "out", confidence=True, **options)
        with pytest.raises(GsegError, match="logits are not finite"):
            segmenter.segment([np.zeros((40, 40, 3), np.uint8)])
    assert report.done == 1
    assert [failure.path for failure in report.failures] == [str(tmp_path / "in" / "0.png")]
    assert "logits are not finite" in report.failures[0].reason
