"""A model repository as Triton reads it. The text was also parsed with Triton's own model_config.proto, once."""

import json
import re
from pathlib import Path

import pytest

from gseg_export.export import Options, export_model
from gseg_export.graph import Model, read_graph
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


def test_a_model_of_the_same_name_is_only_replaced_when_asked(model: Path, tmp_path: Path) -> None:
    options = Options(triton=tmp_path)
    export_model(model, Path("faces.onnx"), options)
    with pytest.raises(GsegError, match="faces: exists already"):
        export_model(model, Path("faces.onnx"), options)
    export_model(model, Path("faces.onnx"), Options(triton=tmp_path, overwrite=True))
    (tmp_path / "notes").mkdir()
    with pytest.raises(GsegError, match="notes: exists already"):  # nothing shows that it is a model
        export_model(model, Path("notes.onnx"), Options(triton=tmp_path, overwrite=True))
