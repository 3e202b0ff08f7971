"""CUDA's libraries are found wherever their wheels lie, also when ONNX Runtime lies elsewhere."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gseg_runtime.cuda_libraries import library_folders, preload


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Three folders on sys.path: ONNX Runtime's, one with NVIDIA's wheels, one with a PyTorch that has its own."""
    files = [
        "ort/onnxruntime/__init__.py",
        "wheels/nvidia/cu13/lib/libcublasLt.so.13",
        "wheels/nvidia/cu13/lib/libcudart.so.13",
        "wheels/nvidia/cudnn/lib/libcudnn.so.9",
        "wheels/nvidia/nccl/lib/libnccl.so.2",
        "torch/torch/lib/libcublas.so.13",
        "torch/torch/lib/libcudnn.so.9",
        "torch/torch/lib/libtorch.so",
    ]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return {name: tmp_path / name for name in ("ort", "wheels", "torch")}


def test_wheels_come_before_pytorch_and_nothing_twice(places: dict[str, Path]) -> None:
    wheels, torch = places["wheels"], places["torch"]
    found = list(library_folders([str(torch), str(wheels), "", str(wheels), "/nowhere"]))
    assert found == [wheels / "nvidia/cu13/lib", wheels / "nvidia/cudnn/lib", torch / "torch/lib"]


def test_onnx_runtime_is_told_each_folder_and_then_looks_by_itself(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[dict[str, Any]] = []

    def preload_dlls(**options: Any) -> None:
        calls.append(options)
        print("Failed to load libcufft.so.12")

    monkeypatch.setattr(sys, "path", [str(places["ort"]), str(places["wheels"])])
    preload(SimpleNamespace(__file__=str(places["ort"] / "onnxruntime/__init__.py"), preload_dlls=preload_dlls))  # type: ignore[arg-type]
    cuda, cudnn = (str(places["wheels"] / "nvidia" / name / "lib") for name in ("cu13", "cudnn"))
    assert calls == [
        {"cuda": True, "cudnn": False, "directory": cuda},
        {"cuda": False, "cudnn": True, "directory": cudnn},
        {},
    ]
    assert capsys.readouterr().out == ""


def test_an_onnx_runtime_that_cannot_preload_is_left_alone() -> None:
    preload(SimpleNamespace())  # type: ignore[arg-type]
