"""Every kind of file that is read, told by its content; whatever is not read, is refused by its true name."""

import io
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from gseg_runtime import Segmenter
from gseg_runtime.errors import ImageError
from gseg_runtime.images import read_image
from gseg_runtime.label_map import Pixels, read_label_png
from gseg_runtime.photo_names import SUFFIXES
from gseg_runtime.picture_formats import _has_heif
from gseg_runtime.pip_hint import install

HEIGHT, WIDTH = 48, 64


def smooth() -> Pixels:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([255 * x / WIDTH, 255 * y / HEIGHT, 128 + 100 * np.sin(x / 9)], axis=2).astype(np.uint8)


def encoded(format: str, image: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    (image or Image.fromarray(smooth())).save(file, format, **options)  # type: ignore[arg-type]
    return file.getvalue()


def heic(image: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(image or Image.fromarray(smooth())).save(file, **{"quality": 95, **options})
    return file.getvalue()


def second_decoder(data: bytes) -> Pixels:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


FILES = {
    "jpg": lambda: encoded("JPEG", quality=95),
    "jpeg": lambda: encoded("JPEG", quality=95, progressive=True),
    "jfif": lambda: encoded("JPEG", quality=95),
    "jpe": lambda: encoded("JPEG", quality=95, subsampling=0),
    "jif": lambda: encoded("JPEG", quality=95),
    "png": lambda: encoded("PNG"),
    "webp": lambda: encoded("WEBP", lossless=True),
    "bmp": lambda: encoded("BMP"),
    "tif": lambda: encoded("TIFF", compression="tiff_lzw"),
    "tiff": lambda: encoded("TIFF", compression="tiff_adobe_deflate"),
    "gif": lambda: encoded("GIF"),
    "avif": lambda: encoded("AVIF", quality=90),
    "jp2": lambda: encoded("JPEG2000"),
    "j2k": lambda: encoded("JPEG2000", no_jp2=True),
    "j2c": lambda: encoded("JPEG2000", no_jp2=True),
    "jpc": lambda: encoded("JPEG2000", no_jp2=True),
    "jpf": lambda: encoded("JPEG2000"),
    "jpx": lambda: encoded("JPEG2000", irreversible=True, quality_layers=[10]),
    "heic": heic,
    "heif": heic,
    "hif": heic,
}


def test_every_suffix_has_its_file_here() -> None:
    assert {f".{suffix}" for suffix in FILES} == set(SUFFIXES)


@pytest.mark.parametrize("suffix", FILES)
def test_every_kind_is_read_whatever_its_name_and_as_another_decoder_reads_it(tmp_path: Path, suffix: str) -> None:
    data = FILES[suffix]()
    for name in (f"x.{suffix}", "x.jpg"):
        (tmp_path / name).write_bytes(data)
        pixels = read_image(tmp_path / name).pixels
        assert np.abs(pixels.astype(int) - smooth()).mean() < 6
        if (second := second_decoder(data)) is not None:  # OpenCV has no HEIC
            assert np.abs(pixels.astype(int) - second).max() <= 2
        else:
            assert suffix in ("heic", "heif", "hif")


def test_a_folder_of_every_kind_is_segmented(model: Path, tmp_path: Path) -> None:
    for suffix, make in FILES.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{suffix}.{suffix.upper()}").write_bytes(make())
    with Segmenter.load(model, "cpu") as segmenter:
        report = segmenter.segment_folder(tmp_path / "in", tmp_path / "out", overlay=True)
    assert (report.done, report.failures) == (len(FILES), ())
    assert read_label_png(tmp_path / "out" / "heic.png").shape == (HEIGHT, WIDTH)


def test_of_a_moving_picture_the_first_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "lime", "blue")]
    (tmp_path / "x.gif").write_bytes(encoded("GIF", frames[0], save_all=True, append_images=frames[1:]))
    (tmp_path / "x.avif").write_bytes(encoded("AVIF", frames[0], save_all=True, append_images=frames[1:]))
    for name in ("x.gif", "x.avif"):
        assert np.abs(read_image(tmp_path / name).pixels.astype(int) - (255, 0, 0)).max() <= 3


def test_a_gif_with_transparency_lies_over_black(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 255, 255, 0, 200, 0])
    image.putpixel((0, 0), 0)
    (tmp_path / "x.gif").write_bytes(encoded("GIF", image, transparency=0))
    pixels = read_image(tmp_path / "x.gif").pixels
    assert pixels[0, 0].tolist() == [0, 0, 0] and pixels[3, 3].tolist() == [0, 200, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_new_formats_are_turned_as_they_are_displayed(tmp_path: Path, suffix: str, orientation: int) -> None:
    """Both keep it as a property of the file, which decoders apply, and perhaps in EXIF besides."""
    upright = Image.fromarray(smooth())
    turned = upright.transpose(UNDO[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded("AVIF", turned, exif=exif, quality=95) if suffix == "avif" else heic(turned, exif=exif.tobytes())
    (tmp_path / "x").write_bytes(data)
    photo = read_image(tmp_path / "x")
    assert (photo.height, photo.width) == photo.pixels.shape[:2] == (HEIGHT, WIDTH)
    assert np.abs(photo.pixels.astype(int) - smooth()).mean() < 6


UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def test_without_its_extra_a_heic_photo_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.heic").write_bytes(heic())
    (tmp_path / "y.heic").write_bytes(heic().replace(b"ftypheic", b"ftypmif1", 1))  # as from other programs
    (tmp_path / "x.avif").write_bytes(encoded("AVIF"))
    assert read_image(tmp_path / "y.heic").height == HEIGHT
    monkeypatch.setattr("gseg_runtime.picture_formats._has_heif", lambda: _has_heif.__wrapped__())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for name in ("x.heic", "y.heic"):
        with pytest.raises(ImageError, match=rf"{name}: HEIC is read by .*{re.escape(install('heic'))}"):
            read_image(tmp_path / name)
    assert read_image(tmp_path / "x.avif").height == HEIGHT


@pytest.mark.parametrize("suffix", ["gif", "avif", "jp2", "heic"])
def test_no_kind_is_decoded_that_has_more_pixels_than_the_others_may(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(FILES[suffix]())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH // 3)
    monkeypatch.setattr("PIL.Image.Image.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=f"{HEIGHT * WIDTH} pixels"):
        read_image(tmp_path / "x")


@pytest.mark.parametrize("suffix", ["gif", "avif", "jp2", "heic"])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, suffix: str) -> None:
    data = FILES[suffix]()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "x").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ImageError):
            read_image(tmp_path / "x")
