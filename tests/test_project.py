"""gseg.toml, the project's folders, run folders, seeds and devices."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gseg_cli.app import main
from gseg_cli.builtin import DEFAULT, DEFAULT_GAN, Builtin
from gseg_cli.checkpoint import save_checkpoint
from gseg_cli.device import autocast, pick_device
from gseg_cli.info import HINT, describe
from gseg_cli.project import Project, locate_gan
from gseg_cli.project_file import parse_classes
from gseg_cli.runs import open_run
from gseg_cli.seeding import z_for_seeds
from gseg_runtime.class_map import ClassMap, default_color, format_color
from gseg_runtime.errors import BackendUnavailable, ConfigError, GsegError, ProjectError, UsageError
from gseg_runtime.files import read_json

CLASSES = ClassMap(("background", 'a "quoted" name', "haut-été"), ((0, 0, 0), (255, 128, 0), (1, 2, 3)))


@pytest.fixture
def gan(tmp_path):
    path = tmp_path / "faces" / "gan.safetensors"
    save_checkpoint(path, {"G_ema.x": torch.zeros(3)}, {"kind": "stylegan2", "config": {"img_resolution": 16}})
    return path


@pytest.fixture
def project(gan):
    return Project.create(gan.parent, name='The "faces"', classes=CLASSES, gan=str(gan))


def edit(project, old, new):
    path = project.path("gseg.toml")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_round_trip(project, gan):
    assert Project.open(project.dir) == project
    assert (project.name, project.resolution, project.classes) == ('The "faces"', 16, CLASSES)
    assert project.gan == "gan.safetensors" and project.gan_path == gan
    for folder in (project.samples_dir, project.annotations_dir, project.runs_dir, project.exports_dir):
        assert folder.is_dir()


def test_a_gan_outside_the_project_is_kept_by_its_full_path(gan, tmp_path):
    project = Project.create(tmp_path / "other", classes=CLASSES, gan=str(gan))
    assert (project.name, project.gan_path) == ("other", gan.resolve())


def test_an_existing_project_is_kept_unless_overwritten(project):
    with pytest.raises(ProjectError) as caught:
        Project.create(project.dir, classes=CLASSES, gan=str(project.gan_path))
    assert "--overwrite" in caught.value.hint
    (project.samples_dir / "000000.png").touch()
    again = Project.create(project.dir, name="new", classes=CLASSES, gan=str(project.gan_path), overwrite=True)
    assert again.name == "new" and (project.samples_dir / "000000.png").exists()


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("resolution = 16", "resolutoin = 16", "[project]: unknown key 'resolutoin'", "did you mean resolution?"),
        ("resolution = 16", 'resolution = "16"', "[project] resolution: expected a whole number, got '16'", "file"),
        ("resolution = 16", "resolution = true", "[project] resolution: expected a whole number, got True", "file"),
        ("resolution = 16", "resolution = 0", "[project] resolution: expected 1 or more, got 0", "file"),
        ("resolution = 16", "", "[project] resolution: expected a whole number, got nothing", "file"),
        ("[gan]", "[gann]", "unknown key 'gann'", "did you mean gan?"),
        ("[[classes]]", "[[class]]", "unknown key 'class'", "did you mean classes?"),
        ("#ff8000", "orange", "[[classes]]: class 1: expected a colour like #e6bea0, got 'orange'", None),
        ('color = "#ff8000"', 'colour = "#ff8000"', "[[classes]] 1: unknown key 'colour'", "did you mean color?"),
        ("[project]", "[project", "not valid TOML", "correct"),
    ],
)
def test_a_mistake_in_gseg_toml_is_named(project, old, new, message, hint):
    edit(project, old, new)
    with pytest.raises(ProjectError) as caught:
        Project.open(project.dir)
    assert caught.value.message.startswith(str(project.path("gseg.toml"))) and message in caught.value.message
    assert hint is None or hint in caught.value.hint


def test_a_folder_without_a_project_points_to_init(tmp_path):
    with pytest.raises(ProjectError) as caught:
        Project.open(tmp_path)
    assert str(tmp_path) in caught.value.message and "gseg init" in caught.value.hint


def test_a_missing_gan_is_named_where_it_is_asked_for(project):
    edit(project, "gan.safetensors", "gone.safetensors")
    with pytest.raises(ProjectError, match=r"gseg\.toml: \[gan\] path: no such file"):
        _ = Project.open(project.dir).gan_path
    edit(project, "gone.safetensors", "builtin:nothing")
    with pytest.raises(ProjectError, match="gseg does not include a GAN called 'nothing'"):
        _ = Project.open(project.dir).gan_path


def test_a_folder_in_place_of_a_gan_names_the_checkpoint_in_it(tmp_path):
    def error():
        with pytest.raises(ProjectError, match="--init-from: expected a checkpoint, got a folder: ") as caught:
            locate_gan(str(tmp_path), Path(), source="--init-from")
        return caught.value

    assert error().hint == "name a file in it"
    (tmp_path / "checkpoint.safetensors").touch()
    assert error().hint == f"name the file in it: {tmp_path / 'checkpoint.safetensors'}"


def test_init_writes_the_shipped_gan_and_the_toy_face_classes(tmp_path, capsys):
    assert main(["-C", str(tmp_path), "init", "faces", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["name"], data["gan"]) == ("faces", DEFAULT_GAN)
    assert len(data["classes"]) == 10 and data["classes"][0] == "background"
    project = Project.open(tmp_path / "faces")
    assert project.gan_path == Builtin(DEFAULT).gan and project.gan_path.is_file()
    assert main(["init", str(tmp_path / "faces")]) == 1
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("eyes, mouth", ("background", "eyes", "mouth")),
        ("background,hair", ("background", "hair")),
        ("Background,hair", ("Background", "hair")),
        ("background", ("background",)),
        ("__ignore__,_background_,hair", ("background", "hair")),  # the first lines of a labels.txt of labelme
    ],
)
def test_init_takes_class_names(gan, tmp_path, text, names):
    assert main(["init", str(tmp_path / "p"), "--gan", str(gan), "--classes", text]) == 0
    assert Project.open(tmp_path / "p").classes.names == names


def test_init_takes_classes_from_files(project, gan, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("eyes\n\nmouth\n")
    init = ["init", str(tmp_path / "p"), "--gan", str(gan), "--overwrite", "--classes"]
    assert main([*init, str(tmp_path / "names.txt")]) == 0
    assert Project.open(tmp_path / "p").classes.names == ("background", "eyes", "mouth")
    assert main([*init, str(project.path("gseg.toml"))]) == 0
    assert Project.open(tmp_path / "p").classes == CLASSES
    assert main([*init, "nonsense"]) == 1
    assert "got 'nonsense'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["background,hair (long, dark)", 'background,"hair, long",skin'])
def test_a_class_with_a_comma_in_its_name_is_not_made_two(tmp_path, text):
    with pytest.raises(ConfigError, match="is half of a name") as caught:
        parse_classes(text)
    assert "text file, one per line" in caught.value.hint
    (tmp_path / "names.txt").write_text("background\nhair (long, dark)\n")
    assert parse_classes(str(tmp_path / "names.txt")).names == ("background", "hair (long, dark)")


def test_a_list_of_classes_in_one_line_is_not_made_one_class(tmp_path):
    (tmp_path / "names.txt").write_text("background, skin, hair\n")
    with pytest.raises(ConfigError, match=r"names\.txt: one line with commas, expected a name per line"):
        parse_classes(str(tmp_path / "names.txt"))


@pytest.mark.parametrize("data", ["caf\u00e9\nhair\n".encode("latin-1"), "hair\n".encode("utf-16")])
def test_init_names_a_list_of_classes_that_is_not_utf_8(gan, tmp_path, capsys, data):
    (tmp_path / "names.txt").write_bytes(data)
    words = ["init", str(tmp_path / "p"), "--gan", str(gan), "--classes", str(tmp_path / "names.txt")]
    assert main(words) == 1
    assert "names.txt: cannot be read: not UTF-8" in capsys.readouterr().err


def test_a_mark_of_utf_8_in_front_is_no_part_of_a_file(project, tmp_path):
    text = project.path("gseg.toml").read_text("utf-8")
    project.path("gseg.toml").write_text(text, "utf-8-sig")
    (tmp_path / "names.txt").write_text("background\nhair\n", "utf-8-sig")
    assert Project.open(project.dir) == project
    assert parse_classes(str(tmp_path / "names.txt")).names == ("background", "hair")
    more = ClassMap.of_names([*CLASSES.names, "hat"])
    project.write_toml(project.extended(more))
    assert Project.open(project.dir).classes.names == more.names


def test_a_class_without_a_colour_gets_one_that_no_other_has(project):
    """The class before it was number 3, and the one before that was taken out."""
    text = project.path("gseg.toml").read_text("utf-8").split("[[classes]]")[0]
    tables = ['name = "background"', 'name = "a"', f'name = "c"\ncolor = "{format_color(default_color(3))}"']
    project.path("gseg.toml").write_text(
        text + "".join(f"[[classes]]\n{table}\n" for table in (*tables, 'name = "d"', 'name = "e"'))
    )
    colors = Project.open(project.dir).classes.colors
    assert colors[:3] == (default_color(0), default_color(1), default_color(3))
    assert len(set(colors)) == 5


def test_no_class_is_called_ignore(project, gan, tmp_path, capsys):
    assert main(["init", str(tmp_path / "p"), "--gan", str(gan), "--classes", "background,Ignore"]) == 1
    assert "'Ignore' means pixels that do not count" in capsys.readouterr().err
    edit(project, "haut-été", "ignore")
    with pytest.raises(ProjectError, match="means pixels that do not count"):
        Project.open(project.dir)


def test_a_project_is_called_like_its_folder_whatever_is_in_that_name(gan, tmp_path):
    for name in ("del\x7fete", "new\nline", 'quo"te\\', "😀"):
        assert Project.create(tmp_path / name, classes=CLASSES, gan=str(gan)).name == name


def test_a_name_that_is_not_utf_8_is_refused_before_anything_is_written(gan, tmp_path, capsys):
    folder = tmp_path / "a\udcff"
    assert main(["init", str(folder), "--gan", str(gan)]) == 1
    assert "not UTF-8" in capsys.readouterr().err and not folder.exists()
    assert main(["init", str(folder), "--gan", str(gan), "--name", "a"]) == 0


def test_init_refuses_a_checkpoint_that_is_no_gan(tmp_path, capsys):
    save_checkpoint(tmp_path / "student.safetensors", {}, {"kind": "student"})
    assert main(["init", str(tmp_path / "p"), "--gan", str(tmp_path / "student.safetensors")]) == 1
    assert "expected a GAN checkpoint, got a student checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_init_refuses_a_resolution_that_is_not_the_gans(gan, tmp_path, capsys):
    call = ["init", str(tmp_path / "p"), "--gan", str(gan), "--resolution"]
    assert main([*call, "999"]) == 2 and "999 was asked for, and the images of" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()
    assert main([*call, "16"]) == 0


def test_runs_are_numbered_across_kinds(project):
    first = open_run(project.runs_dir, "gan", {"kimg": 1})
    second = open_run(project.runs_dir, "distill", {"steps": 2})
    third = open_run(project.runs_dir, "distill", {"steps": 3})
    assert [run.dir.name for run in (first, second, third)] == ["0001-gan", "0002-distill", "0003-distill"]
    with pytest.raises(ProjectError) as caught:
        project.latest_checkpoint("distill")
    assert "gseg distill" in caught.value.hint
    save_checkpoint(second.checkpoint, {}, {"kind": "student"})
    assert project.latest_checkpoint("distill") == second.checkpoint  # the third was interrupted
    save_checkpoint(third.checkpoint, {}, {"kind": "student"})
    assert project.latest_checkpoint("distill") == third.checkpoint


def test_runs_that_are_opened_at_once_have_numbers_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("gseg_cli.runs.list_runs", lambda folder: [])  # both looked before the other made its folder
    assert [open_run(tmp_path, "gan", {}).dir.name for _ in range(2)] == ["0001-gan", "0002-gan"]


@pytest.mark.parametrize("name", ["gseg.toml", "gseg.toml/runs"])
def test_a_folder_of_runs_that_cannot_be_made_is_no_bug(project, name):
    with pytest.raises(GsegError, match=f"{name}: no folder of runs can be made here") as caught:
        open_run(project.path(name), "distill", {})
    assert "--runs" in caught.value.hint


@pytest.mark.parametrize(("device", "gpu"), [(None, None), ("cpu", None), ("cuda:1", "the second of cuda")])
def test_a_run_names_the_gpu_that_it_trains_on(project, monkeypatch, device, gpu):
    monkeypatch.setattr(torch.cuda, "get_device_name", {torch.device("cuda:1"): "the second of cuda"}.get)
    run = open_run(project.runs_dir, "gan", {}, device=device and torch.device(device))
    assert read_json(run.dir / "env.json")["gpu"] == gpu


def test_a_run_describes_itself(project):
    run = open_run(project.runs_dir, "distill", {"steps": 2}, [{"kind": "stylegan2", "path": "x", "sha256": "0"}])
    run.log("started")
    run.metric(1, loss=0.5)
    run.metric(2, loss=float("nan"))
    assert run.preview("fakes-1", np.zeros((4, 6, 3), np.uint8)).read_bytes().startswith(b"\x89PNG")
    facts = describe(run.dir)
    assert (facts["kind"], facts["of"], facts["config"]) == ("run", "distill", {"steps": 2})
    assert facts["parents"][0]["kind"] == "stylegan2" and facts["checkpoint"] is None
    assert facts["last_metrics"]["step"] == 2 and facts["last_metrics"]["loss"] is None
    assert {"gseg", "python", "packages", "argv", "started"} <= json.loads((run.dir / "env.json").read_text()).keys()


def test_info_tells_of_the_project_and_its_folders(project, capsys):
    (project.samples_dir / "000000.png").touch()
    (project.samples_dir / "samples.json").write_text('{"format": 1, "kind": "samples", "seeds": [0]}')
    open_run(project.runs_dir, "gan", {})
    assert main(["info", "--json", "-C", str(project.dir)]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["kind"], data["num_samples"], data["runs"]) == ("project", 1, ["0001-gan"])
    assert main(["info", str(project.samples_dir)]) == 0
    assert "samples" in capsys.readouterr().out
    assert describe(project.annotations_dir)["files"] == []
    (project.dir / "photos").mkdir()
    with pytest.raises(GsegError, match="not a folder that gseg wrote"):
        describe(project.dir / "photos")


def test_info_names_the_models_in_exports(project, monkeypatch, capsys):
    for name in ("model.onnx", "model-fp16.engine", "tensorrt.timing-cache"):
        (project.exports_dir / name).touch()
    facts = describe(project.exports_dir)
    assert (facts["kind"], facts["models"]) == ("exports", ["model-fp16.engine", "model.onnx"])
    monkeypatch.chdir(project.exports_dir)
    assert main(["info", "."]) == 0
    assert "model-fp16.engine, model.onnx" in capsys.readouterr().out


def test_info_names_the_trainings_in_runs(project, capsys):
    """Of a project it does, and `gseg init` made the folder."""
    assert describe(project.runs_dir) == {"kind": "runs", "path": project.runs_dir, "runs": []}
    (project.runs_dir / "0001-gan").mkdir()
    assert main(["info", str(project.runs_dir)]) == 0
    assert "0001-gan" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["label", "labels", "predictions", "templates", "enlarged"])
def test_info_lists_what_lies_in_a_folder_of_the_project(project, name):
    folder = project.path(name)
    folder.mkdir()
    for file in ("000001.png", "000000.png", ".gseg-tmp-1"):
        (folder / file).touch()
    assert describe(folder) == {"kind": name, "path": folder, "files": ["000000.png", "000001.png"]}
    (folder / "labelme").mkdir()
    assert describe(folder / "labelme")["files"] == []


def test_info_knows_folders_of_runs_anywhere_and_folders_in_a_run(project, tmp_path):
    run = open_run(tmp_path / "elsewhere", "distill", {})
    assert describe(tmp_path / "elsewhere")["runs"] == ["0001-distill"]
    for name in ("pairs", "previews"):
        (run.dir / name).mkdir()
    (run.dir / "pairs" / "pairs.json").write_text('{"format": 1, "kind": "pairs", "count": 2}')
    assert describe(run.dir / "pairs")["count"] == 2
    assert describe(run.dir / "previews")["files"] == []


def test_info_takes_the_log_of_a_run_for_the_run(project):
    run = open_run(project.runs_dir, "gan", {})
    for name in ("config.json", "env.json", "log.txt", "metrics.jsonl"):
        (run.dir / name).touch()
        assert describe(run.dir / name)["path"] == run.dir


def test_info_of_a_file_that_says_nothing_names_what_it_reads(project):
    (project.dir / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (project.dir / "env.json").write_text('{"python": "3.11", "started": "yesterday"}')
    for name, what in (("photo.png", "an image"), ("env.json", "a text file")):
        with pytest.raises(GsegError, match=f"{name}: {what}, not a GAN") as caught:
            describe(project.dir / name)
        assert caught.value.hint == HINT
    (project.dir / "x.engine").touch()
    with pytest.raises(GsegError, match=r"x\.engine: lacks x\.engine\.json") as caught:
        describe(project.dir / "x.engine")
    assert "copy x.engine.json" in caught.value.hint


def test_info_takes_no_list_of_nvidias_for_a_folder_of_gseg(tmp_path):
    (tmp_path / "dataset.json").write_text('{"labels": [["0.png", 1]]}')
    with pytest.raises(GsegError, match="not a folder that gseg wrote"):
        describe(tmp_path)


def test_one_seed_is_one_latent_whatever_the_batch():
    z = z_for_seeds([3, 0, 3], 8)
    assert z.dtype == torch.float32 and z.shape == (3, 8)
    assert torch.equal(z[0], z[2]) and torch.equal(z[1:2], z_for_seeds([0], 8))
    assert np.array_equal(z[0].numpy(), np.random.RandomState(3).randn(8).astype(np.float32))
    assert z_for_seeds([], 8).shape == (0, 8)


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda")
    for name in ("gpu", "cuda:x", "cpu:0", "cuda:"):
        with pytest.raises(UsageError, match="auto, cpu, cuda or cuda:N"):
            pick_device(name)
    with pytest.raises(BackendUnavailable, match="CUDA"):
        pick_device("cuda:99")
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype in (torch.float32, torch.bfloat16)
