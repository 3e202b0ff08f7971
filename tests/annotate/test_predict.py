"""What a teacher predicts, in the form people correct it in; what they leave alone comes back as it was."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.annotate.prefill import Guess, write_prelabels, write_templates
from gseg_cli.annotate.template import make_prefilled
from gseg_cli.annotate.template_colors import class_of_shades, shades_of
from gseg_cli.app import main
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import load_teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.stage import run_fewshot_train
from gseg_cli.gan.generator import Generator
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import write_samples, ws_for_seeds
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from tests import tiny
from tests.annotate.exports import CLASSES, load, write

GREYS = ClassMap(("background", "a", "b", "c"), ((0, 0, 0), (128, 128, 128), (64, 64, 64), (0, 0, 4)))


@pytest.fixture
def guesses(truth):
    return [Guess(seed, truth[seed], 0.0) for seed in (3, 4)]


def hand_out(way, guesses, samples, folder, classes=CLASSES):
    if way == "template":
        return write_templates(guesses, samples, classes, folder, times=1)
    return write_prelabels(way, guesses, samples.dir, samples.resolution, classes, folder)


@pytest.mark.parametrize("way", ["labelme", "cvat", "template"])
def test_predictions_that_nobody_changed_come_back_to_the_pixel(ten_samples, truth, guesses, tmp_path, way):
    hand_out(way, guesses, ten_samples, tmp_path)
    (tmp_path / "classes.gpl").unlink(missing_ok=True)
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels, truth[3:5]) and found.warnings == ()


def test_label_studio_s_predictions_come_back_once_they_are_submitted(ten_samples, truth, guesses, tmp_path):
    hand_out("label-studio", guesses, ten_samples, tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text("utf-8"))
    done = [{"data": task["data"], "annotations": task["predictions"]} for task in tasks]
    _, found = load(write(tmp_path / "done.json", done), ten_samples, CLASSES)
    assert np.array_equal(found.all().labels, truth[3:5])
    (failure,) = load(tmp_path / "tasks.json", ten_samples, CLASSES)[1].failures
    assert "nothing was submitted" in failure.message


def test_files_that_somebody_may_have_corrected_are_kept(ten_samples, guesses, tmp_path):
    for way, name in (("labelme", "000003.json"), ("template", "000003.png")):
        write(tmp_path / way / name, b"corrected")
        assert hand_out(way, guesses, ten_samples, tmp_path / way) == 1
        assert (tmp_path / way / name).read_bytes() == b"corrected"


@pytest.mark.parametrize("classes", [CLASSES, GREYS, ClassMap.of_names(["background", *map(str, range(120))])])
@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA"])
def test_a_filled_template_is_read_as_predicted_and_as_painted_over(ten_samples, truth, tmp_path, classes, mode):
    labels = np.minimum(truth[3], 3)
    with Image.open(ten_samples.image_path(3)) as image:
        template = make_prefilled(np.asarray(image.convert("RGB")), labels, classes)
    values = np.array(template)
    values[10:20, 10:20], labels[10:20, 10:20] = 2, 2
    values[30:32], labels[30:32] = 255, 255
    painted = Image.fromarray(values)
    painted.putpalette(template.getpalette())
    painted.convert(mode).save(tmp_path / "000003.png")
    _, found = load(tmp_path, ten_samples, classes)
    assert np.array_equal(found.all().labels[0], labels) and found.warnings == ()


def test_a_filled_template_still_shows_the_sample(ten_samples, truth):
    with Image.open(ten_samples.image_path(3)) as image:
        pixels = np.asarray(image.convert("RGB"))
    shown = np.asarray(make_prefilled(pixels, truth[3], CLASSES).convert("L"), float)
    for index in np.unique(truth[3]):
        inside = truth[3] == index
        light = np.asarray(Image.fromarray(pixels).convert("L"), float)[inside]
        assert light.std() < 3 or np.corrcoef(light, shown[inside])[0, 1] > 0.95


def test_shades_are_told_from_each_other_and_from_greys():
    for classes in (CLASSES, GREYS):
        colors = np.array(classes.colors)
        for index in range(len(classes)):
            shades = shades_of(index, classes.colors)
            assert (class_of_shades(shades, colors) == index).all()
            assert len(shades) >= 16 or classes is GREYS
    greys = np.arange(256)[:, None].repeat(3, axis=1)
    assert (class_of_shades(greys, np.array(GREYS.colors)) == -1).all()


def test_a_palette_without_room_for_the_shades_is_an_error(ten_samples):
    classes = ClassMap.of_names(["background", *map(str, range(250))])
    with pytest.raises(GsegError, match="too many for one palette"):
        make_prefilled(np.zeros((8, 8, 3), np.uint8), np.arange(64, dtype=np.uint8).reshape(8, 8), classes)


@pytest.fixture(scope="module")
def taught(tiny_gan, tmp_path_factory):
    """A project with a teacher of two samples, and five samples; its folder."""
    project = Project.create(tmp_path_factory.mktemp("p") / "p", classes=tiny.CLASSES, gan=str(tiny_gan))
    generator = load_generator(tiny_gan)
    samples = write_samples(generator, tiny_gan, range(5), 1.0, project.samples_dir)
    labels = tiny.brightness_labels(generator, [0, 1])
    made = (samples.gan_sha256, 1.0)
    AnnotationSet(labels, samples.ws_of([0, 1]), (0, 1), tiny.CLASSES, *made).save(project.annotations_dir, source="")
    config = FewshotConfig(model="mlp", steps=300)
    run_fewshot_train(tiny_gan, project.annotations_dir, config, project.runs_dir, torch.device("cpu"))
    return project


@pytest.mark.parametrize("way", ["labelme", "cvat", "label-studio", "template"])
def test_predict_writes_the_samples_without_labels(taught, way, capsys):
    assert main(["predict", "--for", way, "--scale", "3", "-C", str(taught.dir), "--json"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)["data"]
    corrected = "EXPORT" if way in ("cvat", "label-studio") else data["out"]
    assert err.splitlines()[-1] == f"next: gseg -C {taught.dir} annotate-import {corrected} --add"
    assert data["seeds"] == [2, 3, 4] and sorted(data["doubtful_first"]) == [2, 3, 4]
    assert sorted((taught.predictions_dir / way).iterdir()) and data["out"] == str(taught.predictions_dir / way)


def test_what_predict_writes_is_what_the_teacher_says(taught, capsys):
    out = taught.dir / "plain"
    assert main(["predict", "--for", "labelme", "--seeds", "2,4", "-C", str(taught.dir), "-o", str(out)]) == 0
    assert main(["annotate-import", str(out), "-o", str(taught.dir / "back"), "-C", str(taught.dir)]) == 0
    back = AnnotationSet.load(taught.dir / "back")
    generator: Generator = load_generator(taught.gan_path)
    teacher, _, _ = load_teacher(taught.latest_checkpoint("fewshot"))
    wanted = predict(generator, teacher, ws_for_seeds(generator, [2, 4], 1.0)).labels.numpy()
    assert back.seeds == (2, 4) and np.array_equal(back.labels, wanted)


def test_predict_without_a_teacher_or_without_such_samples_says_what_to_do(taught, tiny_gan, tmp_path, capsys):
    assert main(["predict", "--for", "cvat", "--seeds", "77", "-C", str(taught.dir)]) == 2
    assert "gseg sample --seeds 77 makes it" in capsys.readouterr().err
    project = Project.create(tmp_path / "p", classes=CLASSES, gan=str(tiny_gan))
    assert main(["predict", "--for", "cvat", "-C", str(project.dir)]) == 1
    assert "gseg sample" in capsys.readouterr().err
    assert main(["sample", "--seeds", "0", "-C", str(project.dir)]) == 0
    capsys.readouterr()
    assert main(["predict", "--for", "cvat", "-C", str(project.dir)]) == 1
    assert "run gseg fewshot-train first" in capsys.readouterr().err


def test_predictions_are_not_laid_over_enlarged_pictures_of_other_samples(taught, tmp_path, capsys):
    project = Project.open(shutil.copytree(taught.dir, tmp_path / "p"))
    shutil.rmtree(project.enlarged_dir, ignore_errors=True)
    predict_them = ["predict", "--for", "cvat", "--scale", "3", "-C", str(project.dir)]
    assert main(predict_them) == 0 and main(predict_them) == 0
    shutil.copyfile(project.enlarged_dir / "000002.png", project.enlarged_dir / "000003.png")
    shutil.rmtree(project.predictions_dir)
    capsys.readouterr()
    assert main(predict_them) == 1 and not project.predictions_dir.exists()
    assert "000003.png: does not show" in capsys.readouterr().err


def test_a_teacher_older_than_the_annotations_is_told(taught, tmp_path, capsys):
    project = Project.open(shutil.copytree(taught.dir, tmp_path / "p"))
    predict_them = ["predict", "--for", "labelme", "-C", str(project.dir)]
    assert main(predict_them) == 0 and "warning" not in capsys.readouterr().err
    there = AnnotationSet.load(project.annotations_dir)
    corrected = there.labels.copy()
    corrected[1, :4] = (corrected[1, :4] + 1) % 3
    for changed in (replace(there, labels=corrected), there.rows([0])):
        changed.save(project.annotations_dir, source="", overwrite=True)
        assert main(predict_them) == 0
        assert "annotations as it is now; gseg fewshot-train makes" in capsys.readouterr().err
    assert main(["fewshot-train", "--steps", "3", "-C", str(project.dir)]) == 0
    capsys.readouterr()
    assert main(predict_them) == 0 and "warning" not in capsys.readouterr().err


def test_annotations_of_other_classes_than_the_project_s_are_told_to_whoever_teaches(taught, tmp_path, capsys):
    project = Project.open(shutil.copytree(taught.dir, tmp_path / "p"))
    toml = project.path("gseg.toml")
    toml.write_text(toml.read_text().replace('"dark"', '"night"'))
    assert main(["fewshot-train", "--steps", "3", "-C", str(project.dir), "--json"]) == 0
    shown = capsys.readouterr()
    assert "not those of gseg.toml (without night, with dark)" in shown.err
    assert len(json.loads(shown.out)["data"]["warnings"]) == 1


def test_a_teacher_of_a_class_that_the_project_lacks_is_refused(taught, tmp_path, capsys):
    project = Project.create(tmp_path / "p", classes=CLASSES, gan=taught.gan)
    write_samples(load_generator(taught.gan_path), taught.gan_path, [7], 1.0, project.samples_dir)
    teacher = taught.latest_checkpoint("fewshot")
    assert main(["predict", "--for", "cvat", "-C", str(project.dir), "--teacher", str(teacher)]) == 1
    assert "has the class dark, which gseg.toml lacks" in capsys.readouterr().err
    assert SampleSet.load(project.samples_dir).seeds == (7,) and not project.predictions_dir.exists()
