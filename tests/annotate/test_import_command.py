"""gseg annotate-import: classes, what one sees, and that all or nothing is written."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.app import main
from gseg_cli.label.lock import locked
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from tests.annotate.exports import DATA, coco, label_studio, labelme, square, write

CLASSES = ClassMap.of_names(["background", "skin", "hair"])


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "faces", classes=CLASSES)


@pytest.fixture
def run(project):
    def run(source, *args):
        return main(["annotate-import", str(source), "--samples", str(DATA / "samples"), "-C", str(project.dir), *args])

    return run


def drawn(folder, *labels, seeds=(3, 4)):
    for seed in seeds:
        shapes = [(label, "polygon", square(0, 8 * i, 64, 8 * i + 8)) for i, label in enumerate(labels)]
        write(folder / f"{seed:06d}.json", labelme(*shapes, path=f"{seed:06d}.png"))
    return folder


def test_a_zip_as_downloaded_is_taken_in_and_shown(run, project, capsys):
    Project.create(
        project.dir, classes=ClassMap.of_names(["background", "skin", "hair", "eyes", "mouth"]), overwrite=True
    )
    assert run(DATA / "cvat_polygons.zip", "--json") == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["format"] == "CVAT" and data["seeds"] == list(range(10)) and data["new_classes"] == []
    assert AnnotationSet.load(project.annotations_dir).seeds == tuple(range(10))
    preview = project.annotations_dir / "preview"
    assert sorted(path.name for path in preview.iterdir()) == [*(f"{seed:06d}.png" for seed in range(10)), "sheet.png"]
    with Image.open(preview / "sheet.png") as sheet:
        assert sheet.height > 10 * 192 > sheet.width > 3 * 192 - 1
    with Image.open(preview / "000003.png") as shown, Image.open(DATA / "samples/000003.png") as sample:
        assert shown.size == (512, 512)
        assert shown.getpixel((4, 4)) == sample.getpixel((0, 0))  # unlabelled pixels stay as they are
    assert run(DATA / "coco_instances.zip", "--overwrite") == 0


def test_unknown_names_are_errors_that_name_the_nearest_class(run, project, tmp_path, capsys):
    before = (project.dir / "gseg.toml").read_bytes()
    assert run(drawn(tmp_path / "in", "skin", "hiar", "beard")) == 1
    error = capsys.readouterr().err
    assert "000003.json and 1 more: unknown class 'hiar'\nhint: did you mean hair? --map 'hiar=hair'" in error
    assert "unknown class 'beard'\nhint: the classes are background, skin, hair;" in error and "--yes" in error
    assert (project.dir / "gseg.toml").read_bytes() == before and not any(project.annotations_dir.iterdir())


def test_classes_that_a_project_does_not_have_at_all_are_one_error(run, tmp_path, capsys):
    assert run(drawn(tmp_path / "in", "door", "wheel", "window")) == 1
    error, hint = capsys.readouterr().err.splitlines()[:2]
    assert error.endswith("000003.json and 1 more: 3 unknown classes, 'door', 'wheel', 'window'")
    assert hint == (
        "hint: the classes are background, skin, hair; --map 'door=CLASS' gives one of them, --map '*=-' leaves out "
        "all without an entry, --yes adds all to gseg.toml"
    )


def test_hundreds_of_unknown_names_are_told_in_few_lines_and_are_too_many_classes(run, tmp_path, capsys):
    source = drawn(tmp_path / "in", *(f"hair_{index}" for index in range(300)))
    assert run(source) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) < 50 and "280 unknown classes, 'hair_20', 'hair_21', " in error
    assert run(source, "--yes") == 1
    assert "300 names are not classes yet, and there can be at most 255 classes\nhint: --map" in capsys.readouterr().err


def test_map_renames_ignores_and_leaves_out(run, project, tmp_path):
    source = drawn(tmp_path / "in", "skin", "hiar", "shadow", "box")
    assert run(source, "--map", "hiar=hair", "--map", "shadow=ignore", "--map", "box=-") == 0
    labels = AnnotationSet.load(project.annotations_dir).labels[0]
    assert labels[::8, 0].tolist() == [1, 2, 255, 0, 0, 0, 0, 0]


def test_a_map_that_meets_no_shape_is_a_warning_and_a_broken_one_is_usage(run, tmp_path, capsys):
    source = drawn(tmp_path / "in", "skin")
    assert run(source, "--map", "hiar=hair") == 0
    assert "warning: --map: no shape is called hiar (found: skin)" in capsys.readouterr().err
    assert run(source, "--map", "hair", "--overwrite") == 2
    assert "expected NAME=CLASS" in capsys.readouterr().err


def test_yes_adds_classes_behind_the_others_and_keeps_every_comment(run, project, tmp_path, capsys):
    toml = project.dir / "gseg.toml"
    toml.write_text(toml.read_text() + "\n# mine\n", encoding="utf-8")
    before = toml.read_text()
    assert run(drawn(tmp_path / "in", "beard", "Skin", "hat"), "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["data"]["new_classes"] == ["beard", "hat"]
    assert toml.read_text().startswith(before.rstrip())
    classes = Project.open(project.dir).classes
    assert classes.names == ("background", "skin", "hair", "beard", "hat")
    assert len(set(classes.colors)) == 5 and classes == AnnotationSet.load(project.annotations_dir).classes
    assert AnnotationSet.load(project.annotations_dir).labels[0][::8, 0].tolist() == [3, 1, 4, 0, 0, 0, 0, 0]


def test_new_classes_have_the_order_of_the_tools_list_not_that_of_drawing(run, project, tmp_path):
    document = coco(*({"category_id": number, "segmentation": [[0, 0, 9, 0, 9, 9]]} for number in (5, 4, 3)))
    document["categories"] = [{"id": 4, "name": "hat"}, {"id": 5, "name": "beard"}, {"id": 3, "name": "ears"}]
    assert run(write(tmp_path / "in.json", document), "--yes") == 0
    assert Project.open(project.dir).classes.names == ("background", "skin", "hair", "ears", "hat", "beard")


def test_names_that_differ_in_case_and_blanks_alone_are_one_new_class(run, project, tmp_path):
    assert run(drawn(tmp_path / "in", "skin", "Hat", "hat", "straw  HAT", "Straw hat"), "--yes") == 0
    assert Project.open(project.dir).classes.names == ("background", "skin", "hair", "Hat", "straw  HAT")
    assert AnnotationSet.load(project.annotations_dir).labels[0][::8, 0].tolist() == [1, 3, 3, 4, 4, 0, 0, 0]


def test_new_classes_have_colours_of_their_own_after_one_was_taken_out_by_hand(run, project, tmp_path):
    toml = project.dir / "gseg.toml"
    toml.write_text(toml.read_text().replace('[[classes]]\nname = "skin"\ncolor = "#3960bf"\n', ""))
    assert run(drawn(tmp_path / "in", "hair", "hat", "beard"), "--yes") == 0
    assert len(set(Project.open(project.dir).classes.colors)) == 4


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_at_a_terminal_the_classes_are_proposed(run, project, tmp_path, monkeypatch, capsys, answer, code):
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert run(drawn(tmp_path / "in", "skin", "beard")) == code
    assert "add beard to gseg.toml as classes?" in capsys.readouterr().err
    assert ("beard" in Project.open(project.dir).classes.names) == (code == 0)


def test_nothing_is_added_to_gseg_toml_when_the_import_fails(run, project, tmp_path):
    before = (project.dir / "gseg.toml").read_bytes()
    source = drawn(tmp_path / "in", "beard", seeds=(3, 77))
    assert run(source, "--yes") == 1
    drawn(project.dir, "skin")
    write(project.annotations_dir / "mine.txt", "not to be lost")
    assert run(drawn(tmp_path / "good", "beard"), "--yes") == 1
    assert (project.dir / "gseg.toml").read_bytes() == before


def test_classes_in_one_line_cannot_be_extended_and_that_is_said_first(run, project, tmp_path, capsys):
    toml = project.dir / "gseg.toml"
    head = toml.read_text().partition("[project]")
    toml.write_text(
        'classes = [{name = "background"}, {name = "skin"}]\n' + "".join(head[1:]).partition("[[classes]]")[0]
    )
    assert run(drawn(tmp_path / "in", "beard"), "--yes") == 1
    assert "write the classes as [[classes]] tables" in capsys.readouterr().err
    assert not any(project.annotations_dir.iterdir())


def test_partial_takes_the_good_pictures(run, project, tmp_path, capsys):
    drawn(tmp_path / "in", "skin")
    drawn(tmp_path / "in", "skin", "beard", seeds=(5,))
    drawn(tmp_path / "in", "skin", seeds=(99,))
    assert run(tmp_path / "in", "--partial") == 3
    error = capsys.readouterr().err
    assert "unknown class 'beard'" in error and "000099.json" in error
    assert AnnotationSet.load(project.annotations_dir).seeds == (3, 4)


def test_unlabelled_pixels_can_be_ignored_and_lines_have_a_width(run, project, tmp_path, capsys):
    line = labelme(("hair", "line", [[0, 32], [64, 32]]))
    assert run(write(tmp_path / "000003.json", line), "--unlabelled", "ignore", "--line-width", "4") == 0
    labels = AnnotationSet.load(project.annotations_dir).labels[0]
    assert np.unique(labels).tolist() == [2, 255] and (labels == 2).sum() == 4 * 64
    assert "a line or point is drawn 4 pixels wide" in capsys.readouterr().err


def test_what_looks_wrong_is_warned_about(run, tmp_path, capsys):
    small = labelme(("skin", "rectangle", [[0, 0], [4, 4]]))
    assert run(write(tmp_path / "000003.json", small)) == 0
    error = capsys.readouterr().err
    assert "sample 000003.png: only 0.4% of it is labelled" in error
    assert "class skin: fewer than 20 pixels (16)" in error and "class hair: not labelled anywhere" in error


def test_an_export_without_any_shape_is_an_error(run, tmp_path, capsys):
    assert run(write(tmp_path / "000003.json", labelme())) == 1
    assert "nothing is drawn on any picture" in capsys.readouterr().err


def test_a_second_import_is_told_of_add_first_and_of_what_overwrite_loses(run, project, tmp_path, capsys):
    assert run(drawn(tmp_path / "first", "skin", seeds=(3,))) == 0
    second = drawn(tmp_path / "second", "hair", seeds=(4,))
    assert "labelme: 1 annotation " in capsys.readouterr().out
    assert run(second) == 1
    error = capsys.readouterr().err
    assert "holds 1 annotation already\nhint: --add keeps those that are not imported anew; --overwrite loses" in error
    assert "000003.png" in error
    assert run(second, "--add") == 0 and AnnotationSet.load(project.annotations_dir).seeds == (3, 4)
    capsys.readouterr()
    assert run(second, "--overwrite") == 0
    error = capsys.readouterr().err
    assert "warning: --overwrite: 1 annotation is gone that this import lacks (000003.png); --add would" in error


def test_a_class_that_was_renamed_by_hand_does_not_lock_the_annotations_out(run, project, tmp_path, capsys):
    toml = project.dir / "gseg.toml"
    assert run(drawn(tmp_path / "in", "skin", "hair", seeds=[3])) == 0
    toml.write_text(toml.read_text().replace('"hair"', '"fur"'))
    assert run(drawn(tmp_path / "more", "fur", seeds=[4]), "--add") == 0
    there = AnnotationSet.load(project.annotations_dir)
    assert there.classes.names == ("background", "skin", "fur") and there.seeds == (3, 4)
    assert there.labels[:, ::8, 0].tolist() == [[1, 2, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0]]
    toml.write_text(toml.read_text().replace('"skin"', '"fur "').replace('"fur"', '"skin"').replace('"fur "', '"fur"'))
    assert run(drawn(tmp_path / "swapped", "fur", seeds=[5]), "--add") == 1
    assert "have the classes background, skin, fur" in capsys.readouterr().err


def test_nothing_is_imported_into_what_gseg_label_has_open(run, project, tmp_path, capsys):
    source = drawn(tmp_path / "in", "skin")
    project.label_dir.mkdir()
    with locked(project.label_dir):
        assert run(source) == 1
        assert "in use by process" in capsys.readouterr().err and not any(project.annotations_dir.iterdir())
        assert run(source, "--out", str(tmp_path / "elsewhere")) == 0
    assert run(source) == 0


def test_map_folds_case_and_blanks_and_says_beside_errors_that_it_was_not_used(run, project, tmp_path, capsys):
    source = drawn(tmp_path / "in", "skin", "Left  Eye")
    assert run(source, "--map", "left eye=hair") == 0
    assert AnnotationSet.load(project.annotations_dir).labels[0][::8, 0].tolist() == [1, 2, 0, 0, 0, 0, 0, 0]
    capsys.readouterr()
    assert run(source, "--map", "left eyes=hair", "--overwrite") == 1
    error = capsys.readouterr().err
    assert "unknown class 'Left  Eye'" in error
    assert "warning: --map: no shape is called left eyes (found: skin, Left  Eye)" in error


def test_a_typo_is_told_before_it_is_offered_as_a_class(run, tmp_path, monkeypatch, capsys):
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert run(drawn(tmp_path / "in", "Hiar", "beard")) == 1
    error = capsys.readouterr().err
    assert error.index("Hiar: did you mean hair?") < error.index("add Hiar, beard to gseg.toml as classes?")
    assert "beard: did you mean" not in error


def test_the_sheet_says_which_colour_is_which_class(run, project, tmp_path):
    assert run(drawn(tmp_path / "in", "skin")) == 0
    with Image.open(project.annotations_dir / "preview/sheet.png") as sheet:
        strip = np.asarray(sheet)[:24]
    for color in CLASSES.colors:
        assert (strip == color).all(axis=2).sum() > 100


def test_what_nobody_submitted_in_label_studio_is_said(run, tmp_path, capsys):
    result = label_studio({"points": square(0, 0, 50, 50), "polygonlabels": ["skin"]})[0]["annotations"][0]
    left = {"data": {"image": "000003.png"}, "annotations": [], "drafts": [result], "predictions": []}
    guessed = {"data": {"image": "000004.png"}, "predictions": [result]}
    assert run(write(tmp_path / "a.json", [left, guessed])) == 1
    error = capsys.readouterr().err
    assert "on 2 images nothing was submitted; drafts and predictions do not count\nhint: submit" in error
    assert run(write(tmp_path / "b.json", [left, {"data": {"image": "000004.png"}, "annotations": [result]}])) == 0
    assert "warning: " in (error := capsys.readouterr().err) and "on 1 image nothing was submitted" in error


def test_the_class_that_one_word_means_is_suggested_and_no_other(run, tmp_path, capsys):
    for label, hint in (
        ("Long Grey Hair", "did you mean hair? --map 'Long Grey Hair=hair'"),
        ("xyzzy", "--map 'xyzzy=CLASS'"),
    ):
        shape = {"label": label, "points": [[1, 1], [20, 1], [20, 20]], "shape_type": "polygon"}
        document = {"version": "5.0", "imagePath": "000003.png", "shapes": [shape], "imageWidth": 64, "imageHeight": 64}
        (tmp_path / "000003.json").write_text(json.dumps(document))
        run(tmp_path / "000003.json")
        assert hint in capsys.readouterr().err


def test_a_label_map_as_jpeg_is_told_why_it_cannot_be_read(run, tmp_path, capsys):
    Image.new("RGB", (64, 64)).save(tmp_path / "000003.jpg")
    assert run(tmp_path) == 1
    assert "JPEG smears" in capsys.readouterr().err
