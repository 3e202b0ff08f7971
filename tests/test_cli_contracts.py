"""What scripts rely on: exit codes, the two lines of an error, and the JSON object."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.table import Table

from gseg_cli.app import main
from gseg_cli.checkpoint import save_checkpoint
from gseg_cli.options import take_globals
from gseg_cli.output import Output, new_output, to_plain
from gseg_cli.progress import progress
from gseg_cli.steps import Step
from gseg_runtime.pip_hint import install

ENVELOPE_KEYS = ["command", "status", "data", "errors"]
COMMANDS = [
    "init",
    "toy-faces",
    "gan-train",
    "convert",
    "sample",
    "annotate-import",
    "label",
    "fewshot-train",
    "predict",
    "fewshot-segment",
    "distill",
    "student-train",
    "export",
    "segment",
    "merge",
    "serve",
    "bench",
    "dataset",
    "evaluate",
    "reproduce",
    "info",
    "doctor",
    "demo",
]


@pytest.fixture
def describe_raises(monkeypatch):
    """Let the library function behind `gseg info` raise what the test wants."""

    def set_error(error):
        def describe(path):
            raise error

        monkeypatch.setattr("gseg_cli.info.describe", describe)

    return set_error


def plain_text(text):
    """Without colours, which some CI machines force."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_an_error_is_two_lines_on_stderr_and_code_1(capsys):
    assert main(["info", "missing.onnx"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    error, hint = captured.err.splitlines()
    assert error == "error: missing.onnx: no such file or folder"
    assert hint.startswith("hint: ")


def test_a_name_with_a_line_end_or_a_control_character_does_not_break_the_error_line(capsys):
    assert main(["info", "two\nlines\x1b[2J \udcff.jpg"]) == 1
    assert capsys.readouterr().err.splitlines()[0].startswith(r"error: two\nlines\x1b[2J \udcff.jpg: ")


def test_so_it_is_with_warnings_and_hints(capsys):
    output = Output()
    output.warn("a\nerror: no.jpg: unlike others")
    output.show_error("no", "use \x1b[2J.png")
    shown = capsys.readouterr().err.splitlines()
    assert shown == [r"warning: a\nerror: no.jpg: unlike others", "error: no", r"hint: use \x1b[2J.png"]


def test_so_it_is_with_what_a_checkpoint_says_of_itself_and_with_talk(tmp_path, capsys):
    path = tmp_path / "gan.safetensors"
    said = {"kind": "else", "trained": {"on": "a\x1b[2Jb\nkind  stylegan2"}}
    save_checkpoint(path, {"w": torch.zeros(1)}, said)
    assert main(["info", str(path)]) == 0
    assert r"on a\x1b[2Jb\nkind  stylegan2" in capsys.readouterr().out
    Output().say("classes: 0 \x1b]0;title\x07 (10)\nsecond line")
    assert capsys.readouterr().err.splitlines() == [r"classes: 0 \x1b]0;title\x07 (10)", "second line"]


def test_a_name_that_the_terminal_cannot_show_is_no_bug(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    command = [sys.executable, "-m", "gseg_cli", "init", str(tmp_path / "顔")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, r"\u9854" in done.stdout) == (0, True), done.stderr


def test_the_installed_program_behaves_like_main(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "gseg_cli", "info", "missing", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "error"
    assert done.stderr.startswith("error: missing: ")


@pytest.mark.parametrize(
    "args", [["--json", "info", "missing"], ["info", "--json", "missing"], ["info", "missing", "--json"]]
)
def test_json_is_accepted_anywhere(args, capsys):
    assert main(args) == 1
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == ENVELOPE_KEYS
    assert (answer["command"], answer["status"], answer["data"]) == ("info", "error", {})
    assert [list(error) for error in answer["errors"]] == [["message", "hint"]]


@pytest.mark.parametrize(
    "args", [["info", "--nonsense"], ["nonsense"], ["segment"], ["info", "-C"], ["init", "--resolution", "many"]]
)
def test_a_usage_error_is_code_2_also_as_json(args, capsys):
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and "\nhint: " in captured.err
    assert main(["--json", *args]) == 2
    assert json.loads(capsys.readouterr().out)["status"] == "error"


@pytest.mark.parametrize(
    ("call", "option"),
    [
        (["gan-train", "photos", "--minutes"], "--minutes"),
        (["gan-train", "photos", "--r1-gamma"], "--r1-gamma"),
        (["distill", "--truncation-psi"], "--truncation-psi"),
        (["student-train", "labelled", "--colour"], "--colour"),
    ],
)
def test_what_is_no_number_is_wrong_usage_of_every_option(call, option, capsys):
    assert main([*call, "nan"]) == 2
    assert capsys.readouterr().err == f"error: {option}: expected a finite number, got nan\n"


def test_the_choices_of_a_missing_option_stand_on_its_line(capsys):
    assert main(["predict"]) == 2
    assert "'--for'. Choose from: labelme, cvat" in capsys.readouterr().err


def test_json_without_a_command_is_still_one_object(capsys):
    assert main(["--json"]) == 2
    assert list(json.loads(capsys.readouterr().out)) == ENVELOPE_KEYS


def test_after_two_dashes_nothing_is_an_option(capsys):
    assert main(["info", "--", "--json"]) == 1
    assert capsys.readouterr().err.startswith("error: --json: no such file")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate")]
)
def test_too_little_memory_is_no_bug(describe_raises, capsys, error):
    describe_raises(error)
    assert main(["info", "x"]) == 1
    assert capsys.readouterr().err == "error: not enough memory\nhint: end other programs, or give this one more\n"


def test_a_limit_of_threads_is_no_bug(describe_raises, capsys):
    describe_raises(RuntimeError("can't start new thread"))
    assert main(["info", "x"]) == 1
    assert "no more threads can be started" in capsys.readouterr().err.splitlines()[0]


def test_a_bug_is_one_line_and_code_70_and_debug_shows_where(describe_raises, capsys, monkeypatch):
    describe_raises(ZeroDivisionError("by nothing"))
    assert main(["info", "x"]) == 70
    text = capsys.readouterr().err
    assert text.startswith("error: internal error: ZeroDivisionError: by nothing\nhint: ") and "Traceback" not in text
    assert main(["info", "x", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("GSEG_DEBUG", "1")
    assert main(["info", "x"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_full_gpu_is_no_bug(describe_raises, capsys):
    describe_raises(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of"))
    assert main(["info", "x"]) == 1
    assert capsys.readouterr().err.startswith("error: CUDA out of memory\nhint: --device cpu")  # info has no --batch


def test_ctrl_c_is_code_130(describe_raises, capsys):
    describe_raises(KeyboardInterrupt())
    assert main(["info", "x", "--json"]) == 130
    captured = capsys.readouterr()
    assert captured.err == "error: interrupted\n"
    assert json.loads(captured.out)["status"] == "error"


def test_ctrl_c_is_code_130_also_where_it_broke_what_it_came_into(describe_raises, capsys):
    """As PyTorch's exporter, whose own handling of errors looks for a module that was just being imported."""
    broken = AttributeError("module 'torch._dynamo' has no attribute 'exc'")
    broken.__context__ = KeyboardInterrupt()
    told = RuntimeError("failed to export the model")
    told.__cause__ = broken
    describe_raises(told)
    assert main(["info", "x"]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_partly_done_is_code_3_and_says_so_on_both_streams(capsys):
    take_globals([])
    out = new_output()
    out.result({"done": 1}, "1 mask", status="partial", errors=[{"message": "b.png: broken", "hint": None}])
    captured = capsys.readouterr()
    assert (out.exit_code, captured.out, captured.err) == (3, "1 mask\n", "error: b.png: broken\n")


def test_of_many_errors_with_one_hint_the_first_are_told_and_the_hint_once(capsys):
    def failed(names, hint):
        return [{"message": f"{name}: broken", "hint": hint} for name in names]

    new_output().result({}, errors=[*failed("abc", "mend them"), *failed("d", "look at it"), *failed("ef", None)])
    assert capsys.readouterr().err.splitlines() == [
        "error: a: broken", "error: b: broken", "error: c: broken", "hint: mend them", "error: d: broken",
        "hint: look at it", "error: e: broken", "error: f: broken",
    ]  # fmt: skip
    new_output().result({}, errors=[*failed(range(40), "mend them"), *failed(range(40), None)])
    told = capsys.readouterr().err.splitlines()
    assert told[9:13] == [
        "error: 9: broken", "error: 30 more like these, which --json lists", "hint: mend them", "error: 0: broken",
    ]  # fmt: skip
    assert len(told) == 12 + 40


def test_a_full_disk_is_not_a_bug(describe_raises, capsys):
    describe_raises(OSError(errno.ENOSPC, "No space left on device", "masks/a.png"))
    assert main(["info", "x"]) == 1
    assert capsys.readouterr().err.startswith("error: masks/a.png: No space left on device\n")


@pytest.mark.parametrize("call", [["info"], ["annotate-import", "drawn", "--map"], ["evaluate", ".", ".", "--classes"]])
def test_too_long_a_name_for_a_file_is_not_a_bug(call, capsys):
    assert main([*call, "x" * 5000]) in (1, 2)
    error = capsys.readouterr().err
    assert "xxx...: too long for the name of a file\n" in error and len(error) < 300


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_names_the_global_options(command, capsys):
    assert main([command, "-h"]) == 0
    text = plain_text(capsys.readouterr().out)
    assert f"gseg {command}" in text
    assert "--json" in text and "--project" in text and "--debug" in text


def test_help_lists_every_command_and_alone_is_code_2(capsys):
    assert main(["--help"]) == 0
    words = plain_text(capsys.readouterr().out).split()
    assert set(COMMANDS) <= set(words)
    assert main([]) == 2


def test_version_on_stdout(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gseg ")
    assert main(["--version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["data"]) == {"version"}


def test_json_data_holds_only_what_json_has():
    import numpy as np

    plain = to_plain({"p": Path("a"), "iou": np.array([0.5, np.nan]), "n": np.int64(3), "t": (float("inf"), True)})
    assert plain == {"p": "a", "iou": [0.5, None], "n": 3, "t": [None, True]}


def test_progress_off_a_terminal_shows_the_first_and_the_last_step(capsys):
    with progress("distill", "steps") as on_step:
        for done in range(1, 8):
            on_step(Step(done, 10, {"loss": 1 / done}))
    first, last = capsys.readouterr().err.splitlines()
    assert first == "distill: 1/10 steps, loss 1"
    assert last.startswith("distill: 7/10 steps, ") and last.endswith("loss 0.1429")


def test_progress_of_work_without_an_end_counts_only(capsys):
    with progress("segment", "images") as on_step:
        for done in (256, 512):
            on_step(Step(done, 0))
    first, last = capsys.readouterr().err.splitlines()
    assert first == "segment: 256 images"
    assert last.startswith("segment: 512 images, ") and "left" not in last


@pytest.mark.parametrize(("module", "extra"), [("onnxscript", "export"), ("kornia.augmentation", "train")])
def test_a_missing_package_is_not_a_bug_and_the_hint_installs_its_extra(module, extra, describe_raises, capsys):
    describe_raises(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert main(["info", "x"]) == 1
    assert install(extra) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        (["annotate-import", "drawn"], "safetensors", "annotate"),
        (["label"], "torch", "label"),
        (["export"], "torch", "export"),
        (["serve"], "starlette", "serve"),
        (["demo"], "onnx", "export"),
    ],
)
def test_the_hint_for_a_missing_package_names_the_extra_of_the_command_and_no_larger_one(
    command, module, extra, monkeypatch, capsys
):
    """safetensors comes with `annotate` and with `train`, which brings PyTorch, too."""

    def missing(*args, **kwargs):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("gseg_cli.app.app", missing)
    assert main(command) == 1
    assert capsys.readouterr().err.splitlines()[1] == f"hint: {install(extra)}"


def test_a_current_folder_that_was_removed_is_named_and_no_bug(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["init"]) == 1
    monkeypatch.chdir(tmp_path)
    assert "error: the current folder is not there any more\nhint: change to another" in capsys.readouterr().err


@pytest.mark.parametrize("columns", ["0", "20"])
def test_tables_are_whole_however_narrow_the_terminal_is(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    table = Table("class", "IoU", caption="of ten faces")
    table.add_row("left eyebrow, upper half", "0.7654321")
    Output().result({}, table)
    shown = capsys.readouterr().out
    assert "left eyebrow, upper half │ 0.7654321" in shown and "of ten faces" in shown


def test_one_of_something_is_not_called_several(tmp_path, capsys):
    assert main(["toy-faces", str(tmp_path / "faces"), "--count", "1"]) == 0
    assert main(["sample", "--gan", "builtin:toy-faces-64", "--seeds", "0", "-o", str(tmp_path / "samples")]) == 0
    out = capsys.readouterr().out
    assert "faces: 1 face of 64 px" in out and "samples: 1 sample of 64 px" in out


def test_a_command_tells_which_usually_follows_in_the_project_it_worked_on(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "my parts", "--gan", "builtin:toy-faces-64"]) == 0
    assert "next: gseg -C 'my parts' sample --count 10" in capsys.readouterr().err
    assert main(["-C", "my parts", "sample", "--seeds", "0"]) == 0
    said = capsys.readouterr().err
    assert "look at my parts/samples/sheet.jpg" in said
    assert "next: gseg -C 'my parts' label" in said


def test_a_project_of_own_classes_without_a_gan_is_told_that_its_gan_draws_toy_faces(tmp_path, capsys):
    assert main(["init", str(tmp_path / "parts"), "--classes", "background,wheel"]) == 0
    said = capsys.readouterr().err
    assert "its GAN draws toy faces" in said and "label --photos PHOTOS" in said
