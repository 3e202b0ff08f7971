"""What is written beside an engine is read again; what is missing, damaged or of another version is named."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conftest import CLASSES, INPUT_SIZE

from gseg_runtime import GsegError, ModelCard
from gseg_runtime.engine_file import EngineFacts, read_facts, sidecar_of

PLAN = b"an engine as TensorRT serialised it"
FACTS = EngineFacts(
    tensorrt="tensorrt",
    tensorrt_version="11.4.0",
    gpu="NVIDIA H100",
    compute_capability="9.0",
    driver="CUDA 13.2",
    onnx_sha256="0" * 64,
    engine_sha256=sha256(PLAN).hexdigest(),
    batch=4,
    precision="fp16",
    outputs=("labels", "confidence"),
    verified=True,
    card=ModelCard(classes=CLASSES, input_size=INPUT_SIZE, precision="fp16"),
)


def write(engine: Path, data: Any) -> Path:
    engine.write_bytes(PLAN)
    sidecar_of(engine).write_text(json.dumps(data))
    return engine


@pytest.mark.parametrize("facts", [FACTS, replace(FACTS, gpu=None, compute_capability=None, driver=None)])
def test_facts_come_back_as_they_were_written(tmp_path: Path, facts: EngineFacts) -> None:
    engine = write(tmp_path / "model.engine", facts.to_json())
    assert sidecar_of(engine) == tmp_path / "model.engine.json"
    assert read_facts(engine) == facts


def test_facts_of_before_there_were_portable_engines_are_read(tmp_path: Path) -> None:
    data = FACTS.to_json()
    del data["portable"]
    assert read_facts(write(tmp_path / "model.engine", data)) == FACTS


def test_the_keys_are_those_of_the_format() -> None:
    """In docs/formats.md; other programs read them."""
    assert list(FACTS.to_json().items())[:2] == [("format", 1), ("kind", "engine")]
    assert list(FACTS.to_json())[2:] == [
        "tensorrt", "tensorrt_version", "gpu", "compute_capability", "driver", "onnx_sha256", "engine_sha256",
        "batch", "precision", "outputs", "verified", "card", "portable",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, r"model\.engine\.json: format 2, tensorrt: which this version does not read"),
        ({"tensorrt": "tensorrt_xl"}, r"format 1, tensorrt_xl: which this version does not read"),
        ({"engine_sha256": "0" * 64}, r"model\.engine: not the engine that model\.engine\.json describes"),
        ({"card": {}}, r"model\.engine\.json: model card: no format"),
        ({"tensorrt_version": 11.4}, r"model\.engine\.json: .*: tensorrt_version is 11.4"),
        ({"compute_capability": 9.0}, "compute_capability is 9.0"),
        ({"batch": "4"}, "batch is '4'"),
        ({"batch": 0}, "batch is 0"),
        ({"batch": True}, "batch is True"),
        ({"outputs": "labels"}, "outputs is 'labels'"),
        ({"portable": "no"}, "portable is 'no'"),
    ],
)
def test_facts_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(GsegError, match=message):
        read_facts(write(tmp_path / "model.engine", {**FACTS.to_json(), **change}))


def test_what_lacks_a_fact_or_a_file_is_no_engine(tmp_path: Path) -> None:
    data = FACTS.to_json()
    del data["tensorrt_version"]
    for broken, message in ((data, "lacks 'tensorrt_version'"), ([], "expected an object, got list")):
        with pytest.raises(GsegError, match=message):
            read_facts(write(tmp_path / "model.engine", broken))
    sidecar_of(tmp_path / "model.engine").unlink()
    with pytest.raises(GsegError, match=r"model\.engine: lacks model\.engine\.json") as caught:
        read_facts(tmp_path / "model.engine")
    assert caught.value.hint.startswith("copy model.engine.json from where the engine was built, or rebuild it")
    with pytest.raises(GsegError, match=r"other\.engine: no such engine"):
        read_facts(tmp_path / "other.engine")
