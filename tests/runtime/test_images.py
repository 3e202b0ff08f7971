import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import list_images, read_image
from gseg_runtime.jpeg_scans import check_scans


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 40)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_pictures_are_read_as_they_are_displayed(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"x{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth(24, 40)).save(path, exif=exif, quality=95)
    with Image.open(path) as image:
        expected = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    photo = read_image(path)
    assert (photo.height, photo.width) == expected.shape[:2] == ((40, 24) if orientation > 4 else (24, 40))
    assert np.abs(photo.pixels.astype(int) - expected).max() <= 2


def test_a_large_jpeg_is_decoded_small_and_looks_the_same_in_the_square(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth(768, 1024)).save(tmp_path / "x.jpg", quality=95, exif=exif)
    full, reduced = read_image(tmp_path / "x.jpg"), read_image(tmp_path / "x.jpg", min_size=64)
    assert full.pixels.shape == (1024, 768, 3)
    assert reduced.pixels.shape == (128, 96, 3)
    assert (reduced.height, reduced.width) == (1024, 768)
    letterbox = Letterbox(1024, 768, 64)
    difference = np.abs(letterbox.apply(full.pixels).astype(int) - letterbox.apply(reduced.pixels))
    assert difference.mean() < 0.5


def test_every_mode_becomes_rgb(tmp_path: Path) -> None:
    grey16 = np.array([[0, 257 * 100, 65535]], np.uint16)
    cases = {
        "grey.png": (Image.fromarray(np.array([[0, 100, 255]], np.uint8)), [0, 100, 255]),
        "grey16.png": (Image.fromarray(grey16), [0, 100, 255]),
        "grey16.tif": (Image.fromarray(grey16), [0, 100, 255]),
        "bits.png": (Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1"), [0, 255, 255]),
        "indexed.png": (Image.fromarray(np.array([[0, 100, 255]], np.uint8)).convert("P"), [0, 100, 255]),
        "alpha.png": (Image.fromarray(np.array([[[200, 0], [100, 255], [200, 51]]], np.uint8), "LA"), [0, 100, 40]),
        "rgba.webp": (
            Image.fromarray(np.array([[[200] * 3 + [0], [100] * 3 + [255], [9] * 3 + [255]]], np.uint8)),
            [0, 100, 9],
        ),
    }
    for name, (image, expected) in cases.items():
        image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
        pixels = read_image(tmp_path / name).pixels
        assert pixels.dtype == np.uint8 and pixels.shape == (1, 3, 3), name
        np.testing.assert_allclose(pixels[0].astype(int), np.repeat(expected, 3).reshape(3, 3), atol=1, err_msg=name)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_that_no_eighth_divides_is_not_squeezed_when_it_is_decoded_small(
    tmp_path: Path, orientation: int
) -> None:
    pixels = np.full((1028, 1025, 3), 200, np.uint8)
    pixels[:950] = pixels[:, :950] = 60
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "x.jpg", quality=95, exif=exif)
    full, small = (read_image(tmp_path / "x.jpg", size) for size in (None, 64))
    letterbox = Letterbox(full.height, full.width, 64)
    squares = [letterbox.apply(photo.pixels, box=photo.box).astype(int) for photo in (full, small)]
    assert np.abs(squares[0] - squares[1]).mean() < 0.5 and np.abs(squares[0] - squares[1]).max() < 12


@pytest.mark.parametrize("side", [1, 2, 7, 8, 64])
def test_a_photo_that_is_decoded_in_full_takes_all_of_its_pixels(tmp_path: Path, side: int) -> None:
    Image.new("RGB", (side, side)).save(tmp_path / "x.jpg")
    assert read_image(tmp_path / "x.jpg").box is None and read_image(tmp_path / "x.jpg", 4 * side).box is None


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (32, 24), (180, 180, 180)).convert(mode).save(tmp_path / "x.jpg", quality=95)
    photo = read_image(tmp_path / "x.jpg", min_size=8)
    assert (photo.height, photo.width) == (24, 32)
    assert np.abs(photo.pixels.astype(int) - 180).max() <= 3


