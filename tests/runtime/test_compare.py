import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gseg_cli.app import main
from gseg_cli.evaluate.compare import compare_folders, find_classes
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import write_json
from gseg_runtime.label_map import write_label_png

CLASSES = ClassMap.of_names(["background", "skin", "eyes"])
TRUTHS = {"a.png": [[0, 0, 1, 1]], "deep/b.png": [[1, 1, 1, 255]]}
PREDICTIONS = {"a.png": [[0, 1, 1, 1]], "deep/b.png": [[1, 0, 2, 2]], "unasked.png": [[0]]}
# By hand, over both images: 0: 1 right, union 3. 1: 3 right, union 6. 7 pixels count, 4 of them right.


def write_labels(folder: Path, label_maps: dict[str, list[list[int]]]) -> Path:
    for name, rows in label_maps.items():
        write_label_png(folder / name, np.array(rows, np.uint8), CLASSES)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return write_labels(tmp_path / "predicted", PREDICTIONS), write_labels(tmp_path / "truth", TRUTHS)


def test_one_matrix_over_all_images_against_a_count_by_hand(folders: tuple[Path, Path]) -> None:
    figures = compare_folders(*folders, CLASSES).to_json()
    assert {name: figures[name] for name in figures if "bound" not in name} == {
        "mean_iou": pytest.approx((1 / 3 + 3 / 6) / 2),
        "per_class_iou": {"background": pytest.approx(1 / 3), "skin": pytest.approx(3 / 6), "eyes": None},
        "weighted_iou": pytest.approx((2 * 1 / 3 + 5 * 3 / 6) / 7),
        "accuracy": pytest.approx(4 / 7),
        "shares": {"background": pytest.approx(2 / 7), "skin": pytest.approx(5 / 7), "eyes": 0},
        "absent": [],
        "only_predicted": ["eyes"],
        "images": 2,
        "resized": 0,
    }


def test_without_classes_the_report_names_them_or_they_are_numbered(folders: tuple[Path, Path]) -> None:
    assert list(compare_folders(*folders).per_class_iou) == ["0", "1", "2"]
    write_json(folders[0] / "gseg-report.json", {"classes": CLASSES.to_json()})
    comparison = compare_folders(*folders)
    assert list(comparison.per_class_iou) == ["background", "skin", "eyes"]
    assert comparison.to_json() == compare_folders(*folders, CLASSES).to_json()


def test_a_mask_is_found_however_the_accents_of_its_name_are_written(tmp_path: Path) -> None:
    """A Mac takes them apart, and its zips carry that elsewhere."""
    predicted = write_labels(tmp_path / "predicted", {"\u00e9t\u00e9/\u00e9.png": [[0, 1]], "a.jpg.png": [[0, 1]]})
    truth = write_labels(tmp_path / "truth", {"e\u0301te\u0301/e\u0301.png": [[0, 1]], "a.png": [[0, 1]]})
    assert compare_folders(predicted, truth, CLASSES).to_json()["images"] == 2


def test_the_mask_of_a_photo_that_failed_since_is_no_prediction(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model)]
    assert main(call) == 0
    shutil.copytree(tmp_path / "out", truth := tmp_path / "truth")
    assert compare_folders(tmp_path / "out", truth).num_images == 4
    (photos / "a.jpg").write_bytes(b"no photo")
    assert main([*call, "--resume"]) == 3 and (tmp_path / "out" / "a.png").is_file()
    with pytest.raises(
        GsegError, match=r"1 of 4 predictions are missing: a\.png \(left from before its photo failed\)"
    ):
        compare_folders(tmp_path / "out", truth)


def test_what_segment_writes_beside_a_label_map_is_none(folders: tuple[Path, Path]) -> None:
    beside = (
        "a.binary-skin.png",
        "a.binary-ear. left.png",
        "a.layer-ear.png",
        "a.confidence.png",
        "a.cutout.png",
        "a.overlay.png",
    )
    for folder in folders:
        write_labels(folder, {name: [[0, 0, 1, 1]] for name in beside})
    assert compare_folders(*folders, CLASSES).to_json()["images"] == 2
    write_labels(folders[1], {"alone.confidence.png": [[0]]})  # of a photo that is called alone.confidence
    with pytest.raises(GsegError, match=r"missing: alone\.confidence\.png"):
        compare_folders(*folders)


def test_folders_that_links_lead_to_are_compared_too(folders: tuple[Path, Path]) -> None:
    (folders[1] / "deep").rename(folders[1].parent / "elsewhere")
    (folders[1] / "deep").symlink_to(folders[1].parent / "elsewhere")
    assert compare_folders(*folders, CLASSES).to_json()["images"] == 2


def test_a_prediction_as_large_as_its_photo_is_compared_at_the_size_of_a_smaller_truth(tmp_path: Path) -> None:
    """As when `gseg label --photos` showed a large photo in 512 px, and `gseg segment` wrote its mask."""
    truth = write_labels(tmp_path / "labelled" / "masks", {"a.png": [[0, 1, 2, 1]]})
    (truth.parent / "images").mkdir()
    write_labels(tmp_path / "predicted", {"a.png": [[0, 0, 1, 1, 2, 2, 1, 1]] * 2})
    figures = compare_folders(tmp_path / "predicted", truth.parent, CLASSES).to_json()
    assert figures["mean_iou"] == 1 and figures["resized"] == 1


