import os
from pathlib import Path

import onnx
import pytest
from conftest import brightness_graph

from gseg_runtime.errors import GsegError
from gseg_runtime.onnx_file import read_metadata


def test_metadata_is_what_onnx_reads(tmp_path: Path) -> None:
    model = brightness_graph(32)
    texts = {"gseg": "x" * 300, "empty": "", "ä": "ö\n"}
    onnx.helper.set_model_props(model, texts)
    model.producer_name, model.model_version = "somebody", 1 << 40
    onnx.save(model, tmp_path / "model.onnx")
    assert read_metadata(tmp_path / "model.onnx") == texts


def test_every_cut_through_a_model_is_an_error_or_leaves_metadata_out(model: Path, tmp_path: Path) -> None:
    whole = model.read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "cut.onnx").write_bytes(whole[:size])
        try:
            assert read_metadata(tmp_path / "cut.onnx") == {}
        except GsegError as error:
            assert "damaged" in error.message
    with pytest.raises(GsegError, match="no such model"):
        read_metadata(tmp_path / "none.onnx")
    with pytest.raises(GsegError, match="directory"):
        read_metadata(tmp_path)


def test_a_pipe_in_place_of_a_model_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(GsegError, match=r"model\.onnx: expected a file, got a pipe"):
        read_metadata(tmp_path / "model.onnx")