def broken_files(folder: Path) -> dict[str, str]:
    """Name -> a word of the reason."""
    good = folder / "good.jpg"
    Image.fromarray(smooth(64, 64)).save(good)
    (folder / "truncated.jpg").write_bytes(good.read_bytes()[:900])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("a letter to my mother")
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b"")]
    packed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    (folder / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    (folder / "folder.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to(folder / "nowhere")
    good.unlink()
    Image.new("P", (8, 8)).save(folder / "palette.png")
    indexed = (folder / "palette.png").read_bytes()
    palette = indexed.index(b"PLTE") - 4
    (folder / "palette.png").write_bytes(indexed[:palette] + indexed[indexed.index(b"IDAT") - 4 :])
    Image.fromarray(np.zeros((2, 2), np.float32)).save(folder / "float.tif")
    return {
        "truncated.jpg": "truncated",
        "empty.jpg": "empty",
        "text.jpg": "not a picture",
        "huge.png": "3600000000 pixels",
        "folder.jpg": "directory",
        "dangling.jpg": "No such file",
        "float.tif": "32 bits",
        "palette.png": "not as its format should be",
    }


def test_broken_files_are_named_with_their_reason(tmp_path: Path) -> None:
    for name, reason in broken_files(tmp_path).items():
        with pytest.raises(ImageError, match=reason) as caught:
            read_image(tmp_path / name)
        assert caught.value.message.startswith(f"{tmp_path / name}: ")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_does_not_cost_the_photo(tmp_path: Path) -> None:
    Image.fromarray(smooth(8, 8)).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
    assert read_image(tmp_path / "x.jpg").pixels.shape == (8, 8, 3)


def test_the_large_colour_profile_of_a_screen_does_not_cost_the_screenshot(tmp_path: Path) -> None:
    profile = np.random.default_rng(0).bytes(2_000_000)
    Image.fromarray(smooth(24, 40)).save(tmp_path / "x.png", icc_profile=profile)
    assert (read_image(tmp_path / "x.png").pixels == smooth(24, 40)).all()


def scans(number: int) -> bytes:
    """A progressive JPEG whose last scan occurs so often."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "JPEG", progressive=True)
    start = buffer.getvalue().rindex(b"\xff\xda")
    return buffer.getvalue()[:start] + number * buffer.getvalue()[start:-2] + b"\xff\xd9"


def test_a_jpeg_that_would_be_decoded_for_hours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "many.jpg").write_bytes(scans(1000))
    with pytest.raises(ImageError, match="more than 500 scans"):
        read_image(tmp_path / "many.jpg")
    (tmp_path / "video.jpg").write_bytes(scans(100) + 1000 * b"\xff\xda")  # what phones put behind a photo
    assert read_image(tmp_path / "video.jpg").pixels.shape == (16, 16, 3)


def test_scans_of_single_components_count_and_one_of_all_does_not() -> None:
    frame = b"\xff\xd8\xff\xc0\0\x11\x08\0\x10\0\x10\3\1\x11\0\2\x11\0\3\x11\0"
    single, of_all = b"\xff\xda\0\x08\1\1\0\0\x3f\0", b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0"
    with pytest.raises(ValueError, match="more than 500 scans"):
        check_scans(frame + 501 * single)
    check_scans(frame + 500 * single)
    check_scans(frame + 501 * of_all)  # libjpeg reads the first alone


def test_listing_is_sorted_recursive_and_follows_links_once(tmp_path: Path) -> None:
    for name in ["b.JPG", "a.png", "deep/c.tiff", "notes.txt", "noextension", "deep/.gseg-tmp-1.png"]:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.webp").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    found = [os.fspath(path.relative_to(tmp_path / "in")) for path in list_images(tmp_path / "in")]
    assert found == ["a.png", "b.JPG", "deep/c.tiff", "link/d.webp"]
    assert list_images(tmp_path / "in" / "a.png") == [tmp_path / "in" / "a.png"]
    with pytest.raises(GsegError, match="no such file or folder"):
        list_images(tmp_path / "nowhere")
