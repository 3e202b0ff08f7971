"""Templates: what is painted over is labelled, what still shows the sample is not."""

import json

import numpy as np
import pytest
from PIL import Image

from gseg_cli.annotate.template import gimp_palette, make_template, write_templates
from gseg_cli.app import main
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from tests.annotate.exports import CLASSES, load

GREYS = ClassMap(("background", "a", "b"), ((48, 48, 51), (100, 100, 103), (128, 128, 128)))


def painted(samples, classes=CLASSES):
    """A template on which the first 4 rows are background, the next 8 class 1, and the next 8 class 2."""
    with Image.open(samples.image_path(3)) as image:
        template = make_template(np.asarray(image.convert("RGB")), classes)
    values = np.array(template)
    values[:4], values[4:12], values[12:20] = 0, 1, 2
    image = Image.fromarray(values)
    image.putpalette(template.getpalette())
    return image


def expected():
    labels = np.full((64, 64), 255, np.uint8)
    labels[:4], labels[4:12], labels[12:20] = 0, 1, 2
    return labels


@pytest.mark.parametrize("classes", [CLASSES, GREYS, ClassMap.of_names(["background", *map(str, range(240))])])
@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA"])
def test_a_painted_template_is_read_as_indexed_and_as_colour_picture(ten_samples, tmp_path, classes, mode):
    painted(ten_samples, classes).convert(mode).save(tmp_path / "000003.png")
    _, found = load(tmp_path, ten_samples, classes, unlabelled=255)
    assert np.array_equal(found.all().labels[0], expected())


def test_a_template_shows_the_sample_and_keeps_the_classes_in_front(ten_samples):
    with Image.open(ten_samples.image_path(3)) as image:
        pixels = np.asarray(image.convert("RGB"))
    template = make_template(pixels, CLASSES)
    assert template.mode == "P" and np.asarray(template).min() >= len(CLASSES)
    assert template.getpalette()[: 3 * len(CLASSES)] == [value for color in CLASSES.colors for value in color]
    light = np.asarray(template.convert("L"), float).ravel()
    assert np.corrcoef(light, np.asarray(Image.fromarray(pixels).convert("L"), float).ravel())[0, 1] > 0.98


def test_templates_that_are_there_are_kept_and_untouched_ones_are_left_out(ten_samples, tmp_path):
    painted(ten_samples).save(tmp_path / "000003.png")
    before = (tmp_path / "000003.png").read_bytes()
    templates = write_templates(ten_samples, [3, 4], CLASSES, tmp_path)
    assert (tmp_path / "000003.png").read_bytes() == before
    assert [path.name for path in templates.written] == ["000004.png"] and len(templates.kept) == 1
    (tmp_path / "classes.gpl").unlink()
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert found.all().seeds == (3,) and "1 picture without any shape" in found.warnings[0]


def test_the_palette_names_the_classes():
    lines = gimp_palette(CLASSES).splitlines()
    assert lines[0] == "GIMP Palette" and lines[4:7] == [
        "  0   0   0\tbackground",
        "230 190 160\tskin",
        " 90  50  30\thair",
    ]


def test_sample_writes_templates_when_asked(tiny_gan, tmp_path, capsys):
    project = Project.create(tmp_path / "p", classes=CLASSES, gan=str(tiny_gan))
    assert main(["sample", "--seeds", "0-2", "--template", "-C", str(project.dir), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["data"]["templates"]
    assert [path.rpartition("/")[2] for path in written] == ["000000.png", "000001.png", "000002.png"]
    assert sorted(path.name for path in project.path("templates").iterdir())[-1] == "classes.gpl"
    assert SampleSet.load(project.samples_dir).seeds == (0, 1, 2)
    assert main(["annotate-import", str(project.path("templates")), "-C", str(project.dir)]) == 1
    assert "nothing is drawn on any picture" in capsys.readouterr().err
