import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gseg_runtime import Segmenter
from gseg_runtime.backends import choose
from gseg_runtime.backends.openvino import OpenVinoBackend
from gseg_runtime.errors import GsegError


def test_openvino_labels_as_onnx_runtime_does_from_several_threads(model_with_confidence: Path) -> None:
    backend, other = choose(model_with_confidence, "openvino"), choose(model_with_confidence, "cpu")
    assert backend.name == "OpenVINO, CPU" and backend.card == other.card
    batches = list(np.random.default_rng(0).integers(0, 256, (20, 2, 32, 32, 3), dtype=np.uint8))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda batch: backend.infer(batch, ["labels", "confidence"]), batches))
    for batch, answer in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(answer, other.infer(batch, ["labels", "confidence"]))


def test_openvino_computes_in_float32(model: Path) -> None:
    """Where the processor has bfloat16 OpenVINO takes it unasked."""
    backend = OpenVinoBackend(model)
    assert backend._model.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


def test_importing_openvino_tells_nobody(model: Path) -> None:
    choose(model, "openvino")
    assert sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__ == "openvino.tools.ovc.telemetry_stub"


def test_openvino_segments_a_folder(model: Path, photos: Path, tmp_path: Path) -> None:
    for device in ("openvino", "cpu"):
        assert Segmenter.load(model, device).segment_folder(photos, tmp_path / device).done == 4
    for path in (tmp_path / "cpu").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "openvino" / path.relative_to(tmp_path / "cpu")).read_bytes()


def test_a_broken_model_is_named(tmp_path: Path, model: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(model.read_bytes().replace(b"ReduceMean", b"ReduceNone"))
    with pytest.raises(GsegError, match=r"x\.onnx: OpenVINO cannot load it"):
        choose(tmp_path / "x.onnx", "openvino")
