"""What Python users may give by mistake: each is an error that says what was expected."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakePhoto
from PIL import Image

from gseg_runtime import GsegError, Segmenter
from gseg_runtime.errors import UsageError


@pytest.fixture
def segmenter(model_with_logits: Path) -> Segmenter:
    return Segmenter.load(model_with_logits, device="cpu")


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (Image.new("RGB", (4, 3)), "got Image"),
        ([[[0, 0, 0]]], "got list"),
        ("photo.jpg", "got str"),
        (np.zeros((3, 4), np.uint8), r"got uint8 \[3, 4\]"),
    ],
)
def test_what_is_no_array_of_pixels_is_refused_with_the_way_to_one(segmenter: Segmenter, image: Any, got: str) -> None:
    with pytest.raises(GsegError, match=rf"expected an image uint8 \[H, W, 3\], {got}") as raised:
        segmenter.segment([image])
    assert "np.asarray(image.convert('RGB'))" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cutout": True, "parts": "light"}, "parts: expected a list of classes, got 'light'"),
        ({"background": "white"}, "background: expected three numbers from 0 to 255, got 'white'"),
        ({"background": None}, "background: expected three numbers"),
        ({"background": (0, 0, 256)}, "background: expected three numbers"),
        ({"tile": 150.5}, "tile: expected a whole number, got 150.5"),
        ({"workers": "2"}, "workers: expected a whole number, got '2'"),
        ({"max_pixels": 1e6}, "max_pixels: expected a whole number, got 1000000.0"),
    ],
)
def test_an_option_of_another_type_is_wrong_usage_before_anything_is_written(
    segmenter: Segmenter, photos: Path, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        segmenter.segment_folder(photos, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_batch_that_is_no_whole_number_is_wrong_usage_before_the_model_is_loaded() -> None:
    with pytest.raises(UsageError, match=r"batch: expected a whole number, got 2\.5"):
        Segmenter.load("no-such-model.onnx", batch=2.5)  # type: ignore[arg-type]


def test_between_folders_segment_remote_takes_paths_as_segment_folder_does(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / "x.png", 4, 4, (90, 224))
    assert segmenter.segment_remote(tmp_path / "in", tmp_path / "out").done == 1
    assert (tmp_path / "out" / "x.png.png").is_file()
    with pytest.raises(UsageError, match=r"s3:/masks/out: an address cannot be a Path"):
        segmenter.segment_remote(tmp_path / "in", Path("s3://masks/out"))


@pytest.mark.parametrize("device", [None, 0, "gpu"])
def test_what_is_no_device_is_refused_with_those_there_are(model_with_logits: Path, device: Any) -> None:
    with pytest.raises(UsageError, match=rf"device: expected auto, cpu, cuda, .*, got {device!r}"):
        Segmenter.load(model_with_logits, device)