def test_labelled_photos_that_were_segmented_as_a_whole_are_compared_with_their_own_masks(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gseg segment test -o out` keeps the tree, so that the mask of test/images/a.jpg is out/images/a.png."""
    out, labelled = tmp_path / "out", tmp_path / "test"
    shutil.copytree(photos, labelled / "images")
    assert main(["segment", str(labelled / "images"), "-o", str(labelled / "masks"), "--model", str(model)]) == 0
    assert main(["segment", str(labelled), "-o", str(out), "--model", str(model)]) == 0
    for truth in (labelled, labelled / "masks"):
        assert compare_folders(out, truth).to_json()["accuracy"] == 1
    (out / "images" / "a.png").unlink()
    with pytest.raises(GsegError, match=r"1 of 4 predictions are missing: images/a\.png"):
        compare_folders(out, labelled)


def test_a_truth_whose_palette_another_program_sorted_is_refused(folders: tuple[Path, Path]) -> None:
    """It looks the same, and index 1 is another class."""
    colors = CLASSES.colors
    sorted_anew = ClassMap(CLASSES.names, (colors[1], colors[0], colors[2]))
    write_label_png(folders[1] / "a.png", np.array([[1, 1, 0, 0]], np.uint8), sorted_anew)
    with pytest.raises(GsegError, match=r"truth/a\.png: the same colours .* so index 0 of the latter looks like 1"):
        compare_folders(*folders)
    assert compare_folders(*folders, CLASSES).to_json()["images"] == 2  # whoever names the classes knows what they mean


def test_colours_of_the_truths_own_say_nothing_of_its_order(folders: tuple[Path, Path]) -> None:
    """Black fills the palette of the prediction behind its classes."""
    grey = ClassMap(CLASSES.names, ((38, 42, 51), *CLASSES.colors[1:]))
    write_label_png(folders[0] / "a.png", np.array([[0, 1, 1, 1]], np.uint8), grey)
    write_label_png(folders[0] / "deep" / "b.png", np.array([[1, 0, 2, 2]], np.uint8), grey)
    assert compare_folders(*folders).to_json()["mean_iou"] == pytest.approx((1 / 3 + 3 / 6) / 2)


def test_missing_predictions_are_named(folders: tuple[Path, Path]) -> None:
    (folders[0] / "deep" / "b.png").unlink()
    with pytest.raises(GsegError, match=r"1 of 2 predictions are missing: deep/b\.png"):
        compare_folders(*folders)


def test_masks_named_in_full_are_those_of_the_truths_short_names(folders: tuple[Path, Path]) -> None:
    figures = compare_folders(*folders).to_json()
    (folders[0] / "deep" / "b.png").rename(folders[0] / "deep" / "b.JPG.png")
    (folders[0] / "a.png").rename(folders[0] / "a.png.png")
    assert compare_folders(*folders).to_json() == figures
    shutil.copy(folders[0] / "a.png.png", folders[0] / "a.jpg.png")  # of two photos, and nobody knows which
    with pytest.raises(GsegError, match=r"1 of 2 predictions are missing: a\.png"):
        compare_folders(*folders)


def test_another_shape_or_an_index_without_class_is_an_error_with_the_file(folders: tuple[Path, Path]) -> None:
    with pytest.raises(GsegError, match=r"^\S*predicted/deep/b\.png: class index 2, but there are 2 classes") as caught:
        compare_folders(*folders, ClassMap.of_names(["background", "skin"]))
    assert caught.value.hint and "--classes" in caught.value.hint
    write_labels(folders[0], {"a.png": [[0, 0]]})
    with pytest.raises(GsegError, match=r"predicted/a\.png against .*expected a prediction of 4 x 1 pixels"):
        compare_folders(*folders)


def test_a_truth_in_colours_is_an_error_that_names_the_way_to_label_maps(folders: tuple[Path, Path]) -> None:
    Image.new("RGB", (4, 1)).save(folders[1] / "a.png")
    with pytest.raises(GsegError, match=r"truth/a\.png: expected a label map") as caught:
        compare_folders(*folders)
    assert caught.value.hint and "annotate-import --photos" in caught.value.hint


def test_an_empty_or_missing_folder_is_an_error(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(GsegError, match="no label map"):
        compare_folders(folders[0], tmp_path / "empty")
    with pytest.raises(GsegError, match="no such folder"):
        compare_folders(tmp_path / "nowhere", folders[1])


def test_classes_are_found_in_models_reports_and_projects(model: Path, tmp_path: Path) -> None:
    assert find_classes(str(model)).names == ("background", "dark", "medium", "light")
    (tmp_path / "MODEL.ONNX").symlink_to(model)
    assert find_classes(str(tmp_path / "MODEL.ONNX")) == find_classes(str(model))
    write_json(tmp_path / "report.json", {"classes": CLASSES.to_json()})
    (tmp_path / "gseg.toml").write_text(CLASSES.to_toml())
    assert find_classes(str(tmp_path / "report.json")) == CLASSES
    assert find_classes(str(tmp_path / "gseg.toml")) == CLASSES
    write_json(tmp_path / "other.json", [])
    with pytest.raises(GsegError, match="has no classes"):
        find_classes(str(tmp_path / "other.json"))
