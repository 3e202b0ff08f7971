"""A model as NVIDIA Triton Inference Server wants it: REPOSITORY/NAME/config.pbtxt, labels.txt, 1/model.onnx.

The fields are those of Triton's model_config.proto (github.com/triton-inference-server/common).
"""

import json
from pathlib import Path

from gseg_export.graph import CONFIDENCE, INPUT, LABELS, LOGITS, Model
from gseg_runtime.errors import GsegError
from gseg_runtime.files import write_bytes, write_text

LABELS_FILE = "labels.txt"


def check_repository(repository: Path, name: str, *, overwrite: bool) -> None:
    """GsegError when the repository holds a model of that name, unless `overwrite`."""
    folder = repository / name
    if folder.exists() and not (overwrite and (folder / "config.pbtxt").is_file()):
        raise GsegError(f"{folder}: exists already", "use --overwrite to replace it, or choose another folder")


def write_repository(repository: Path, name: str, path: Path, model: Model, *, batch: int) -> Path:
    """Add the model in `path`, x.onnx or x.engine, to a model repository as version 1; the model's folder.

    batch: the most pictures Triton puts together. The configuration comes last: without it Triton does not load.
    """
    folder = repository / name
    kept, stale = ("model.plan", "model.onnx") if path.suffix == ".engine" else ("model.onnx", "model.plan")
    write_bytes(folder / "1" / kept, path.read_bytes())
    (folder / "1" / stale).unlink(missing_ok=True)
    write_text(folder / LABELS_FILE, "".join(f"{name}\n" for name in model.card.classes.names))
    write_text(folder / "config.pbtxt", config(name, model, batch=batch, is_engine=path.suffix == ".engine"))
    return folder


def config(name: str, model: Model, *, batch: int, is_engine: bool) -> str:
    """The text of config.pbtxt. The batch's own dimension is left out of the shapes, as Triton wants it."""
    size, num_classes = model.card.input_size, len(model.card.classes)
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {
        LABELS: ("UINT8", (size, size)),
        CONFIDENCE: ("UINT8", (size, size)),
        LOGITS: ("FP32", (num_classes, size, size)),
    }
    outputs = ",\n".join(_tensor(output, *kinds[output], is_labels=output == LABELS) for output in model.outputs)
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
parameters {{
  key: "gseg"
  value {{ string_value: {_quoted(json.dumps(model.card.to_json()))} }}
}}
"""


def _tensor(name: str, kind: str, shape: tuple[int, ...], *, is_labels: bool = False) -> str:
    label_file = f', label_filename: "{LABELS_FILE}"' if is_labels else ""
    return f'  {{ name: "{name}", data_type: TYPE_{kind}, dims: {list(shape)}{label_file} }}'


def _quoted(text: str) -> str:
    """A string of protobuf's text format; JSON's escapes of ASCII are not all among its own."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
