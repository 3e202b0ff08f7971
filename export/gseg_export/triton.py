"""A model as NVIDIA Triton Inference Server wants it: REPOSITORY/NAME/config.pbtxt, labels.txt, 1/model.onnx, 2/...

The fields are those of Triton's model_config.proto (github.com/triton-inference-server/common).
"""

import json
from pathlib import Path

from gseg_export.graph import CONFIDENCE, INPUT, LABELS, LOGITS, Model
from gseg_runtime.errors import GsegError
from gseg_runtime.files import check_writable, sha256_file, write_bytes, write_text

LABELS_FILE, CONFIG_FILE = "labels.txt", "config.pbtxt"
_ELSE = "use --overwrite to go on all the same, or choose another name with -o"


def check_repository(repository: Path, name: str, *, overwrite: bool) -> None:
    """GsegError when the repository holds something of that name that gseg did not write, unless `overwrite`."""
    folder, config_file = repository / name, repository / name / CONFIG_FILE
    if repository.exists() and not repository.is_dir():
        raise GsegError(f"{repository}: expected a folder of models, but this is a file", "choose another name")
    check_writable(config_file)
    if not folder.exists():
        return
    if not config_file.is_file():  # nothing shows that it is a model
        raise GsegError(f"{folder}: exists already", "choose another folder, or another name with -o")
    if not overwrite and f'"{_CARD}"' not in config_file.read_text(encoding="utf-8", errors="replace"):
        raise GsegError(f"{folder}: a model that gseg did not write", _ELSE)


def check_alike(repository: Path, name: str, model: Model, *, is_engine: bool) -> None:
    """GsegError when earlier versions take or give something else: they share one configuration, which clients see."""
    folder = repository / name
    if not (folder / CONFIG_FILE).is_file():
        return
    if (folder / LABELS_FILE).read_text(encoding="utf-8") != _labels(model):
        raise GsegError(f"{folder}: holds a model of other classes", _ELSE)
    text = config(name, model, batch=1, is_engine=is_engine)
    there, here = _interface((folder / CONFIG_FILE).read_text(encoding="utf-8")), _interface(text)
    if there != here:
        has_new_logits = LOGITS in model.outputs and not any(f'"{LOGITS}"' in line for line in there)
        hint = f"--no-logits gives a model as those there; or {_ELSE}" if has_new_logits else _ELSE
        raise GsegError(f"{folder}: holds a model of another size, kind or with other outputs", hint)


def write_repository(repository: Path, name: str, path: Path, model: Model, *, batch: int) -> Path:
    """Add the model in `path`, x.onnx or x.engine, to a model repository as its newest version; the model's folder.

    batch: the most pictures Triton puts together. The configuration comes last: without it Triton does not load.
    """
    folder, is_engine = repository / name, path.suffix == ".engine"
    text = config(name, model, batch=batch, is_engine=is_engine, sha256=sha256_file(path))
    version = folder / str(_latest(folder) + 1)
    unfinished = folder / f".{version.name}"  # Triton may be looking on, and reads whatever is named by a number
    write_bytes(unfinished / ("model.plan" if is_engine else "model.onnx"), path.read_bytes())
    unfinished.rename(version)
    write_text(folder / LABELS_FILE, _labels(model))
    write_text(folder / CONFIG_FILE, text)
    return folder


def _latest(folder: Path) -> int:
    numbers = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    return max(numbers, default=0)


def _labels(model: Model) -> str:
    return "".join(f"{name}\n" for name in model.card.classes.names)


def _interface(text: str) -> list[str]:
    """The lines of a configuration that say what goes in and out, and who computes."""
    return [line for line in text.splitlines() if ("TYPE_" in line and "zero_data" not in line) or "backend:" in line]


def config(name: str, model: Model, *, batch: int, is_engine: bool, sha256: str = "") -> str:
    """The text of config.pbtxt. The batch's own dimension is left out of the shapes, as Triton wants it.

    sha256: of the model's file, for clients. Triton runs a batch of one and a largest one before it says that it is
    ready: kernels are chosen, and memory is taken, at the first run of each.
    """
    size, num_classes = model.card.input_size, len(model.card.classes)
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {
        LABELS: ("UINT8", (size, size)),
        CONFIDENCE: ("UINT8", (size, size)),
        LOGITS: ("FP32", (num_classes, size, size)),
    }
    outputs = ",\n".join(_tensor(output, *kinds[output], is_labels=output == LABELS) for output in model.outputs)
    warm_ups = ",\n".join(_warm_up(count, size) for count in sorted({1, batch}))
    backend = "tensorrt" if is_engine else "onnxruntime"
    return f"""\
name: {_quoted(name)}
backend: "{backend}"
default_model_filename: "{"model.plan" if is_engine else "model.onnx"}"
max_batch_size: {batch}
input [
{_tensor(INPUT, "UINT8", (size, size, 3))}
]
output [
{outputs}
]
dynamic_batching {{ }}
model_warmup [
{warm_ups}
]
{_parameter(_CARD, json.dumps(model.card.to_json()))}
{_parameter("gseg_sha256", sha256)}
{"" if is_engine else _parameter("cudnn_conv_algo_search", _HEURISTIC)}
"""


_CARD = "gseg"  # the parameter that holds the model card
_HEURISTIC = "1"  # Triton's default measures all algorithms at the first batch of each size, which takes seconds


def _warm_up(count: int, size: int) -> str:
    tensor = f'{{ key: "{INPUT}" value {{ data_type: TYPE_UINT8, dims: [{size}, {size}, 3], zero_data: true }} }}'
    return f'  {{ name: "batch of {count}", batch_size: {count}, inputs {tensor} }}'


def _parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: {_quoted(value)} }} }}'


def _tensor(name: str, kind: str, shape: tuple[int, ...], *, is_labels: bool = False) -> str:
    label_file = f', label_filename: "{LABELS_FILE}"' if is_labels else ""
    return f'  {{ name: "{name}", data_type: TYPE_{kind}, dims: {list(shape)}{label_file} }}'


def _quoted(text: str) -> str:
    """A string of protobuf's text format; JSON's escapes of ASCII are not all among its own."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
