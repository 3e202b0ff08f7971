import numpy as np
import pytest

from gseg_runtime.geometry import FILL, Letterbox


@pytest.mark.parametrize(
    "height, width, scaled, window",
    [
        (100, 200, (32, 64), (slice(16, 48), slice(0, 64))),
        (200, 100, (64, 32), (slice(0, 64), slice(16, 48))),
        (7, 7, (64, 64), (slice(0, 64), slice(0, 64))),
        (1, 1000, (1, 64), (slice(31, 32), slice(0, 64))),
    ],
)
def test_the_photo_is_scaled_as_a_whole_and_centred(
    height: int, width: int, scaled: tuple[int, int], window: tuple[slice, slice]
) -> None:
    letterbox = Letterbox(height, width, 64)
    assert letterbox.scaled == scaled
    assert letterbox.window == window
    square = letterbox.apply(np.full((height, width, 3), 200, np.uint8))
    assert square.shape == (64, 64, 3)
    assert (square[window] == 200).all()
    outside = np.ones((64, 64), bool)
    outside[window] = False
    assert (square[outside] == FILL).all()


@pytest.mark.parametrize("height, width", [(128, 128), (96, 128), (128, 40), (1, 300)])
def test_labels_come_back_at_the_photos_size(height: int, width: int) -> None:
    letterbox = Letterbox(height, width, 64)
    square = np.full((64, 64), 9, np.uint8)
    rows, columns = letterbox.window
    middle = (columns.start + columns.stop) // 2
    square[rows, columns.start : middle], square[rows, middle : columns.stop] = 1, 2
    labels = letterbox.undo_labels(square)
    assert labels.shape == (height, width)
    assert (labels[:, : width // 2] == 1).all() and (labels[:, width // 2 :] == 2).all()


def test_shrinking_averages() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    square = Letterbox(256, 256, 32).apply(stripes)
    assert abs(int(square.min()) - 128) < 8 and abs(int(square.max()) - 128) < 8
