"""What people are given to draw on and with: enlarged samples, and the project's classes in their program's words."""

import json
from pathlib import Path
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest
import yaml
from PIL import Image

from gseg_cli.annotate.template import write_templates
from gseg_cli.annotate.tools.label_set import LABEL_SETS, labels_of
from gseg_cli.app import main
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from gseg_runtime.images import read_image
from tests.annotate.exports import CLASSES, load

NAMES = ClassMap.of_names(["background", 'say "a" & <b>', "señal: #1", "雪"])


@pytest.fixture
def project(tiny_gan, tmp_path):
    return Project.create(tmp_path / "p", classes=CLASSES, gan=str(tiny_gan))


def run(project, *words):
    return main(["sample", "--seeds", "0-2", "-C", str(project.dir), "--json", *words])


@pytest.mark.parametrize("classes", [CLASSES, NAMES])
def test_label_sets_hold_names_and_colours_as_each_program_parses_them(classes):
    labels = [*((name, f"#{bytes(color).hex()}") for name, color in zip(classes.names, classes.colors, strict=True)),
              ("ignore", "#e0e0e0")]  # fmt: skip
    texts = {tool: chosen.text(labels_of(classes)) for tool, chosen in LABEL_SETS.items()}
    assert [(row["name"], row["color"]) for row in json.loads(texts["cvat"])] == labels
    config = yaml.safe_load(texts["labelme"])
    assert [(name, f"#{bytes(config['label_colors'][name]).hex()}") for name in config["labels"]] == labels
    for kind in ("PolygonLabels", "BrushLabels"):
        rows = fromstring(texts["label-studio"]).findall(f"./{kind}/Label")
        assert [(row.get("value"), row.get("background")) for row in rows] == labels


@pytest.mark.parametrize(("tool", "file"), [("labelme", "labelme.yaml"), ("cvat", "cvat.json"),
                                            ("label-studio", "label-studio.xml")])  # fmt: skip
def test_sample_writes_the_label_set_and_says_where_it_goes(project, capsys, tool, file):
    assert run(project, "--labels-for", tool) == 0
    captured = capsys.readouterr()
    path = project.dir / "labels" / file
    assert json.loads(captured.out)["data"]["labels"] == str(path) and "skin" in path.read_text("utf-8")
    assert str(path) in captured.err


def test_sample_writes_enlarged_pictures_and_keeps_those_that_are_there(project, capsys):
    assert run(project, "--scale", "4") == 0
    written = json.loads(capsys.readouterr().out)["data"]["enlarged"]
    paths = (Path(written[0]), project.samples_dir / "000000.png")
    first, plain = (read_image(path).pixels.astype(float) for path in paths)
    assert len(written) == 3 and first.shape == (64, 64, 3)
    assert np.abs(first.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3)) - plain).mean() < 8
    (project.enlarged_dir / "000001.png").write_bytes(b"drawn on")
    assert run(project, "--scale", "4") == 0
    assert (project.enlarged_dir / "000001.png").read_bytes() == b"drawn on"
    assert "3 were there and are kept" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--scale", "2"], ["--template"]], ids=lambda words: words[0])
def test_samples_that_were_handed_out_are_not_replaced_by_others_of_the_same_numbers(project, capsys, words):
    assert run(project, *words) == 0
    assert run(project, "--overwrite") == 0  # which are the same
    before = (project.samples_dir / "000001.png").read_bytes()
    capsys.readouterr()
    assert run(project, "--overwrite", "--truncation-psi", "1") == 1
    error = capsys.readouterr().err
    folder = project.path("templates") if words == ["--template"] else project.enlarged_dir
    assert f"{folder}: holds 3 files of the samples" in error and f"move {folder} away" in error
    assert (project.samples_dir / "000001.png").read_bytes() == before
    folder.rename(project.dir / "old")
    assert run(project, "--overwrite", "--truncation-psi", "1") == 0
    assert (project.samples_dir / "000001.png").read_bytes() != before


def test_samples_elsewhere_are_drawn_on_beside_them(project, tmp_path, capsys):
    """In the project they would stand for samples of the same number, and be drawn on in their place."""
    other = tmp_path / "other"
    assert run(project, "--scale", "2", "--template", "--truncation-psi", "0", "-o", str(other)) == 0
    made = json.loads(capsys.readouterr().out)["data"]
    assert Path(made["enlarged"][0]).parent == tmp_path / "other-enlarged"
    assert (tmp_path / "other-templates" / "classes.gpl").is_file()
    assert not project.enlarged_dir.exists() and not project.path("templates").exists()
    assert run(project, "--truncation-psi", "1", "-o", str(other), "--overwrite") == 1
    assert "other-templates" in capsys.readouterr().err
    assert run(project, "--truncation-psi", "0", "-o", str(other), "--overwrite") == 0  # the same pictures once more
    assert len(list((tmp_path / "other-enlarged").iterdir())) == 3
    assert run(project, "--scale", "2", "-o", str(project.samples_dir)) == 0
    assert len(list(project.enlarged_dir.iterdir())) == 3


def test_templates_are_enlarged_too_and_come_back_exact(ten_samples, tmp_path):
    write_templates(ten_samples, [3], CLASSES, tmp_path, times=4)
    with Image.open(tmp_path / "000003.png") as image:
        values = np.array(image)
        assert values.shape == (256, 256)
        values[40:120, 80:200] = 2
        painted = Image.fromarray(values)
        painted.putpalette(image.getpalette())
    painted.save(tmp_path / "000003.png")
    _, found = load(tmp_path, ten_samples, CLASSES)
    wanted = np.zeros((64, 64), np.uint8)
    wanted[10:30, 20:50] = 2
    assert np.array_equal(found.all().labels[0], wanted)


def test_a_scale_that_is_too_large_to_import_is_wrong_usage_before_anything_is_drawn(project, capsys):
    assert run(project, "--scale", "1000") == 2
    assert "use at most --scale 256" in capsys.readouterr().err
    assert list(project.samples_dir.iterdir()) == []
