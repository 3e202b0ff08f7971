"""A checkpoint says what it is, and a wrong or broken one is told in one line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gseg_cli import info as description
from gseg_cli.checkpoint import is_ours, load_checkpoint, parent_of, read_meta, save_checkpoint
from gseg_cli.folder_description import write_description
from gseg_cli.project import Project
from gseg_cli.runs import open_run
from gseg_cli.training_state import state_of
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import CheckpointError, GsegError
from gseg_runtime.label_map import write_label_png


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "runs" / "student.safetensors"
    tensors = {"net.weight": torch.arange(6.0).reshape(2, 3).T, "net.steps": torch.tensor(7)}
    save_checkpoint(path, tensors, {"kind": "student", "config": {"width": 8}, "quality": {"miou": 0.5}})
    return path


def test_round_trip(checkpoint):
    tensors, meta = load_checkpoint(checkpoint, "student")
    assert torch.equal(tensors["net.weight"], torch.tensor([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]))
    assert tensors["net.steps"].item() == 7
    assert meta == read_meta(checkpoint)
    assert meta["format"] == 1 and meta["created_by"].startswith("gseg ")
    assert (meta["config"], meta["parents"], meta["quality"]) == ({"width": 8}, [], {"miou": 0.5})


def test_a_disk_that_takes_no_more_is_an_error_that_names_the_file_and_leaves_the_old_one(checkpoint, small_disk):
    before = checkpoint.read_bytes()
    with small_disk, pytest.raises(GsegError, match=rf"{checkpoint}: cannot be written: File too large"):
        save_checkpoint(checkpoint, {"net.weight": torch.zeros(10_000)}, {"kind": "student"})
    assert checkpoint.read_bytes() == before and [path.name for path in checkpoint.parent.iterdir()] == [
        checkpoint.name
    ]


def test_parents_are_found_again_by_hash(checkpoint, tmp_path):
    child = tmp_path / "child.safetensors"
    save_checkpoint(child, {}, {"kind": "child", "parents": [parent_of(checkpoint, "student")]})
    (parent,) = read_meta(child)["parents"]
    assert parent["kind"] == "student" and parent["path"] == str(checkpoint)
    assert parent["sha256"] == description.describe(checkpoint)["sha256"]


def test_describe_counts_parameters_by_part(checkpoint):
    facts = description.describe(checkpoint)
    assert (facts["kind"], facts["num_parameters"], facts["num_parameters_of"]) == ("student", 7, {"net": 7})
    assert "num_parameters " in description.format_facts(facts)


def test_of_a_trainings_state_only_weights_are_parameters(tmp_path):
    """An optimiser keeps two numbers more for each, and counts its steps."""
    net = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {"num_steps": torch.tensor(1), **state_of({"G": net}, {"opt_G": optimizer})}
    save_checkpoint(tmp_path / "state.safetensors", state, {"kind": "gan-state"})
    facts = description.describe(tmp_path / "state.safetensors")
    assert (facts["num_parameters"], facts["num_parameters_of"]) == (9, {"G": 9})


def test_what_a_teacher_was_taught_and_latents_are_no_parameters(tmp_path):
    path = tmp_path / "teacher.safetensors"
    save_checkpoint(path, {"heads.0.w": torch.zeros(5), "annotated.ws": torch.zeros(1, 4, 8)}, {"kind": "fewshot"})
    facts = description.describe(path)
    assert (facts["num_parameters"], facts["num_parameters_of"]) == (5, {"heads": 5})
    save_checkpoint(path, {"w": torch.zeros(1, 4, 8), "seeds": torch.zeros(1)}, {"kind": "latents"})
    assert "num_parameters" not in description.describe(path)


def test_a_file_that_describes_its_folder_is_described_as_the_folder_is(tmp_path):
    run = open_run(tmp_path, "gan", {})
    assert description.describe(run.config) == description.describe(run.dir)
    write_description(tmp_path / "samples.json", "samples", {"seeds": [1]})
    assert description.describe(tmp_path / "samples.json") == description.describe(tmp_path)


def test_a_gan_that_comes_with_gseg_is_described_by_its_name():
    assert description.describe(Path("builtin:toy-faces-64"))["resolution"] == 64
    with pytest.raises(GsegError, match="toy-cats"):
        description.describe(Path("builtin:toy-cats"))


def test_a_project_tells_of_its_labelled_photos(tmp_path):
    project = Project.create(tmp_path / "p", classes=ClassMap.of_names(["skin"]), gan="builtin:toy-faces-64")
    assert "num_labelled_photos" not in description.describe(project.dir)
    (project.labelled_dir / "masks").mkdir(parents=True)
    write_label_png(project.labelled_dir / "masks" / "a.png", np.zeros((4, 4), np.uint8), project.classes)
    assert description.describe(project.dir)["num_labelled_photos"] == 1


def test_a_run_whose_metrics_are_damaged_is_described_all_the_same(tmp_path):
    run = open_run(tmp_path, "gan", {})
    run.metric(4, loss_D=1.0)
    with (run.dir / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\xfe}\n")
    assert description.describe(run.dir)["last_metrics"]["loss_D"] == 1.0


def test_the_wrong_kind_names_both_kinds(checkpoint):
    with pytest.raises(CheckpointError, match="expected a teacher checkpoint, got a student checkpoint"):
        load_checkpoint(checkpoint, "teacher")


@pytest.mark.parametrize("num_bytes", [0, 5, 8, 40, -1])
def test_a_truncated_file_is_one_line(checkpoint, num_bytes):
    checkpoint.write_bytes(checkpoint.read_bytes()[:num_bytes])
    for read in (read_meta, load_checkpoint):
        with pytest.raises(CheckpointError) as caught:
            read(checkpoint)
        assert str(checkpoint) in caught.value.message and "\n" not in caught.value.message
        assert caught.value.hint


def with_header(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


HEADERS = (b"[]", b'{"__metadata__":[]}', b'{"__metadata__":null}', b'{"__metadata__":{"gseg":1}}', b'{"a":' * 100_000)
NOT_SAFETENSORS = (b"x" * 100, b"\x80\x04pickle" * 20, b"\xff" * 64, *map(with_header, HEADERS))


@pytest.mark.parametrize("content", NOT_SAFETENSORS, ids=lambda content: content[:32].decode("latin1"))
def test_another_kind_of_file_is_one_line(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(tmp_path / "x.safetensors")


def test_a_missing_file_and_a_folder_are_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        read_meta(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="directory"):
        read_meta(tmp_path)


def test_foreign_safetensors_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="no gseg metadata"):
        read_meta(path)


def test_a_newer_format_asks_for_an_update(tmp_path):
    path = tmp_path / "new.safetensors"
    meta = {"format": 2, "kind": "student", "config": {}, "parents": []}
    save_file({"a": torch.zeros(1)}, path, metadata={"gseg": json.dumps(meta)})
    with pytest.raises(CheckpointError) as caught:
        read_meta(path)
    assert "format 1, got 2" in caught.value.message and "update" in caught.value.hint


def test_a_failed_write_leaves_the_old_file(checkpoint):
    before = checkpoint.read_bytes()
    with pytest.raises(TypeError):
        save_checkpoint(checkpoint, {"a": torch.zeros(1)}, {"kind": "student", "config": {"not JSON": object()}})
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not is_ours(tmp_path / "pipe")
    with pytest.raises(GsegError, match="pipe: expected a file, got a pipe"):
        load_checkpoint(tmp_path / "pipe")


def test_a_broken_file_of_ours_is_told_from_another_kind_of_that_name(checkpoint, tmp_path):
    whole = checkpoint.read_bytes()
    other = tmp_path / "other.safetensors"
    for num_bytes in (0, 8, 40, len(whole) - 1):
        other.write_bytes(whole[:num_bytes])
        assert is_ours(other)
    for content in (b"<!DOCTYPE html><html></html>", b"version https://git-lfs.github.com/spec/v1", b"\x80\x04}" * 9):
        other.write_bytes(content)
        assert not is_ours(other)


@pytest.mark.parametrize("wrong", [{"kind": []}, {"config": "a"}, {"parents": 5}])
def test_metadata_of_another_type_are_one_line(tmp_path, wrong):
    save_checkpoint(tmp_path / "x.safetensors", {"a": torch.zeros(1)}, {"kind": "student", **wrong})
    with pytest.raises(CheckpointError, match="of another type"):
        read_meta(tmp_path / "x.safetensors")


def test_in_a_folder_whose_name_is_not_utf8_no_file_is_called_damaged(checkpoint, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    checkpoint.parent.rename(folder)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder / checkpoint.name)
    assert "rename the folder" in (caught.value.hint or "") and "damaged" not in (caught.value.hint or "")
