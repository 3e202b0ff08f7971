"""`gseg student-train`: from photos and masks to a student that exports, with no GAN in sight."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.checkpoint import load_checkpoint, read_meta
from gseg_cli.distill.config import configure_supervised
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.labelled_photos import parents_of
from gseg_cli.distill.student import load_student
from gseg_cli.distill.supervised import resume_student_train, run_student_train
from gseg_cli.distill.thin_parts import about_thin_parts
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import ConfigError, GsegError, UsageError
from gseg_runtime.files import read_json, write_json
from gseg_runtime.label_map import read_label_png, write_label_png
from gseg_runtime.onnx_file import read_card

CPU = torch.device("cpu")
CLASSES = ClassMap.of_names(["background", "light"])
SMALL = ["--student", "tiny", "--input-size", "16", "--batch", "4", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path, halves):
    """Photos of two colours, and which pixels have which."""
    for part in ("images", "masks"):
        (tmp_path / "labelled" / part).mkdir(parents=True)
    for i in range(len(halves)):
        Image.fromarray(halves.images[i].numpy()).save(tmp_path / "labelled" / "images" / f"{i}.png")
        write_label_png(tmp_path / "labelled" / "masks" / f"{i}.png", halves.first[i].numpy(), CLASSES)
    return tmp_path / "labelled"


def config_of(folder, **changes):
    small = {"student": "tiny", "input_size": 16, "batch": 4, "steps": 3}
    return configure_supervised({**small, "labelled": str(folder), **changes})


def test_labelled_photos_become_a_model_that_segments_them(folder, tmp_path, capsys):
    runs, model = tmp_path / "runs", tmp_path / "model.onnx"
    told = ["--classes", "background,light", "--steps", "80", "--runs", str(runs)]
    assert main(["student-train", str(folder), *SMALL, *told, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["photos"] == 4 and (runs / "0001-student" / "photos.png").is_file()
    assert main(["export", data["checkpoint"], "-o", str(model), "--verify", str(folder)]) == 0
    assert capsys.readouterr().err.endswith(f"next: gseg segment PHOTOS -o masks --model {model}\n")
    assert main(["segment", str(folder / "images"), "-o", str(tmp_path / "out"), "--model", str(model)]) == 0
    for i in range(4):
        mask, truth = (read_label_png(where / f"{i}.png") for where in (tmp_path / "out", folder / "masks"))
        assert (mask == truth).mean() > 0.9


def test_a_project_exports_its_newest_student_however_it_was_taught(folder, tmp_path):
    project = tmp_path / "project"
    assert main(["init", str(project), "--classes", "background,light"]) == 0
    assert main(["-C", str(project), "student-train", str(folder), *SMALL, "--steps", "2"]) == 0
    assert main(["-C", str(project), "export"]) == 0
    assert (project / "exports" / "model.onnx").is_file()


def test_one_that_knows_imagenet_segments_larger_pictures_than_it_learned_from(folder, tmp_path):
    config, model = config_of(folder, student="lite0", input_size=128, batch=2, steps=1), tmp_path / "model.onnx"
    done = run_student_train(CLASSES, config, tmp_path / "runs", CPU)
    export_student(done.checkpoint, model)
    assert read_card(model).input_size == load_student(done.checkpoint)[0].config.input_size == 160


def test_a_student_of_tiles_learns_and_segments_them(tmp_path, capsys):
    """Dots of two pixels, which nothing shows of a whole photo of ten times the network's input."""
    rng, dots = np.random.default_rng(0), tmp_path / "dots"
    for part in ("images", "masks"):
        (dots / part).mkdir(parents=True)
    for i in range(4):
        labels = rng.integers(0, 2, (60, 80), np.uint8).repeat(2, axis=0).repeat(2, axis=1)
        Image.fromarray((labels * 200 + 20)[..., None].repeat(3, axis=2)).save(dots / "images" / f"{i}.png")
        write_label_png(dots / "masks" / f"{i}.png", labels, CLASSES)
    told = ["--classes", "background,light", "--steps", "60", "--runs", str(tmp_path / "runs"), "--held-out", "1"]
    assert main(["student-train", str(dots), *SMALL, *told, "--tile", "16", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["photos"] == 3 and data["held_out"]["photos"] == 1 and data["held_out"]["miou"] > 0.9
    model, again = tmp_path / "model.onnx", ["--overwrite", "-o", str(tmp_path / "model.onnx")]
    assert main(["export", data["checkpoint"], *again, "--verify", str(dots / "images")]) == 0
    assert read_card(model).tile == 16
    assert main(["segment", str(dots / "images"), "-o", str(tmp_path / "out"), "--model", str(model)]) == 0
    for i in range(4):
        mask, truth = (read_label_png(where / f"{i}.png") for where in (tmp_path / "out", dots / "masks"))
        assert (mask == truth).mean() > 0.9
    for wrong, message in (
        (["--no-logits"], "joined from logits of tiles"),
        (["--web", str(tmp_path / "web")], "--web"),
    ):
        assert main(["export", data["checkpoint"], *again, *wrong]) == 2
        assert message in capsys.readouterr().err
    assert main(["student-train", str(dots), "--runs", str(tmp_path / "runs"), "--resume", "--tile", "20"]) == 1
    assert "tile was 16 when this run started, now 20" in capsys.readouterr().err
    assert main(["student-train", str(dots), *SMALL, *told, "--tile", "12"]) == 2
    error = capsys.readouterr().err
    assert "at least the 16 pixels" in error and "--input-size" in error


def test_parts_too_thin_for_the_student_are_warned_of(tmp_path, capsys):
    stripes, lines = tmp_path / "stripes", ["--classes", "background,light", "--runs", str(tmp_path / "runs")]
    labels = np.zeros((64, 64), np.uint8)
    for part in ("images", "masks"):
        (stripes / part).mkdir(parents=True)
    for width, is_thin in ((2, True), (16, False)):
        labels[:] = np.arange(64) // width % 2
        Image.fromarray(labels * 200).save(stripes / "images" / "0.png")
        write_label_png(stripes / "masks" / "0.png", labels, CLASSES)
        for tile in ([], ["--tile", "16"]):
            assert main(["student-train", str(stripes), *SMALL, *lines, "--steps", "1", *tile]) == 0
            assert ("parts are thin; --tile" in capsys.readouterr().err) == (is_thin and not tile)


def test_of_masks_without_a_label_nothing_is_said_to_be_thin(folder):
    for path in (folder / "masks").iterdir():
        write_label_png(path, np.full((16, 16), IGNORE, np.uint8), CLASSES)
    assert about_thin_parts(folder, 8) == []


def test_the_first_name_is_that_of_value_0_whatever_it_is(folder, tmp_path, capsys):
    told = ["--classes", "soil,plant", "--steps", "80", "--runs", str(tmp_path / "runs"), "--json"]
    assert main(["student-train", str(folder), *SMALL, *told]) == 0
    out, err = capsys.readouterr()
    assert "values of the masks: 0 soil, 1 plant\n" in err
    assert load_student(Path(json.loads(out)["data"]["checkpoint"]))[1].names == ("soil", "plant")
    again = ["--resume", "--runs", str(tmp_path / "runs"), "--classes", "soil,plant"]
    assert main(["student-train", str(folder), *again]) == 0


@pytest.mark.parametrize("names", ["soil,,plant", "soil\n\nplant\n\n"])
def test_a_name_left_out_is_an_error_and_shifts_no_others(folder, tmp_path, capsys, names):
    (file := tmp_path / "names.txt").write_text(names)
    told = ["--classes", names if "," in names else str(file), "--runs", str(tmp_path / "runs")]
    assert main(["student-train", str(folder), *SMALL, *told]) == 1
    assert "expected a name for each value, got none for value 1\n" in capsys.readouterr().err
    file.write_text("soil\nplant\n\n")
    assert main(["student-train", str(folder), *SMALL, "--steps", "1", "--classes", str(file), *told[2:]]) == 0


def test_nothing_is_said_of_values_that_the_folder_names_itself(folder, tmp_path, capsys):
    (folder / "dataset.json").write_text(json.dumps({"classes": CLASSES.to_json()}))
    told = ["--classes", "light,background", "--steps", "1", "--runs", str(tmp_path / "runs"), "--json"]
    assert main(["student-train", str(folder), *SMALL, *told]) == 0
    out, err = capsys.readouterr()
    assert "values of the masks" not in err
    assert load_student(Path(json.loads(out)["data"]["checkpoint"]))[1].names == ("light", "background")


def test_one_that_knows_imagenet_learns_longer_from_more_photos_unless_told_how_long():
    def steps(num_photos, **given):
        return configure_supervised({"student": "lite0", **given}, num_photos=num_photos).train.steps

    assert [steps(count) for count in (1, 10, 20, 40, 4000)] == [250, 250, 500, 1000, 1000]
    assert steps(40, steps=7) == 7 and steps(40, student="tiny") == configure_supervised({}).train.steps
    assert configure_supervised({"student": "lite0", "minutes": 2.0}, num_photos=40).train.minutes == 2


def test_one_that_knows_imagenet_learns_from_larger_pictures_unless_told_how_large():
    def side(**given):
        return configure_supervised(given).train.input_size

    assert (side(student="lite0"), side(student="tiny"), side()) == (192, 128, 128)
    assert side(student="lite0", input_size=64) == 64
    assert [side(student="lite0", tile=tile) for tile in (256, 192, 128)] == [192, 192, 128]  # no more than a tile has


def test_its_file_says_what_it_learned_from(folder, tmp_path):
    done = run_student_train(CLASSES, config_of(folder), tmp_path / "runs", CPU)
    meta = read_meta(done.checkpoint)
    assert [parent["kind"] for parent in meta["parents"]] == ["labelled-photos"] and meta["num_photos"] == 4
    assert load_student(done.checkpoint)[1].names == CLASSES.names


def test_a_resumed_run_comes_to_the_same_student_and_refuses_other_options_and_photos(folder, tmp_path):
    done = run_student_train(CLASSES, config_of(folder), tmp_path / "runs", CPU)
    before = load_checkpoint(done.checkpoint, "unet")[0]
    done.checkpoint.unlink()
    again = resume_student_train({"labelled": str(folder)}, tmp_path / "runs", CPU)
    after = load_checkpoint(again.checkpoint, "unet")[0]
    assert again == done and all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(ConfigError, match="steps was 3 when this run started, now 4"):
        resume_student_train({"labelled": str(folder), "steps": 4}, tmp_path / "runs", CPU)
    with pytest.raises(ConfigError, match="classes were background, light when this run started, now background, dark"):
        named = ClassMap.of_names(["background", "dark"])
        resume_student_train({"labelled": str(folder)}, tmp_path / "runs", CPU, named=named)
    about = read_json(done.run / "config.json")
    write_json(done.run / "config.json", {**about, "config": {**about["config"], "classes": "background"}})
    with pytest.raises(ConfigError, match=r"0001-student/config\.json: classes: expected a list") as caught:
        resume_student_train({}, tmp_path / "runs", CPU)
    assert "put it back" in caught.value.hint
    write_json(done.run / "config.json", about)
    moved = folder.rename(tmp_path / "moved")
    assert resume_student_train({"labelled": str(moved)}, tmp_path / "runs", CPU) == done
    folder = moved.rename(folder)
    write_label_png(folder / "masks" / "0.png", np.ones((16, 16), np.uint8), CLASSES)
    with pytest.raises(GsegError, match="not the photos and masks that the run was started with"):
        resume_student_train({"labelled": str(folder)}, tmp_path / "runs", CPU)


def test_photos_held_out_tell_how_good_a_student_is_on_others(folder, tmp_path, capsys):
    told = ["--classes", "background,light,never", "--steps", "80", "--runs", str(tmp_path / "runs"), "--held-out", "1"]
    assert main(["student-train", str(folder), *SMALL, *told]) == 0
    shown = capsys.readouterr()
    assert "trained on 3 labelled photos, measured on 1 other\n" in shown.out and "IoU" in shown.out
    run = tmp_path / "runs" / "0001-student"
    assert f"look at {run / 'held-out.png'}" in shown.err and (run / "held-out.png").is_file()
    done = resume_student_train({"labelled": str(folder)}, tmp_path / "runs", CPU)
    assert done.photos == 3 and done.held_out.photos == 1
    assert done.held_out.per_class_iou.keys() == {"background", "light"}  # of a class that is not there, nothing
    assert done.held_out.miou == pytest.approx(np.mean(list(done.held_out.per_class_iou.values())), abs=1e-4)
    assert done.held_out.miou > 0.8 and read_meta(done.checkpoint)["quality"] == {"held_out_miou": done.held_out.miou}


def test_what_is_held_out_is_not_learned_from(folder, tmp_path):
    """Photos of number 1 and 2, of four, may show anything."""
    students = []
    for name, wrong in (("right", 0), ("wrong", 1)):
        for number in (1, 3):
            labels = np.full((16, 16), wrong, np.uint8)
            write_label_png(folder / "masks" / f"{number}.png", labels, CLASSES)
        done = run_student_train(CLASSES, config_of(folder), tmp_path / name, CPU, held_out=2)
        students.append(load_checkpoint(done.checkpoint, "unet")[0])
    assert all(torch.equal(students[0][name], students[1][name]) for name in students[0])


@pytest.mark.parametrize("count", [4, 5])
def test_something_must_be_left_to_learn_from(folder, tmp_path, count):
    with pytest.raises(ConfigError, match=f"held_out: expected fewer than the 4 labelled photos, got {count}"):
        run_student_train(CLASSES, config_of(folder), tmp_path / "runs", CPU, held_out=count)
    assert not (tmp_path / "runs").exists()


def test_a_resumed_run_holds_out_the_same_photos(folder, tmp_path):
    done = run_student_train(CLASSES, config_of(folder), tmp_path / "runs", CPU, held_out=1)
    done.checkpoint.unlink()
    assert resume_student_train({"labelled": str(folder), "held_out": 1}, tmp_path / "runs", CPU) == done
    with pytest.raises(ConfigError, match="held_out was 1 when this run started, now 2"):
        resume_student_train({"labelled": str(folder), "held_out": 2}, tmp_path / "runs", CPU)


@pytest.mark.parametrize(("number", "value"), [(1, 255), (0, 255), (0, 0)])
def test_where_nothing_can_be_learned_or_measured_nothing_is_begun(folder, tmp_path, number, value):
    """Of two photos that of number 1 is held out; NaN, as the mean of nothing, is no JSON."""
    for other in (2, 3):
        (folder / "masks" / f"{other}.png").unlink()
    write_label_png(folder / "masks" / f"{number}.png", np.full((16, 16), value, np.uint8), CLASSES)
    with pytest.raises(GsegError, match=r"nothing is labelled on what is held out|left to learn from show nothing but"):
        run_student_train(CLASSES, config_of(folder), tmp_path / "runs", CPU, held_out=1)
    assert not (tmp_path / "runs").exists()


def test_photos_held_out_are_measured_as_they_were_when_training_began(folder, tmp_path):
    def paint(step):
        (folder / "images").rename(folder / f"elsewhere-{step.done}")

    done = run_student_train(CLASSES, config_of(folder, steps=1), tmp_path / "runs", CPU, held_out=1, on_step=paint)
    assert done.held_out.photos == 1


def test_a_run_that_still_trains_is_not_resumed_beside_it(folder, tmp_path):
    def resume(step):
        with pytest.raises(GsegError, match="0001-student: another process is training in this run"):
            resume_student_train({"labelled": str(folder)}, tmp_path / "runs", CPU)

    assert run_student_train(CLASSES, config_of(folder), tmp_path / "runs", CPU, on_step=resume).checkpoint.is_file()


def test_photos_that_are_painted_on_meanwhile_are_told_as_they_were(folder, tmp_path):
    def paint(step):
        write_label_png(folder / "masks" / "0.png", np.ones((16, 16), np.uint8), CLASSES)
        (folder / "images").rename(folder / "elsewhere")

    config = config_of(folder, steps=1)
    before = parents_of(str(folder))
    done = run_student_train(CLASSES, config, tmp_path / "runs", CPU, on_step=paint)
    assert read_meta(done.checkpoint)["parents"] == before


def test_the_folder_names_its_classes_before_the_project_does(folder, tmp_path, capsys):
    assert main(["student-train", str(folder), *SMALL]) == 1
    assert "nothing names the classes of its masks" in capsys.readouterr().err
    (folder / "dataset.json").write_text(json.dumps({"classes": CLASSES.to_json()}))
    assert main(["student-train", str(folder), *SMALL, "--steps", "1", "--runs", str(tmp_path / "runs")]) == 0
    assert load_student(tmp_path / "runs" / "0001-student" / "checkpoint.safetensors")[1].names == CLASSES.names
    assert "checkpoint.safetensors -o model.onnx" in capsys.readouterr().err  # there is no project to write into


def test_a_class_that_no_mask_shows_is_named(folder, tmp_path):
    said = []
    classes = ClassMap.of_names(["background", "light", "wheel"])
    run_student_train(classes, config_of(folder), tmp_path / "runs", CPU, say=said.append)
    assert "warning: class wheel is labelled on no photo; the student never predicts it" in said


def test_classes_that_no_mask_shows_are_one_warning(folder, tmp_path):
    said = []
    classes = ClassMap.of_names(["background", "light", "wheel", "door"])
    run_student_train(classes, config_of(folder), tmp_path / "runs", CPU, say=said.append)
    warning = "warning: classes wheel, door are labelled on no photo; the student never predicts them"
    assert [line for line in said if "labelled on no photo" in line] == [warning]


def test_a_class_that_only_one_of_several_photos_shows_is_named(folder, tmp_path):
    labels = read_label_png(folder / "masks" / "0.png")
    labels[:4, :4] = 2
    write_label_png(folder / "masks" / "0.png", labels, CLASSES)
    said = []
    classes = ClassMap.of_names(["background", "light", "wheel"])
    run_student_train(classes, config_of(folder), tmp_path / "runs", CPU, say=said.append)
    warning = "warning: class wheel is labelled on one photo only; label more that show it, to have it found"
    assert [line for line in said if line.startswith("warning")] == [warning]


def test_a_class_that_many_tiles_of_one_photo_show_is_named_too(folder, tmp_path):
    labels = read_label_png(folder / "masks" / "0.png")
    labels[2:-2, 2:-2] = 2
    write_label_png(folder / "masks" / "0.png", labels, CLASSES)
    said = []
    classes, config = ClassMap.of_names(["background", "light", "wheel"]), config_of(folder, input_size=8, tile=8)
    run_student_train(classes, config, tmp_path / "runs", CPU, say=said.append)
    assert any(line.startswith("warning: class wheel is labelled on one photo only") for line in said)


@pytest.mark.parametrize(("mirror", "warned"), [(True, []), (False, ["warning: classes left half, right half"])])
def test_a_left_half_shows_what_a_right_half_is_where_pictures_are_mirrored(folder, tmp_path, mirror, warned):
    classes, said = ClassMap.of_names(["background", "left half", "right half"]), []
    for i, path in enumerate(sorted((folder / "masks").iterdir())):
        labels = np.zeros((16, 16), np.uint8)
        labels[:8] = (1, 2, 0)[min(i, 2)]  # each on one photo
        write_label_png(path, labels, classes)
    run_student_train(classes, config_of(folder, mirror=mirror), tmp_path / "runs", CPU, say=said.append)
    assert [line.split(" are ")[0] for line in said if "labelled on" in line] == warned


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (lambda f: [write_label_png(p, np.zeros((16, 16), np.uint8), CLASSES) for p in (f / "masks").iterdir()],
         "nothing but background"),
        (lambda f: (f / "masks" / "0.png").write_bytes(b"no mask"), r"0\.png"),
        (lambda f: (f / "masks").rename(f / "labels"), "masks: no such folder"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_before_anything_is_made(folder, tmp_path, harm, match):
    harm(folder)
    with pytest.raises(GsegError, match=match):
        run_student_train(CLASSES, config_of(folder), tmp_path / "runs", CPU)
    assert not (tmp_path / "runs").exists()


def test_steps_and_minutes_together_are_wrong_usage(folder):
    with pytest.raises(UsageError, match="--steps and --minutes"):
        config_of(folder, minutes=1.0)
