"""The names a checkpoint may use, and the plain data that stands for each of them.

No entry of the list imports, opens or runs anything. A name outside it stands for nothing but itself, and what is made
with it is an `Unread`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gseg_cli.gan.foreign.errors import damaged
from gseg_cli.gan.foreign.stored import Storage, StoredTensor, contiguous

Call = Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True)
class Known:
    """A name from the list. call: what is built of the arguments of a call; None for what is only passed on."""

    module: str
    name: str
    call: Call | None = None


@dataclass(frozen=True)
class Unknown:
    """A name outside the list, as it may be printed. Calling it gives an `Unread`."""

    name: str


class Unread(dict[str, Any]):
    """An object of a class outside the list: the items it was filled with, and its attributes.

    Nothing was imported or called to make it. It is kept for the tensors in it, and to be told of.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.state: dict[str, Any] | None = None


class Namespace(dict[str, Any]):
    """The attributes of an argparse.Namespace, or the items of NVIDIA's EasyDict."""


@dataclass(eq=False)
class Network:
    """One of NVIDIA's persistent objects: its class by name, and its attributes. The source it brings is not read."""

    class_name: str
    state: dict[str, Any]


@dataclass(eq=False)
class TensorflowNetwork:
    """A network of NVIDIA's TensorFlow code: its attributes."""

    state: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class NumpyType:
    code: str  # kind and bytes: "f8"
    order: str = "<"

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class NumpyArray(StoredTensor):
    """Tells what NumPy wrote from what torch did."""


def _network(args: tuple[Any, ...]) -> Network:
    match args:
        case ({"type": "class", "class_name": str() as class_name, "state": dict() as state},):
            return Network(class_name, state)
    raise damaged("it holds a persistent object without class name or state")


def _tensor(args: tuple[Any, ...]) -> StoredTensor:
    match args:
        case (Storage() as storage, offset, tuple() as size, tuple() as stride, *_):
            return StoredTensor(storage, offset, size, stride)
    raise damaged("it holds a tensor without storage or size")


def _parameter(args: tuple[Any, ...]) -> StoredTensor:
    match args:
        case (StoredTensor() as tensor, *_):
            return tensor
    raise damaged("it holds a parameter that is no tensor")


def _numpy_type(args: tuple[Any, ...]) -> NumpyType | Unread:
    match args:
        case (str() as code, *_) if re.fullmatch(r"b1|[iu][1248]|f[248]", code, re.ASCII):
            return NumpyType(code)
    return Unread("numpy.dtype")  # text, records, objects


def _numpy_scalar(args: tuple[Any, ...]) -> Any:
    match args:
        case (NumpyType() as kind, bytes() | memoryview() as data) if len(data) == kind.dtype.itemsize:
            return np.frombuffer(data, kind.dtype)[0].item()
    raise damaged("it holds a NumPy number of another size than its type")


def _numpy_buffer(args: tuple[Any, ...]) -> StoredTensor:
    match args:
        case (bytes() | memoryview() as data, NumpyType() as kind, tuple() as shape, "C" | "F" as order):
            return _array(data, kind, shape, is_fortran=order == "F")
    raise damaged("it holds a NumPy array without type or shape")


def _empty_array(_: tuple[Any, ...]) -> NumpyArray:
    """What NumPy begins with; its state comes later."""
    return NumpyArray(Storage("uint8", 0), 0, (0,), (1,))


def _array(data: bytes | memoryview, kind: NumpyType, shape: tuple[Any, ...], is_fortran: bool) -> NumpyArray:
    storage = Storage(kind.dtype.name, len(data) // kind.dtype.itemsize)
    storage.bind(memoryview(data))
    step = -1 if is_fortran else 1  # the first axis is then the one whose numbers lie side by side
    array = contiguous(storage, shape[::step])
    return NumpyArray(storage, 0, array.size[::step], array.stride[::step])


def _set(args: tuple[Any, ...]) -> set[str]:
    match args:
        case (list() as items,):  # of tensors that are not saved; what else is in a set, nobody asks for
            return {item for item in items if isinstance(item, str)}
    raise damaged("it holds a set of something else than a list")


def _tuple(args: tuple[Any, ...]) -> Any:
    """Paddle writes a variable as the tuple of its name and its numbers."""
    match args:
        case ((str(), NumpyArray() as array),):
            return array
    return Unread("builtins.tuple")


def _encode(args: tuple[Any, ...]) -> bytes:
    match args:
        case (str() as text, "latin1") if max(text, default="") <= "\xff":  # how protocol 2 writes bytes
            return text.encode("latin1")
    raise damaged("it holds bytes in an unknown encoding")


def _empty(kind: type[dict[str, Any]]) -> Call:
    def call(args: tuple[Any, ...]) -> dict[str, Any]:
        if args:
            raise damaged("it holds a dictionary with arguments")
        return kind()

    return call


def build(target: Any, state: Any) -> None:
    """What the state of an object does to the data that stands for it."""
    match target, state:
        case Unread(), _:
            target.state = state if isinstance(state, dict) else target.state
        case TensorflowNetwork(), dict():
            target.state = state
        case NumpyArray(), (_, _, Unread(), *_):
            pass  # stays empty
        case Namespace(), dict() if all(isinstance(name, str) for name in state):
            target.update(state)
        case dict(), dict():
            pass  # attributes of a state dict: the versions of its modules
        case NumpyType(), (_, "<" | "|" as order, *_):
            target.order = order
        case NumpyArray(), (
            _,
            tuple() as shape,
            NumpyType() as kind,
            bool() as is_fortran,
            bytes() | memoryview() as data,
        ):
            array = _array(data, kind, shape, is_fortran)
            target.storage, target.size, target.stride = array.storage, array.size, array.stride
        case _:
            raise damaged(f"it sets the state of a {type(target).__name__}, which has none that could be set")


_NUMPY = ("numpy.core", "numpy._core")  # before version 2, and since
_CALLS: dict[tuple[str, str], Call | None] = {
    ("collections", "OrderedDict"): _empty(dict),
    ("argparse", "Namespace"): _empty(Namespace),
    ("dnnlib.util", "EasyDict"): _empty(Namespace),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _network,
    ("dnnlib.tflib.network", "Network"): lambda _: TensorflowNetwork(),
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("builtins", "set"): _set,
    ("__builtin__", "set"): _set,
    ("builtins", "tuple"): _tuple,
    ("__builtin__", "tuple"): _tuple,
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _numpy_type,
    ("numpy", "ndarray"): None,
    **{(f"{core}.multiarray", "scalar"): _numpy_scalar for core in _NUMPY},
    **{(f"{core}.multiarray", "_reconstruct"): _empty_array for core in _NUMPY},
    **{(f"{core}.numeric", "_frombuffer"): _numpy_buffer for core in _NUMPY},
}
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True)
class KnownStorage(Known):
    dtype: str = ""


def known_names(load_nested: Call | None = None) -> dict[tuple[str, str], Known]:
    """Every name by module and name. load_nested: what reads a torch file that lies within the pickle."""
    known = [Known(module, name, call) for (module, name), call in _CALLS.items()]
    known += [KnownStorage("torch", name, dtype=dtype) for name, dtype in _STORAGES.items()]
    known += [Known("torch.storage", "_load_from_bytes", load_nested)] if load_nested else []
    return {(entry.module, entry.name): entry for entry in known}
