"""The figures of `gseg evaluate` against torchmetrics, and what else it says and writes."""

import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from gseg_cli.app import main
from gseg_cli.evaluate.compare import compare_folders
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import read_json, write_json
from gseg_runtime.label_map import write_label_png
from gseg_runtime.pip_hint import install

CLASSES = ClassMap.of_names(["background", "skin", "eyes", "hat", "glasses"])
Labels = npt.NDArray[np.uint8]


def write_folder(folder: Path, label_maps: list[Labels]) -> Path:
    for number, labels in enumerate(label_maps):
        write_label_png(folder / f"{number}.png", labels, CLASSES)
    return folder


@pytest.fixture
def random_maps() -> tuple[list[Labels], list[Labels]]:
    """Four predictions and truths of different sizes; no hat in the truth, no glasses anywhere, a tenth ignored."""
    rng = np.random.default_rng(0)
    shapes = [(40, 30), (7, 90), (33, 33), (64, 16)]
    truths = [rng.integers(0, 3, shape).astype(np.uint8) for shape in shapes]
    wrong = [rng.random(shape) < 0.4 for shape in shapes]
    guesses = [rng.integers(0, 4, shape).astype(np.uint8) for shape in shapes]
    predictions = [np.where(*three) for three in zip(wrong, guesses, truths, strict=True)]
    for truth in truths:
        truth[rng.random(truth.shape) < 0.1] = 255
    return predictions, truths


@pytest.fixture
def folders(random_maps: tuple[list[Labels], list[Labels]], tmp_path: Path) -> tuple[Path, Path]:
    return write_folder(tmp_path / "predicted", random_maps[0]), write_folder(tmp_path / "truth", random_maps[1])


def test_iou_weighted_iou_accuracy_and_matrix_agree_with_torchmetrics(
    random_maps: tuple[list[Labels], list[Labels]], folders: tuple[Path, Path]
) -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_accuracy as accuracy
    from torchmetrics.functional.classification import multiclass_confusion_matrix as confusion
    from torchmetrics.functional.classification import multiclass_jaccard_index as jaccard

    predicted, truth = (torch.from_numpy(np.concatenate([m.ravel() for m in maps])).long() for maps in random_maps)
    comparison = compare_folders(*folders, CLASSES)
    figures = comparison.to_json()
    all_five = {"num_classes": 5, "ignore_index": 255}
    np.testing.assert_array_equal(comparison.matrix[:, :5], confusion(predicted, truth, **all_five).numpy())
    per_class = jaccard(predicted, truth, average="none", **all_five).tolist()
    assert list(figures["per_class_iou"].values()) == [*map(pytest.approx, per_class[:3]), None, None]
    assert figures["mean_iou"] == pytest.approx(np.mean(per_class[:3]))
    assert figures["weighted_iou"] == pytest.approx(float(jaccard(predicted, truth, average="weighted", **all_five)))
    assert figures["accuracy"] == pytest.approx(float(accuracy(predicted, truth, average="micro", **all_five)))
    assert figures["shares"]["skin"] == pytest.approx(float((truth == 1).sum() / (truth != 255).sum()))


