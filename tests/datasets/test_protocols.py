"""`gseg dataset`: small data sets in the layout in which the true ones are published, and what comes of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gseg_cli.app import main
from gseg_cli.datasets.celebamask import CELEBAMASK_3, CELEBAMASK_10, SPLITS
from gseg_cli.datasets.pascal_part import PASCAL_CAR, PASCAL_HORSE
from gseg_cli.datasets.protocol import Dropped
from gseg_cli.datasets.protocols import PROTOCOLS, write_protocol
from gseg_cli.project_file import parse_classes
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import read_json
from gseg_runtime.images import read_image
from gseg_runtime.label_map import read_label_png
from tests.datasets.layouts import SHAPE, Object, box, square, whole, write_annotated, write_face, write_list

# --- CelebAMask-HQ ---------------------------------------------------------------------------------------------------


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Photo 0 is a test photo, 1 for training and 2001 for validation; only 0 has more than skin."""
    root = tmp_path / "CelebAMask-HQ"
    parts = ("skin", "l_eye", "r_eye", "l_brow", "u_lip", "l_lip", "mouth", "nose", "hair", "hat", "l_ear", "neck_l")
    masks = {name: square(64 * (i // 4), 64 * (i % 4)) for i, name in enumerate(parts)}
    masks["skin"] = square(0, 0, 256)  # lies under all of them
    write_face(root, 0, {**masks, "cloth": square(448, 448), "neck": square(448, 416)}, size=1024)
    write_face(root, 1, {"skin": square(0, 0)})
    write_face(root, 2001, {"skin": square(0, 0)})
    lines = ["idx orig_idx orig_file", "0     182637     182638.jpg", "1   162769 162770.jpg", "2001 162770 162771.jpg"]
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(lines) + "\n")
    return root


def test_faces_are_merged_into_ten_classes_of_which_the_first_listed_wins(faces: Path) -> None:
    ((name, image, labels),) = CELEBAMASK_10.read(faces)
    assert (name, image.shape, labels.shape) == ("00000", (512, 512, 3), (512, 512))
    assert image[:, :250].max() < 30 and image[:, 262:].min() > 225

    def at(row: int, column: int) -> str:
        return CELEBAMASK_10.classes.names[labels[32 + 64 * row, 32 + 64 * column]]

    # In the order of `parts`; skin is listed before ears, and not before the others.
    assert [at(i // 4, i % 4) for i in range(12)] == [
        "skin", "eye", "eye", "eyebrow", "mouth", "mouth", "mouth", "nose", "hair", "skin", "skin", "skin",
    ]  # fmt: skip
    assert labels[480, 470] == CELEBAMASK_10.classes.index("neck"), "neck is listed before clothes"
    assert at(7, 7) == "clothes" and at(5, 5) == "background"


def test_three_classes_leave_the_rest_to_the_background(faces: Path) -> None:
    ((_, _, labels),) = CELEBAMASK_3.read(faces)
    assert CELEBAMASK_3.classes.names == ("background", "eye", "mouth", "nose")
    assert np.bincount(labels.ravel()).tolist() == [512 * 512 - 6 * 64 * 64, 2 * 64 * 64, 3 * 64 * 64, 64 * 64]


def test_masks_of_another_size_are_cut_at_two_fifths(tmp_path: Path) -> None:
    write_face(tmp_path, 7, {})
    grey = np.repeat(np.array([101, 102], np.uint8), 128)[None].repeat(256, axis=0)  # 0.4 of 255 is 102
    Image.fromarray(grey).save(tmp_path / "CelebAMask-HQ-mask-anno/0/00007_nose.png")
    ((_, _, labels),) = CELEBAMASK_3.read(tmp_path, "all")
    assert not labels[:, :250].any() and (labels[:, 262:] == 3).all()


def test_the_splits_are_those_of_celeba(faces: Path) -> None:
    assert [CELEBAMASK_10.photos(faces, split) for split in (None, "train", "val", "all")] == [
        ["0"], ["1"], ["2001"], ["0", "1", "2001"],
    ]  # fmt: skip
    assert {name: len(numbers) for name, numbers in SPLITS.items()} == {"train": 162_770, "val": 19_867, "test": 19_962}


def test_an_incomplete_set_of_faces_is_an_error_that_says_what_is_missing(faces: Path) -> None:
    (faces / "CelebAMask-HQ-mask-anno/1/02001_skin.png").unlink()
    with pytest.raises(GsegError, match="no masks of photo 2001"):
        list(CELEBAMASK_10.read(faces, "val"))
    (faces / "CelebA-HQ-img/0.jpg").unlink()
    with pytest.raises(GsegError, match=r"1 of 1 photos of test are missing: 0\.jpg"):
        CELEBAMASK_10.photos(faces)
    (faces / "CelebA-HQ-to-CelebA-mapping.txt").unlink()
    with pytest.raises(GsegError, match=r"mapping\.txt: no such file") as error:
        CELEBAMASK_10.photos(faces)
    assert "--split all" in (error.value.hint or "")
    with pytest.raises(UsageError, match="has test, val, train and all, got 'dev'"):
        CELEBAMASK_10.photos(faces, "dev")


# --- PASCAL-Part -----------------------------------------------------------------------------------------------------


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2010"
    window, wheel = box(SHAPE, 25, 40, 45, 80), box(SHAPE, 70, 30, 90, 50)
    parts = {"window_12": window, "leftside": box(SHAPE, 20, 20, 80, 120), "wheel_2": wheel}
    parts |= {"fliplate": box(SHAPE, 60, 100, 65, 110), "headlight_1": box(SHAPE, 50, 110, 60, 118)}
    write_annotated(root, "2008_000001", [("car", box(SHAPE, 20, 20, 90, 120), parts), whole(0, 200, 49, 300)])
    write_annotated(root, "2008_000002", [whole(10, 10, 110, 110), whole(0, 100, 100, 200, kind="person")])
    write_list(root, "car_val", ["2008_000001  1", "2008_000002 -1"])
    write_list(root, "car_train", ["2008_000002  0"])
    return root


def test_cars_are_cut_out_and_their_parts_merged_with_the_body_lowest(voc: Path) -> None:
    ((name, image, labels),) = PASCAL_CAR.read(voc)
    assert (name, image.shape, labels.shape) == ("2008_000001_0", (70, 100, 3), (70, 100))
    assert (
        np.abs(image[:, 0, 0] - np.arange(20.0, 90)).max() < 6
        and np.abs(image[0, :, 1] - np.arange(20.0, 120)).max() < 6
    )
    assert PASCAL_CAR.classes.names == ("background", "body", "light", "plate", "wheel", "window")
    body = 60 * 100 - 20 * 40 - 10 * 20 - 5 * 10 - 10 * 8
    below = 10 * 100 - 10 * 20  # beside the wheel
    assert np.bincount(labels.ravel()).tolist() == [below, body, 10 * 8, 5 * 10, 20 * 20, 20 * 40]


def test_the_rules_of_the_crops_and_their_limits(tmp_path: Path) -> None:
    """Boxes of 100 x 100 that share n pixels overlap by n / (20,000 - n): 5 % is 952.4 pixels."""

    def outcome(*objects: Object, protocol: Any = PASCAL_CAR) -> list[str]:
        write_annotated(tmp_path, "a", list(objects))
        found = protocol.examples_in(tmp_path, "a")
        return [item.reason if isinstance(item, Dropped) else "taken" for item in found]

    car, person = whole(0, 0, 100, 100), {"kind": "person", "part": "torso"}
    assert outcome(car, whole(81, 50, 181, 150)) == ["taken", "taken"]  # 19 x 50 = 950
    assert outcome(car, whole(81, 49, 181, 149)) == ["overlap", "overlap"]  # 19 x 51 = 969
    assert outcome(car, whole(81, 49, 181, 149, **person)) == ["overlap"]
    assert outcome(whole(0, 0, 50, 50), whole(100, 0, 149, 90), whole(100, 100, 190, 149)) == [
        "taken",
        "small",
        "small",
    ]
    assert outcome(("car", car[1], {}), whole(0, 200, 60, 290)) == ["no part", "taken"]
    horses = (whole(*corners, kind="horse", part="torso") for corners in ((0, 0, 32, 32), (40, 0, 71, 60)))
    assert outcome(*horses, protocol=PASCAL_HORSE) == ["taken", "small"]


def test_horses_have_four_parts(tmp_path: Path) -> None:
    names = ["head", "leye", "reye", "lear", "rear", "muzzle", "neck", "torso"]
    names += ["lfho", "rbho", "lfuleg", "lflleg", "rfuleg", "rflleg", "lbuleg", "lblleg", "rbuleg", "rblleg", "tail"]
    parts = {name: box(SHAPE, 0, 8 * i, 40, 8 * i + 8) for i, name in enumerate(names)}
    write_annotated(tmp_path, "2009_000007", [("horse", box(SHAPE, 0, 0, 40, 152), parts)])
    ((_, _, labels),) = PASCAL_HORSE.read(tmp_path, "all")
    assert PASCAL_HORSE.classes.names == ("background", "head", "neck+torso", "leg", "tail")
    assert labels[20, 4::8].tolist() == [1] * 6 + [2] * 2 + [3] * 10 + [4]


def test_a_crop_shows_the_parts_of_its_neighbour_too(tmp_path: Path) -> None:
    corner = box(SHAPE, 0, 0, 60, 60) & ~box(SHAPE, 50, 50, 60, 60)
    first: Object = ("car", corner, {"leftside": corner})
    write_annotated(tmp_path, "a", [first, whole(55, 55, 115, 115, part="window_1")])
    crops = {name: labels for name, _, labels in PASCAL_CAR.read(tmp_path, "all")}
    assert (crops["a_0"][55:, 55:] == 5).all() and crops["a_0"][52, 52] == 0


def test_what_is_wrong_with_the_annotations_is_said_with_the_file(voc: Path) -> None:
    assert PASCAL_CAR.photos(voc, "train") == ["2008_000002"]
    write_annotated(voc, "2008_000001", [whole(0, 0, 80, 80, part="wing")])
    with pytest.raises(GsegError, match=r"2008_000001\.mat: no part of a car is called 'wing'"):
        list(PASCAL_CAR.read(voc))
    (voc / "Annotations_Part/2008_000001.mat").write_bytes(b"not a MATLAB file" * 20)
    with pytest.raises(GsegError, match=r"2008_000001\.mat: not an annotation"):
        list(PASCAL_CAR.read(voc))
    (voc / "Annotations_Part/2008_000001.mat").unlink()
    with pytest.raises(GsegError, match=r"2008_000001\.mat: no such file"):
        list(PASCAL_CAR.read(voc))
    with pytest.raises(GsegError, match=r"horse_val\.txt: no such file"):
        PASCAL_HORSE.photos(voc)
    with pytest.raises(UsageError, match="has val, train and all, got 'test'"):
        PASCAL_CAR.photos(voc, "test")
    with pytest.raises(GsegError, match="no folder Annotations_Part"):
        PASCAL_CAR.photos(voc.parent)


# --- the folder that is written --------------------------------------------------------------------------------------


def test_a_written_dataset_scores_itself_as_perfect(voc: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "cars"
    assert main(["dataset", "pascal-car", str(voc), "-o", str(out), "--split", "all", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["photos"], data["examples"], data["dropped"]) == (2, 2, {"small": 1})
    ((name, image, labels),) = PASCAL_CAR.read(voc)
    assert (read_image(out / "images" / f"{name}.png").pixels == image).all()
    assert (read_label_png(out / "masks" / f"{name}.png") == labels).all()
    assert main(["evaluate", str(out / "masks"), str(out), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["data"]
    assert figures["mean_iou"] == figures["boundary_f"] == 1
    assert list(figures["per_class_iou"]) == list(PASCAL_CAR.classes.names)
    assert main(["info", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["protocol"] == "pascal-car"


def test_resuming_writes_what_is_missing_and_never_mixes_two_datasets(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_protocol(CELEBAMASK_10, faces, out, split="all", limit=2)
    kept, lost = out / "images/00000.png", out / "masks/00001.png"
    stamp = kept.stat().st_mtime_ns
    lost.unlink()
    with pytest.raises(GsegError, match="not empty"):
        write_protocol(CELEBAMASK_10, faces, out, split="all")
    facts = write_protocol(CELEBAMASK_10, faces, out, split="all", resume=True)
    assert (facts["photos"], facts["examples"], facts["dropped"]) == (3, 3, {})
    assert lost.exists() and (out / "masks/02001.png").exists() and kept.stat().st_mtime_ns == stamp
    for protocol, split in ((CELEBAMASK_3, "all"), (CELEBAMASK_10, "train")):
        with pytest.raises(GsegError, match="started with celebamask-10, all"):
            write_protocol(protocol, faces, out, split=split, resume=True)
    with pytest.raises(GsegError, match="started with 3 photos, not with 2"):  # three would be there, and two said
        write_protocol(CELEBAMASK_10, faces, out, split="all", resume=True, limit=2)
    write_protocol(CELEBAMASK_3, faces, out, split="val", overwrite=True)
    assert [path.name for path in (out / "masks").iterdir()] == ["02001.png"]
    assert read_json(out / "dataset.json")["split"] == "val"


def test_a_foreign_folder_and_the_data_set_itself_are_left_alone(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    write_protocol(CELEBAMASK_3, faces, out)
    (out / "images/notes.txt").write_text("mine")
    with pytest.raises(GsegError, match=r"did not write, for example notes\.txt"):
        write_protocol(CELEBAMASK_3, faces, out, overwrite=True)
    with pytest.raises(GsegError, match="inside the input"):
        write_protocol(CELEBAMASK_3, faces, faces / "out")


def test_photos_without_an_example_are_an_error_that_names_the_way_on(voc: Path, tmp_path: Path) -> None:
    write_list(voc, "car_val", ["2008_000001 1", "2008_000000 1"])
    write_annotated(voc, "2008_000000", [whole(10, 10, 30, 30)])
    out = tmp_path / "out"
    with pytest.raises(GsegError, match="no example of pascal-car in 1 photo of val; dropped: 1 small") as caught:
        write_protocol(PASCAL_CAR, voc, out, limit=1)
    assert caught.value.hint == "take more of them: a larger --limit, with --resume"
    assert write_protocol(PASCAL_CAR, voc, out, limit=2, resume=True)["examples"] == 1


def test_an_unknown_protocol_is_a_usage_error_that_names_the_known(tmp_path: Path, capsys: Any) -> None:
    assert main(["dataset", "celeba", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    hint = capsys.readouterr().err
    assert all(name in hint for name in PROTOCOLS)


def test_a_project_can_have_the_classes_of_a_protocol() -> None:
    assert parse_classes("celebamask-10") == CELEBAMASK_10.classes
