"""Segmentation of photos by an exported gseg model: numpy and codecs, no PyTorch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gseg_runtime.class_map import ClassMap
    from gseg_runtime.errors import GsegError
    from gseg_runtime.model_card import ModelCard
    from gseg_runtime.segmenter import Segmenter

__all__ = ["ClassMap", "GsegError", "ModelCard", "Segmenter"]

_MODULES = {"ClassMap": "class_map", "GsegError": "errors", "ModelCard": "model_card", "Segmenter": "segmenter"}


def __getattr__(name: str) -> Any:
    # On demand: the command line takes its errors from here, and must answer --help before numpy is imported.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
