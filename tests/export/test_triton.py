"""A model repository as Triton reads it. The text was also parsed with Triton's own model_config.proto, once."""

import json
import re
from pathlib import Path

import pytest

from gseg_cli.distill.deploy import export_student
from gseg_export.export import Options, export_model
from gseg_export.graph import LABELS, LOGITS, Model, read_graph
from gseg_export.triton import config
from gseg_runtime import GsegError, ModelCard
from tests.export.student import CLASSES, SIZE


def test_a_model_is_added_as_triton_looks_for_it(model: Path, tmp_path: Path) -> None:
    written = export_model(model, tmp_path / "faces.onnx", Options(triton=tmp_path / "repository", batch=16))
    folder = tmp_path / "repository" / "faces"
    assert written.triton == tmp_path / "repository"
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == ["1/model.onnx", "config.pbtxt", "labels.txt"]
    assert (folder / "1" / "model.onnx").read_bytes() == model.read_bytes()
    assert (folder / "labels.txt").read_text().splitlines() == list(CLASSES.names)
    text = (folder / "config.pbtxt").read_text()
    assert 'name: "faces"' in text and "max_batch_size: 16" in text and 'backend: "onnxruntime"' in text
    assert f'{{ name: "images", data_type: TYPE_UINT8, dims: [{SIZE}, {SIZE}, 3] }}' in text
    card = re.search(r'string_value: "(.*)" \}', text)
    assert card and ModelCard.from_json(json.loads(card[1].replace('\\"', '"'))) == read_graph(model)[1]


def test_every_output_has_its_shape_without_the_batch_and_an_engine_its_backend(full_model: Model) -> None:
    text = config("faces", full_model, batch=8, is_engine=True)
    assert 'backend: "tensorrt"' in text and 'default_model_filename: "model.plan"' in text
    assert re.findall(r'name: "(\w+)", data_type: (\w+), dims: (\[.*?\])', text)[1:] == [
        ("labels", "TYPE_UINT8", f"[{SIZE}, {SIZE}]"),
        ("confidence", "TYPE_UINT8", f"[{SIZE}, {SIZE}]"),
        ("logits", "TYPE_FP32", f"[{len(CLASSES)}, {SIZE}, {SIZE}]"),
    ]


def test_a_new_export_becomes_the_next_version(model: Path, tmp_path: Path) -> None:
    for _ in range(3):
        export_model(model, Path("faces.onnx"), Options(triton=tmp_path))
    folder = tmp_path / "faces"
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "3", "config.pbtxt", "labels.txt"]
    assert (folder / "3" / "model.onnx").read_bytes() == model.read_bytes()


def test_versions_that_clients_would_take_for_each_other_are_refused(model: Path, tmp_path: Path) -> None:
    export_model(model, Path("faces.onnx"), Options(triton=tmp_path))
    config_file, labels = tmp_path / "faces" / "config.pbtxt", tmp_path / "faces" / "labels.txt"
    right = config_file.read_text()
    config_file.write_text(right.replace(f"[{SIZE}, {SIZE}]", "[512, 512]"))
    with pytest.raises(GsegError, match="a model of another size"):
        export_model(model, Path("faces.onnx"), Options(triton=tmp_path))
    config_file.write_text(right)
    labels.write_text("background\nother\n")
    with pytest.raises(GsegError, match="a model of other classes"):
        export_model(model, Path("faces.onnx"), Options(triton=tmp_path))
    export_model(model, Path("faces.onnx"), Options(triton=tmp_path, overwrite=True))
    assert (tmp_path / "faces" / "2" / "model.onnx").is_file() and not (tmp_path / "faces" / "3").exists()


def test_an_export_that_triton_does_not_get_is_not_written_at_all(
    checkpoint: Path, model: Path, tmp_path: Path
) -> None:
    out, repository, site = tmp_path / "faces.onnx", tmp_path / "repository", tmp_path / "site"
    export_model(model, out, Options(triton=repository))
    with pytest.raises(GsegError, match="with other outputs"):
        export_student(checkpoint, out, Options(triton=repository, web=site), outputs=(LABELS,))
    config_file = repository / "faces" / "config.pbtxt"
    right = config_file.read_text()
    config_file.write_text("\n".join(line for line in right.splitlines() if '"logits"' not in line))
    with pytest.raises(GsegError) as error:  # a repository that was begun when models had none
        export_student(checkpoint, out, Options(triton=repository, web=site), outputs=(LABELS, LOGITS))
    assert "--no-logits gives a model as those there" in (error.value.hint or "")
    config_file.write_text(right)
    with pytest.raises(GsegError, match="expected a folder of models, but this is a file"):
        export_student(checkpoint, out, Options(triton=model, web=site))
    assert not out.exists() and not site.exists()


def test_what_gseg_did_not_write_is_left_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(GsegError, match="notes: exists already"):  # nothing shows that it is a model
        export_model(model, Path("notes.onnx"), Options(triton=tmp_path, overwrite=True))
    (tmp_path / "notes" / "config.pbtxt").write_text('name: "notes"')
    with pytest.raises(GsegError, match="notes: a model that gseg did not write"):
        export_model(model, Path("notes.onnx"), Options(triton=tmp_path))


def test_the_configuration_is_one_of_tritons_own_schema(full_model: Model) -> None:
    protobuf, schema = pytest.importorskip("google.protobuf.text_format"), pytest.importorskip("tritonclient.grpc")
    read = protobuf.Parse(config("faces", full_model, batch=8, is_engine=False), schema.model_config_pb2.ModelConfig())
    assert [(each.batch_size, each.inputs["images"].zero_data) for each in read.model_warmup] == [(1, True), (8, True)]
    assert read.parameters["cudnn_conv_algo_search"].string_value == "1"
    assert ModelCard.from_json(json.loads(read.parameters["gseg"].string_value)) == full_model.card
