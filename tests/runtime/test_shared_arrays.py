"""Arrays get to another process by a file, whatever was there before."""

import os
from pathlib import Path

import numpy as np
import pytest

from gseg_runtime.shared_arrays import file_without_name, pack, unpack


def test_whatever_is_packed_is_unpacked_and_its_arrays_are_not_in_the_message() -> None:
    random = np.random.default_rng(0).random
    with file_without_name() as file:
        for shape in ((6, 100, 70), (0, 0, 3), (3,), (2, 500, 500), (1, 1)):
            first, second = random(shape).astype(np.float32), (random(shape) * 255).astype(np.uint8)
            message = pack(("save", [first, None, second[..., ::-1]], b"bytes"), file)
            assert len(message[0]) < 1000 + second.nbytes  # what is not in one piece goes with the message
            word, (one, nothing, two), data = unpack(message, file.fileno())
            np.testing.assert_array_equal(one, first)
            np.testing.assert_array_equal(two, second[..., ::-1])
            assert (word, nothing, data) == ("save", None, b"bytes") and one.dtype == np.float32


def test_a_full_disk_is_an_error_of_the_one_who_packs() -> None:
    with pytest.raises(OSError, match="No space"), Path("/dev/full").open("wb", buffering=0) as file:
        pack(np.zeros(10**6), file)


def test_it_is_read_where_it_lies() -> None:
    with file_without_name() as file:
        array = unpack(pack(np.arange(1000), file), file.fileno())
        os.pwrite(file.fileno(), np.int64(7).tobytes(), 0)
        assert array[0] == 7 and not array.flags.writeable
