"""Run-length encodings of masks: COCO's two, CVAT's, and Label Studio's.

Read here and not by the tools' own libraries: pycocotools 2.0.11 corrupts its heap on broken counts, and Label Studio's
reader allocates whatever the data ask for.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gseg_cli.annotate.fields import HINT
from gseg_cli.annotate.shapes import Mask
from gseg_runtime.errors import GsegError


def decode_coco(counts: Sequence[int] | str, height: int, width: int, where: str) -> Mask:
    """[H, W] from COCO's counts, as numbers or as compressed text: runs down the columns, background first."""
    runs = _coco_runs(counts, where) if isinstance(counts, str) else counts
    return _expand(runs, height * width, where).reshape(width, height).T


def decode_rows(counts: Sequence[int], height: int, width: int, where: str) -> Mask:
    """[H, W] from CVAT's counts: runs along the rows, background first."""
    return _expand(counts, height * width, where).reshape(height, width)


def decode_brush(data: Sequence[int], height: int, width: int, where: str) -> Mask:
    """[H, W] from the bytes of Label Studio's brush: an RGBA picture as bits, of which alpha counts.

    A head of 32 bits (how many values), 5 bits (their width - 1) and 4 times 4 bits (widths of run lengths - 1); then
    blocks: a bit (1: one value repeated, 0: values in a row), 2 bits (which width), the length - 1, the values.
    The format is that of @thi.ng/rle-pack.
    """
    bits = _Bits(data, where)
    num_values, value_bits = bits.number(32), bits.number(5) + 1
    length_bits = [bits.number(4) + 1 for _ in range(4)]
    if num_values != height * width * 4:
        raise GsegError(f"{where}: expected {height * width * 4} values for {width}x{height}, got {num_values}", HINT)
    is_set, done = np.zeros(num_values, bool), 0
    while done < num_values:
        is_run = bits.number(1)
        length = bits.number(length_bits[bits.number(2)]) + 1
        block = bits.number(value_bits) if is_run else bits.numbers(length, value_bits)
        if done + length > num_values:
            raise GsegError(f"{where}: the runs are longer than the picture", HINT)
        is_set[done : done + length] = np.greater(block, 0)
        done += length
    return is_set[3::4].reshape(height, width).copy()  # else the other three channels stay in memory


def _expand(runs: Sequence[int], size: int, where: str) -> npt.NDArray[np.bool_]:
    if any(type(run) is not int or run < 0 for run in runs) or sum(runs) != size:
        total = sum(run for run in runs if type(run) is int)
        raise GsegError(f"{where}: expected run lengths that add up to {size} pixels, got {total}", HINT)
    return np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, np.int64))


def _coco_runs(text: str, where: str) -> list[int]:
    """Six bits a character, five of them data, the lowest first; from the fourth on a run adds to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for code in text.encode("ascii", "replace"):
        chunk = code - 48
        if not 0 <= chunk < 64 or shift > 30:
            raise GsegError(f"{where}: not the text of a COCO RLE", HINT)
        value |= (chunk & 31) << shift
        shift += 5
        if chunk & 32:
            continue
        if chunk & 16:  # the sign
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise GsegError(f"{where}: the text of a COCO RLE is cut off", HINT)
    return runs


class _Bits:
    """Numbers from a stream of bits, the highest bit first."""

    def __init__(self, data: Sequence[int], where: str) -> None:
        if any(type(byte) is not int or not 0 <= byte <= 255 for byte in data):
            raise GsegError(f"{where}: expected bytes from 0 to 255", HINT)
        self._bytes = bytes(data)
        self._bits = np.unpackbits(np.frombuffer(self._bytes, np.uint8))
        self._at = 0
        self._where = where

    def number(self, num_bits: int) -> int:
        """As `numbers`, ten times faster for a single one: a brush is many short blocks."""
        start = self._take(num_bits)
        end = -(-self._at // 8)
        return int.from_bytes(self._bytes[start // 8 : end], "big") >> (8 * end - self._at) & (1 << num_bits) - 1

    def numbers(self, count: int, num_bits: int) -> npt.NDArray[np.int64]:
        start = self._take(count * num_bits)
        bits = self._bits[start : self._at].reshape(count, num_bits).astype(np.int64)
        return bits @ (1 << np.arange(num_bits - 1, -1, -1, dtype=np.int64))

    def _take(self, num_bits: int) -> int:
        """Where these bits begin."""
        if self._at + num_bits > len(self._bits):
            raise GsegError(f"{self._where}: the brush data are cut off", HINT)
        self._at += num_bits
        return self._at - num_bits
