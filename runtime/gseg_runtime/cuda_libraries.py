"""Libraries of CUDA and TensorRT that came as wheels: ONNX Runtime looks for them only beside its own folder."""

import ctypes
import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_CUDA = ("cublas", "cudart", "cufft", "curand", "nvrtc")
_CUDNN = ("cudnn",)


def preload(ort: ModuleType) -> None:
    """Load what the CUDA provider needs; what is not found shows when a session is made.

    From NVIDIA's wheels or PyTorch's own folder, beside ONNX Runtime or elsewhere on sys.path, else from where the
    loader looks. PyTorch is not imported.
    """
    if not hasattr(ort, "preload_dlls"):  # before 1.21
        return
    beside = str(Path(ort.__file__ or "").parent.parent)
    with redirect_stdout(io.StringIO()):  # where it prints what it does not find
        for folder in library_folders([beside, *sys.path]):
            # Of what a folder does not hold it would load the system's, before the next folder has its turn.
            ort.preload_dlls(cuda=_holds(folder, _CUDA), cudnn=_holds(folder, _CUDNN), directory=str(folder))
        ort.preload_dlls()


def preload_tensorrt() -> None:
    """Its wheels lie where the loader does not look. What is missing shows when a session is made."""
    spec = find_spec("tensorrt_libs")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for library in ("libnvinfer.so.10", "libnvonnxparser.so.10"):  # the version the provider is built for
            if (path := Path(folder, library)).is_file():
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def library_folders(places: list[str]) -> Iterator[Path]:
    """nvidia/cu13/lib, nvidia/cudnn/lib and so on (before CUDA 13 one per library), and torch/lib."""
    roots = [Path(place).resolve() for place in dict.fromkeys(places) if place]
    wheels = [folder for root in roots for folder in sorted(root.glob("nvidia/*/lib"))]
    for folder in dict.fromkeys([*wheels, *(root / "torch" / "lib" for root in roots)]):
        if _holds(folder, (*_CUDA, *_CUDNN)):
            yield folder


def _holds(folder: Path, libraries: tuple[str, ...]) -> bool:
    return any(next(folder.glob(f"lib{name}.so.*"), None) for name in libraries)