def test_classes_without_figures_are_told_apart_and_said(folders: tuple[Path, Path], capsys: Any) -> None:
    assert main(["evaluate", *map(str, folders), "--classes", ",".join(CLASSES.names), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["absent"], data["only_predicted"]) == (["glasses"], ["hat"])
    assert main(["evaluate", *map(str, folders), "--classes", ",".join(CLASSES.names)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "glasses" in line] == [next(line for line in lines if "neither folder" in line)]
    assert any("not in the truth: hat" in line for line in lines)


def test_classes_that_have_each_others_indices_are_told_and_mistakes_are_not(tmp_path: Path, capsys: Any) -> None:
    truth = np.repeat(np.arange(4, dtype=np.uint8), 16).reshape(8, 8)
    table = np.array([0, 2, 1, 3], np.uint8)
    folders = write_folder(tmp_path / "p", [table[truth]]), write_folder(tmp_path / "t", [truth])
    command = ["evaluate", *map(str, folders), "--classes", "background,skin,hair,hat"]
    assert main(command) == 0
    assert "mostly predicted as another: skin as hair, hair as skin; label maps" in capsys.readouterr().err
    write_folder(tmp_path / "p", [np.array([0, 1, 2, 2], np.uint8)[truth]])  # hats that are taken for hair
    assert main(command) == 0 and "warning" not in capsys.readouterr().err


def test_the_boundary_tolerance_counts_for_the_f_score_alone(tmp_path: Path) -> None:
    truth = np.zeros((60, 80), np.uint8)  # a diagonal of 100 pixels
    truth[:, 40:] = 1
    folders = write_folder(tmp_path / "predicted", [np.roll(truth, 2, axis=1)]), write_folder(tmp_path / "t", [truth])
    strict, lax = (compare_folders(*folders, CLASSES, tolerance=share).to_json() for share in (0.01, 0.02))
    assert strict["mean_iou"] == lax["mean_iou"] < 1
    # The roll brings 1 to the left edge, and so a second outline that the truth has not.
    assert strict["per_class_boundary_f"]["skin"] == 0
    assert lax["per_class_boundary_f"]["skin"] == pytest.approx(2 / 3)
    assert lax["per_class_boundary_f"]["eyes"] is None and math.isfinite(lax["boundary_f"])


def test_the_confusion_matrix_as_table_json_and_picture(folders: tuple[Path, Path], tmp_path: Path) -> None:
    files = [tmp_path / f"confusion.{ending}" for ending in ("csv", "json", "png")]
    options = [word for file in files for word in ("--confusion", str(file))]
    command = ["evaluate", *map(str, folders), "--classes", ",".join(CLASSES.names), *options]
    assert main(command) == 0
    matrix = compare_folders(*folders, CLASSES).matrix
    rows = list(csv.reader(files[0].read_text().splitlines()))
    assert rows[0] == ["truth", *CLASSES.names, "no class"]
    assert [[int(count) for count in row[1:]] for row in rows[1:]] == matrix.tolist()
    assert read_json(files[1])["pixels"] == matrix.tolist()
    with Image.open(files[2]) as image:
        assert min(image.size) > 3 * 72  # three true classes, four predicted ones
        assert image.info == {"Software": "gseg"}
    before = [file.read_bytes() for file in files]
    assert main(command) == 1, "nothing is overwritten unasked"
    assert main([*command, "--overwrite"]) == 0
    assert [file.read_bytes() for file in files] == before


def test_a_picture_is_darkest_where_most_pixels_are(tmp_path: Path) -> None:
    from gseg_cli.charts import DPI
    from gseg_cli.evaluate.confusion import MAX_CELL, draw_confusion

    truth = np.zeros((10, 10), np.uint8)
    truth[:, 5:] = 1
    predicted = truth.copy()
    predicted[0, 5:] = 0  # nine tenths of class 1 are right
    folders = write_folder(tmp_path / "predicted", [predicted]), write_folder(tmp_path / "truth", [truth])
    picture = draw_confusion(compare_folders(*folders, CLASSES)).sum(axis=2)
    margin, cell = round(0.1 * DPI), round(MAX_CELL * DPI)  # cells of the last row and column, near their corners
    near, far = -margin - cell // 8, -margin - cell - cell // 8
    (first, wrong), (missed, second) = [[picture[y, x] for x in (far, near)] for y in (far, near)]
    assert first < second < missed < wrong == 3 * 255


def test_an_unknown_ending_is_refused_before_the_work(folders: tuple[Path, Path], tmp_path: Path, capsys: Any) -> None:
    assert main(["evaluate", *map(str, folders), "--confusion", str(tmp_path / "confusion.xlsx")]) == 2
    assert ".png, .csv, .json" in capsys.readouterr().err


def test_a_picture_is_refused_before_the_work_where_nothing_draws_it(
    folders: tuple[Path, Path], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    command = ["evaluate", *map(str, folders), "--confusion"]
    assert main([*command, str(tmp_path / "confusion.csv")]) == 0
    capsys.readouterr()
    assert main([*command, str(tmp_path / "confusion.png")]) == 1
    told = capsys.readouterr()
    assert install("charts") in told.err and "mean" not in told.out


def test_label_maps_without_one_true_pixel_have_an_empty_picture() -> None:
    from gseg_cli.evaluate.comparison import Comparison
    from gseg_cli.evaluate.confusion import draw_confusion

    nothing = Comparison(np.zeros((5, 6), np.int64), np.zeros((4, 5), np.int64), CLASSES, 1, 0.01)
    assert draw_confusion(nothing).dtype == np.uint8


def test_a_tolerance_that_is_no_share_is_a_usage_error(folders: tuple[Path, Path]) -> None:
    for tolerance in ("-0.1", "1.5", "nan"):
        assert main(["evaluate", *map(str, folders), "--boundary-tolerance", tolerance]) == 2


def test_a_dataset_as_truth_names_the_classes_and_other_classes_are_refused(
    random_maps: tuple[list[Labels], list[Labels]], tmp_path: Path
) -> None:
    predicted = write_folder(tmp_path / "predicted", random_maps[0])
    write_folder(tmp_path / "data" / "masks", random_maps[1])
    write_json(tmp_path / "data" / "dataset.json", {"classes": CLASSES.to_json()})
    comparison = compare_folders(predicted, tmp_path / "data")
    assert comparison.classes == CLASSES
    assert comparison.to_json() == compare_folders(predicted, tmp_path / "data" / "masks").to_json()
    other = ClassMap.of_names(["background", "eyes", "skin", "hat", "glasses"])
    write_json(predicted / "gseg-report.json", {"classes": other.to_json()})
    with pytest.raises(GsegError, match=r"background, eyes, skin.*background, skin, eyes") as refusal:
        compare_folders(predicted, tmp_path / "data")
    assert "--classes" in (refusal.value.hint or "")
    assert compare_folders(predicted, tmp_path / "data", CLASSES).to_json() == comparison.to_json()


def test_json_files_of_other_programs_beside_label_maps_name_no_classes(
    random_maps: tuple[list[Labels], list[Labels]], tmp_path: Path
) -> None:
    predicted = write_folder(tmp_path / "predicted", random_maps[0])
    masks = write_folder(tmp_path / "data" / "masks", random_maps[1])
    expected = compare_folders(predicted, masks).to_json()
    write_json(tmp_path / "data" / "dataset.json", {"labels": {"background": 0, "skin": 1}})  # nnU-Net's
    write_json(masks / "annotations.json", {"images": [], "annotations": [], "categories": []})  # COCO's
    assert compare_folders(predicted, tmp_path / "data").to_json() == expected
