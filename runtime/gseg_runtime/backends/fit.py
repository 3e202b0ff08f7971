"""Which precision of a model goes with which engine; the card tells the two kinds of 8 bits apart."""

from pathlib import Path

from gseg_runtime.errors import UsageError
from gseg_runtime.model_card import ModelCard

_INT8_CPU, _INT8_TRT = "int8", "int8-trt"
_REFUSED = {
    (_INT8_CPU, "trt"): "TensorRT takes no 8 bits of the kind for CPUs",
    # Measured: two to nine per cent of the labels are then others.
    (_INT8_TRT, "openvino"): "OpenVINO labels otherwise with 8 bits of TensorRT's kind",
}
_SLOW = {
    ("fp16", "cpu"): "half precision is slower on a CPU than full",
    (_INT8_CPU, "cuda"): "8 bits for CPUs are slow on a GPU: half precision is for GPUs",
    (_INT8_TRT, "cuda"): "8 bits for TensorRT are slow without it: --device trt",
    (_INT8_TRT, "cpu"): "8 bits for TensorRT are slower on a CPU than those for CPUs",
}
_HINTS = {
    _INT8_CPU: "use --device cpu or openvino, or export with --int8 DIR --trt",
    _INT8_TRT: "use --device trt, or export with --int8 DIR for CPUs",
}


def slow_because(card: ModelCard, device: str, model: Path) -> str:
    """Why this model is the wrong one for `device` though it runs, or "".

    device: as in `choose`, but not "auto". UsageError when the engine would refuse the model, or label otherwise.
    """
    pair = card.precision, device.partition(":")[0]
    if why := _REFUSED.get(pair):
        raise UsageError(f"device {device}: {model.name} is of precision {card.precision}, and {why}", _HINTS[pair[0]])
    return _SLOW.get(pair, "")


def is_for_cpus(card: ModelCard) -> bool:
    """Whether the model was made for CPUs only."""
    return card.precision == _INT8_CPU
