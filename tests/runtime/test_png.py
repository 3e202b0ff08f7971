"""PNGs in colour, as Pillow reads them."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from gseg_runtime.cutout import encode_cutout
from gseg_runtime.png import encode_color_png


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (256, 5), (257, 5), (600, 3)])
def test_a_colour_png_of_any_number_of_rows_is_the_picture(size: tuple[int, int], mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, len(mode)), dtype=np.uint8)
    with Image.open(io.BytesIO(encode_color_png(pixels))) as image:
        assert (image.format, image.mode, image.info["Software"]) == ("PNG", mode, "gseg")
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_large_cutout_takes_little_more_memory_than_its_pixels() -> None:
    rows = np.arange(2000, dtype=np.uint32)
    photo = (rows[:, None, None] + np.zeros((1, 2000, 3), np.uint32)).astype(np.uint8)
    labels = np.repeat(np.array([[0, 1, 2, 3]], np.uint8), 500, axis=1).repeat(2000, axis=0)
    tracemalloc.start()
    encode_cutout(photo, labels, [1, 3])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 7 * labels.nbytes
