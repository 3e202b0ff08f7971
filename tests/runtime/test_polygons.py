"""Polygons go out to labelme and YOLO, and come back by our own importer."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import CLASSES, MakeModel, MakePhoto
from PIL import Image

from gseg_cli.annotate.formats.labelme import is_labelme
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.paint import paint
from gseg_cli.annotate.recognise import read_source
from gseg_cli.app import main
from gseg_cli.project import Project
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.class_map import ClassMap
from gseg_runtime.enlarged import Enlarged, Plane
from gseg_runtime.files import is_whole, read_json
from gseg_runtime.label_map import read_label_png
from gseg_runtime.outlines import outlines
from gseg_runtime.polygons import labelme_json, path_from, yolo_table, yolo_text
from tests.annotate.exports import DATA

FACES = ClassMap.of_names(["background", "skin", "eye: left", "'hair'"])


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


def face() -> Plane:
    """Hair around skin around eyes, a hole in the hair through which the background is seen, and an ear ring."""
    y, x = np.mgrid[:80, :60]

    def disc(row: float, column: float, radius: float) -> np.ndarray:
        return (y - row) ** 2 + (x - column) ** 2 < radius**2

    labels = np.zeros((80, 60), np.uint8)
    labels[disc(40, 30, 26)] = 3
    labels[disc(44, 30, 18)] = 1
    labels[disc(40, 22, 4) | disc(40, 38, 4)] = 2
    labels[disc(20, 20, 3)] = 0
    labels[disc(60, 50, 6) & ~disc(60, 50, 3)] = 1
    return labels


def read_back(source: Path, size: tuple[int, int], classes: ClassMap) -> tuple[str, dict[str, Plane]]:
    """The format that it is taken for, and the label maps by name; size: (width, height)."""
    names = Names(classes, {})
    kind, reading = read_source(source, names)
    assert not reading.failures
    return kind, {drawing.names[0]: paint(drawing, size, names, 0, 10) for drawing in reading.drawings}


@pytest.mark.parametrize("tolerance", [0, 0.6])
@pytest.mark.parametrize("size", [(80, 60), (333, 200)])
def test_both_formats_bring_the_label_map_back(tmp_path: Path, size: tuple[int, int], tolerance: float) -> None:
    plane = Enlarged(face(), *size)
    found = outlines(plane, tolerance)
    (tmp_path / "labelme").mkdir()
    (tmp_path / "labelme" / "a.json").write_bytes(labelme_json(found, FACES, size, "../../photos/a.jpg"))
    (tmp_path / "yolo" / "labels").mkdir(parents=True)
    (tmp_path / "yolo" / "labels" / "a.txt").write_bytes(yolo_text(found, size))
    (tmp_path / "yolo" / "data.yaml").write_text(yolo_table(FACES))
    for name in ("labelme", "yolo"):
        kind, maps = read_back(tmp_path / name, size[::-1], FACES)
        assert kind.lower() == name
        (labels,) = maps.values()
        if not tolerance:
            np.testing.assert_array_equal(labels, plane.full())
        for label in range(4):
            ours, theirs = labels == label, plane.full() == label
            assert (ours & theirs).sum() / (ours | theirs).sum() > 0.87


def test_labelmes_file_has_all_that_labelme_asks_for(tmp_path: Path) -> None:
    """The keys that its LabelFile reads; without imageData it opens imagePath."""
    content = json.loads(labelme_json(outlines(Enlarged(face(), 80, 60)), FACES, (80, 60), "a.jpg"))
    assert is_labelme(content)
    assert {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"} <= set(content)
    assert {"label", "points", "group_id", "shape_type", "flags"} <= set(content["shapes"][0])
    labels = [shape["label"] for shape in content["shapes"]]
    assert labels[:2] == ["'hair'", "skin"] and labels.count("eye: left") == 2
    assert labels.count("background") == 2  # the hole, and in the ear ring


def test_a_line_of_yolo_is_a_part_with_its_holes_and_counts_without_the_background() -> None:
    lines = yolo_text(outlines(Enlarged(face(), 80, 60)), (80, 60)).decode().splitlines()
    assert sorted(line.split()[0] for line in lines) == ["0", "0", "1", "1", "2", "2"]  # some hair in the ring
    shares = [float(word) for line in lines for word in line.split()[1:]]
    assert min(shares) >= 0 and max(shares) <= 1
    assert all(len(line.split()) % 2 and len(line.split()) >= 7 for line in lines)
    assert yolo_text(outlines(Enlarged(np.zeros((4, 4), np.uint8), 4, 4)), (4, 4)).split() == []


def test_samples_are_segmented_drawn_and_imported_again(model: Path, tmp_path: Path) -> None:
    out, project = tmp_path / "masks", Project.create(tmp_path / "faces", classes=CLASSES)
    assert main(["segment", str(DATA / "samples"), "-o", str(out), "--model", str(model), "--polygons"]) == 0
    for tree in ("labelme", "yolo"):
        call = ["annotate-import", str(out / tree), "--samples", str(DATA / "samples"), "-C", str(project.dir)]
        assert main([*call, "--overwrite"]) == 0
        for seed in range(10):
            drawn = read_label_png(project.annotations_dir / f"{seed:06d}.png")
            assert (drawn == read_label_png(out / f"{seed:06d}.png")).mean() > 0.9


def test_files_lie_in_trees_of_their_own_and_lead_to_their_photos(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    out = tmp_path / "link" / "out"
    segmenter.segment_folder(photos, out, polygons=True)
    for stem, photo in (("a", "a.jpg"), ("deep/a", "deep/a.jpg"), ("b", "b.png")):
        document = out / "labelme" / f"{stem}.json"
        content = read_json(document)
        assert (document.parent / content["imagePath"]).resolve() == (photos / photo).resolve()
        assert [content["imageHeight"], content["imageWidth"]] == list(read_label_png(out / f"{stem}.png").shape)
        assert (out / "yolo" / "labels" / f"{stem}.txt").is_file()
    assert (out / "yolo" / "data.yaml").is_file()


def test_resume_makes_what_is_cut_off_and_leaves_what_was_corrected(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out)
    assert segmenter.segment_folder(photos, out, resume=True, polygons=True).done == 4
    document = (out / "labelme" / "a.json").read_bytes()
    (out / "labelme" / "a.json").write_bytes(document[: document.rindex(b"}", 0, -1) + 1])  # the end of a shape
    assert segmenter.segment_folder(photos, out, resume=True, polygons=True).done == 1
    assert segmenter.segment_folder(photos, out, resume=True, polygons=True).skipped == 4
    for path in (out / "labelme" / "a.json", out / "yolo" / "labels" / "b.txt"):
        path.write_bytes(path.read_bytes()[:-9])
        assert not is_whole(path)
    assert segmenter.segment_folder(photos, out, resume=True, polygons=True).done == 2
    corrected = out / "labelme" / "a.json"
    corrected.write_text(json.dumps(read_json(corrected) | {"version": "6.3.1"}, indent=2))
    kept = corrected.read_bytes()
    assert segmenter.segment_folder(photos, out, resume=True, polygons=True).skipped == 4
    (out / "a.png").unlink()
    for how in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(GsegError, match=r"labelme/a\.json: exists|did not write, for example a\.json"):
            segmenter.segment_folder(photos, out, polygons=True, **how)
    assert corrected.read_bytes() == kept
    corrected.unlink()
    segmenter.segment_folder(photos, out, overwrite=True)
    assert not (out / "labelme").exists() and not (out / "yolo").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labelme/a.json", '{"version": "6.3.1", "shapes": []}'), ("labelme/a.json", '{\n  "shapes": []\n}\n'),
        ("yolo/labels/a.txt", "0 0.1 0.1 0.2 0.1 0.2 0.2"), ("yolo/labels/a.txt", ""),
    ],
)  # fmt: skip
def test_what_was_corrected_stays_however_it_ends(
    segmenter: Segmenter, photos: Path, tmp_path: Path, name: str, text: str
) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out, polygons=True)
    (out / name).write_text(text)
    assert segmenter.segment_folder(photos, out, resume=True, polygons=True).skipped == 4
    assert (out / name).read_text() == text


def test_yolo_reads_the_names_of_classes_whatever_they_are() -> None:
    names = ["background", "😀 𠀀", "Mère", 'a: "b" \\ # c', "yes"]
    assert list(yaml.safe_load(yolo_table(ClassMap.of_names(names)))["names"].values()) == names[1:]


def test_shards_write_the_same_as_one_run(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    segmenter.segment_folder(photos, tmp_path / "out", polygons=True, full_names=True)
    for index in (0, 1):
        segmenter.segment_folder(photos, tmp_path / f"{index}", polygons=True, full_names=True, shard=(index, 2))
    whole = sorted((tmp_path / "out" / "labelme").rglob("*.json"))
    assert len(whole) == 4 and whole[0].name == "a.jpg.json"
    for path in whole:
        name = path.relative_to(tmp_path / "out")
        (part,) = [tmp_path / str(index) / name for index in (0, 1) if (tmp_path / str(index) / name).exists()]
        assert part.read_bytes() == path.read_bytes()


def test_the_way_to_a_photo_does_not_need_the_folder_to_be_there(tmp_path: Path) -> None:
    assert (
        path_from(tmp_path / "out" / "labelme" / "x", tmp_path / "photos" / "x" / "a.jpg") == "../../../photos/x/a.jpg"
    )


def test_a_photo_of_any_classes_can_be_drawn(make_model: MakeModel, make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "in" / "dark.png", 50, 50, (0, 0))
    make_photo(tmp_path / "in" / "tiny.png", 1, 1, (224, 224))
    segmenter = Segmenter.load(make_model(), device="cpu")
    segmenter.segment_folder(tmp_path / "in", tmp_path / "out", polygons=True)
    assert read_json(tmp_path / "out" / "labelme" / "dark.json")["shapes"] == []
    assert (tmp_path / "out" / "yolo" / "labels" / "dark.txt").read_text().split() == []
    assert len(read_json(tmp_path / "out" / "labelme" / "tiny.json")["shapes"]) == 1


def test_smooth_outlines_have_no_more_points_than_people_can_move(model_with_logits: Path, tmp_path: Path) -> None:
    """A disc of 600 of 1024 pixels, of which the network sees 19 of 32."""
    y, x = np.mgrid[:1024, :1024]
    is_disc = (x - 500) ** 2 + (y - 520) ** 2 < 300**2
    (tmp_path / "in").mkdir()
    Image.fromarray(np.where(is_disc, 224, 32).astype(np.uint8)).save(tmp_path / "in" / "x.png")
    num_points = {}
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        for edges in ("nearest", "smooth"):
            segmenter.segment_folder(tmp_path / "in", out := tmp_path / edges, edges=edges, polygons=True)
            shapes = read_json(out / "labelme" / "x.json")["shapes"]
            num_points[edges] = sum(len(shape["points"]) for shape in shapes)
            _, drawn = read_back(out / "labelme", (1024, 1024), CLASSES)
            assert (next(iter(drawn.values())) == read_label_png(out / "x.png")).mean() > 0.98
    assert num_points["smooth"] <= 2 * num_points["nearest"], num_points
