"""Imports one engine and says what came of it: python -m gseg_runtime.probe MODULE.

A process of its own, because a broken engine may end it. The last line on stdout is JSON, the fields of
`installation.Probe`.
"""

import ctypes
import importlib
import json
import sys
from types import ModuleType
from typing import Any

from gseg_runtime.cuda_libraries import preload
from gseg_runtime.telemetry import no_telemetry


def probe(name: str) -> dict[str, Any]:
    """The fields of a Probe that are not as by default."""
    no_telemetry()
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever a broken engine raises
        return {"problem": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    return _onnxruntime(module) if name == "onnxruntime" else {"version": getattr(module, "__version__", "")}


def _onnxruntime(ort: ModuleType) -> dict[str, Any]:
    if not hasattr(ort, "InferenceSession"):
        return {"problem": "its folder holds no engine, as after the removal of another wheel of the same folder"}
    found = {"version": ort.__version__, "providers": ort.get_available_providers()}
    if "CUDAExecutionProvider" in found["providers"]:
        found["cuda"] = getattr(ort, "cuda_version", "") or ""
        preload(ort)
        if sys.platform == "linux" and found["cuda"]:
            found["missing"] = _missing(found["cuda"])
    return found


def _missing(cuda: str) -> list[str]:
    major = cuda.partition(".")[0]
    names = [f"libcudart.so.{major}", f"libcublasLt.so.{major}", f"libcublas.so.{major}"]
    return [name for name in [*names, "libcurand.so.10", "libcudnn.so.9"] if not _loads(name)]


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    print("\n" + json.dumps(probe(sys.argv[1])))
