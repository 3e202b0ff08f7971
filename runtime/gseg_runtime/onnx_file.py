"""The metadata of an ONNX file, read without an engine: only the outermost fields of the protocol buffer matter."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from gseg_runtime.errors import GsegError, ModelCardError
from gseg_runtime.files import check_no_pipe, parse_json
from gseg_runtime.model_card import METADATA_KEY, ModelCard

_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2  # field numbers in onnx.proto: ModelProto, StringStringEntryProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def read_card(model: Path) -> ModelCard:
    """The card in a model's metadata; ModelCardError when there is none or it cannot be read."""
    text = read_metadata(model).get(METADATA_KEY)
    if text is None:
        raise ModelCardError(f"{model}: has no gseg model card", "export the model with gseg export")
    return parse_card(text, model)


def parse_card(text: str, model: Path | str) -> ModelCard:
    """What the metadata of a model say under METADATA_KEY; ModelCardError when it cannot be read."""
    try:
        return ModelCard.from_json(parse_json(text))
    except ValueError as error:
        raise ModelCardError(f"{model}: the model card is not valid JSON: {error}") from error
    except GsegError as error:
        raise ModelCardError(f"{model}: {error.message}", error.hint) from error


def path_or_content(model: Path) -> str | bytes:
    """What an engine takes: the path, or all of the file where its name is not UTF-8, which no engine opens."""
    try:
        str(model).encode()
    except UnicodeEncodeError:
        return model.read_bytes()
    return str(model)


def read_metadata(model: Path) -> dict[str, str]:
    """All of its metadata; GsegError when the file is missing or not ONNX. Weights are passed over, not read."""
    try:
        check_no_pipe(model)
        with model.open("rb") as file:
            pairs = [pair for _, pair in _fields(file, os.fstat(file.fileno()).st_size, (_METADATA_PROPS,))]
        entries = [dict(_fields(io.BytesIO(pair), len(pair), (_KEY, _VALUE))) for pair in pairs]
        return {entry[_KEY].decode(): entry.get(_VALUE, b"").decode() for entry in entries}
    except FileNotFoundError as error:
        raise GsegError(f"{model}: no such model", "make one with gseg export CHECKPOINT") from error
    except OSError as error:
        raise GsegError(f"{model}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError) as error:
        raise GsegError(f"{model}: not an ONNX model, or damaged", "make one with gseg export") from error


def _fields(file: IO[bytes], size: int, wanted: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    """Number and content of the wanted fields, which are texts or messages."""
    while file.tell() < size:
        number, wire_type = divmod(_varint(file), 8)
        if wire_type == _VARINT:
            _varint(file)
            continue
        length = _varint(file) if wire_type == _BYTES else {_FIXED64: 8, _FIXED32: 4}.get(wire_type, size)
        if file.tell() + length > size:
            raise ValueError("not a protocol buffer")
        if number in wanted:
            yield number, file.read(length)
        else:
            file.seek(length, os.SEEK_CUR)


def _varint(file: IO[bytes]) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("not a protocol buffer")
