"""Tensors as they lie in a file: described while it is read, and copied out of it only when they are wanted."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gseg_cli.gan.foreign.allowance import Allowance
from gseg_cli.gan.foreign.errors import damaged

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "uint64": torch.uint64,
    "uint32": torch.uint32,
    "uint16": torch.uint16,
    "bool": torch.uint8,  # a byte that is neither 0 nor 1 would be undefined as torch.bool
}
MAX_DIMENSIONS = 8


@dataclass(eq=False)
class Storage:
    """The numbers of one or more tensors. data: little-endian; empty until the file has been read that far."""

    dtype: str
    numel: int
    data: memoryview = field(default=memoryview(b""), repr=False)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise damaged(f"it holds numbers of type {self.dtype}, which is not read")

    @property
    def num_bytes(self) -> int:
        return self.numel * DTYPES[self.dtype].itemsize

    def bind(self, data: memoryview) -> None:
        """CheckpointError when `data` is not exactly what was declared."""
        if len(data) != self.num_bytes:
            raise damaged(f"it declares a tensor of {self.num_bytes} bytes, but holds {len(data)} bytes of it")
        self.data = data


@dataclass(eq=False)
class StoredTensor:
    """A view of a storage, as torch's: offset, sizes and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        check_counts(self.size)
        check_counts((self.offset, *self.stride[:MAX_DIMENSIONS]))
        if len(self.size) != len(self.stride) or self.end > self.storage.numel:
            raise damaged(f"it declares a tensor that does not lie within its storage of {self.storage.numel} numbers")

    @property
    def numel(self) -> int:
        return math.prod(self.size)

    @property
    def end(self) -> int:
        """One behind the last number."""
        if not self.numel:
            return self.offset
        return self.offset + 1 + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))


def check_counts(counts: tuple[object, ...]) -> None:
    """CheckpointError unless these are few numbers that count something."""
    if len(counts) > MAX_DIMENSIONS + 1 or not all(type(n) is int and n >= 0 for n in counts):
        raise damaged("it declares a tensor whose sizes are no sizes")


def contiguous(storage: Storage, size: tuple[int, ...]) -> StoredTensor:
    """A tensor of `size` from the start of a storage."""
    check_counts(size)
    return StoredTensor(storage, 0, size, tuple(math.prod(size[i + 1 :]) for i in range(len(size))))


def to_tensor(stored: StoredTensor, allowance: Allowance) -> Tensor:
    """A copy in memory of its own, contiguous."""
    if not stored.numel:
        raise damaged("it holds a tensor without numbers")
    dtype = DTYPES[stored.storage.dtype]
    start, end = stored.offset * dtype.itemsize, stored.end * dtype.itemsize
    # A stride of zero makes a petabyte of one number.
    allowance.tensor_bytes -= max(end - start, stored.numel * dtype.itemsize)
    if allowance.tensor_bytes < 0:
        raise damaged("its tensors together are larger than the file")
    numbers = torch.frombuffer(bytearray(stored.storage.data[start:end]), dtype=dtype)
    # The stride of a single entry is never used, and may be any number.
    strides = [step if n > 1 else 1 for n, step in zip(stored.size, stored.stride, strict=True)]
    tensor = numbers.as_strided(stored.size, strides).contiguous()
    return tensor != 0 if stored.storage.dtype == "bool" else tensor
