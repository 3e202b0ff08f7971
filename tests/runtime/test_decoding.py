"""Options of how photos are read: what is behind transparency, files that end early, and how large a photo may be."""

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import MakePhoto
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.errors import ImageError
from gseg_runtime.files import read_json
from gseg_runtime.images import TRUNCATED, Decoding, decode_image
from gseg_runtime.label_map import Pixels, read_label_png
from gseg_runtime.manifest import read_entries, read_manifest
from gseg_runtime.merge import merge
from gseg_runtime.to_rgb import to_rgba

SOURCE = Path("x")
ORANGE = (250, 120, 10)


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


def encoded(pixels: Any, mode: str, name: str, **save: object) -> bytes:
    file = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels, mode)).save(file, name, **save)
    return file.getvalue()


def shading(mode: str) -> np.ndarray:
    """[6, 8, channels] of grey or colour, with every alpha."""
    channels = np.random.default_rng(0).integers(0, 256, (6, 8, len(mode)), np.uint8)
    channels[0, :, -1], channels[1, :, -1] = 0, 255
    return channels


def over(pixels: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """By the formula; float [H, W, 3]."""
    alpha = pixels[..., -1:] / 255
    return pixels[..., :-1] * alpha + np.array(color) * (1 - alpha)


@pytest.mark.parametrize(("mode", "name"), [("RGBA", "PNG"), ("RGBA", "WEBP"), ("LA", "PNG"), ("RGBA", "TIFF")])
def test_transparency_is_shown_over_the_background(mode: str, name: str) -> None:
    pixels = shading(mode)
    data = encoded(pixels, mode, name, **({"lossless": True, "exact": True} if name == "WEBP" else {}))
    for color in (ORANGE, (0, 0, 0), (255, 255, 255)):
        shown = decode_image(data, SOURCE, how=Decoding(background=color)).pixels
        assert np.abs(shown - over(pixels, color)).max() <= 1


def png(depth: int, colour_type: int, samples: bytes, transparent: bytes) -> bytes:
    """One row of two pixels; Pillow does not write all that it reads."""
    header = struct.pack(">IIBBBBB", 2, 1, depth, colour_type, 0, 0, 0)
    chunks = {b"IHDR": header, b"tRNS": transparent, b"IDAT": zlib.compress(b"\0" + samples), b"IEND": b""}
    rows = (struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(rows)


COLOUR = bytes([200, 34, 100, 17, 1, 51])


@pytest.mark.parametrize(
    ("depth", "colour_type", "samples", "transparent", "shown"),
    [
        (1, 0, b"\x80", b"\0\1", [0, 0, 0]),
        (2, 0, b"\x90", b"\0\2", [85, 85, 85]),
        (4, 0, b"\x96", b"\0\x09", [102, 102, 102]),
        (8, 0, b"\x09\x66", b"\0\x09", [102, 102, 102]),
        (16, 0, b"\xc8\x22\xc8\xc8", b"\xc8\x22", [200, 200, 200]),
        (16, 2, COLOUR + COLOUR[::-1], COLOUR, [51, 17, 34]),
    ],
)
def test_the_transparent_value_of_a_png_of_any_depth(
    depth: int, colour_type: int, samples: bytes, transparent: bytes, shown: list[int]
) -> None:
    data = png(depth, colour_type, samples, transparent)
    assert decode_image(data, SOURCE, how=Decoding(background=ORANGE)).pixels.tolist() == [[[*ORANGE], shown]]
    with Image.open(io.BytesIO(data)) as image:
        pixels = to_rgba(image)
    assert pixels is not None and pixels.tolist() == [[[0, 0, 0, 0], [*shown, 255]]]


@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_so_it_is_in_a_tiff_of_16_bits(mode: str, extra: str) -> None:
    pixels = shading(mode)
    samples = pixels.astype(np.float64) * 257
    if extra == "assocalpha":
        samples[..., :-1] *= pixels[..., -1:] / 255
    file = io.BytesIO()
    photometric = "minisblack" if mode == "LA" else "rgb"
    planes = np.moveaxis(samples.round().astype(np.uint16), 2, 0)  # Pillow leaves planes of 16 bits to us
    tifffile.imwrite(file, planes, photometric=photometric, planarconfig="separate", extrasamples=[extra])
    for color in (ORANGE, (0, 0, 0)):
        shown = decode_image(file.getvalue(), SOURCE, how=Decoding(background=color)).pixels
        assert np.abs(shown - over(pixels, color)).max() <= 1


def test_a_colour_may_be_a_name_and_resume_notices_another(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(tmp_path / "in" / "x.png")
    out = tmp_path / "out"
    call = ["segment", str(tmp_path / "in"), "-o", str(out), "--model", str(model)]
    assert main([*call, "--background", "white", "--cutout"]) == 0
    assert np.unique(read_label_png(out / "x.png")).tolist() == [3]
    assert np.unique(np.asarray(Image.open(out / "x.cutout.png"))).tolist() == [255]
    assert [entry.settings for entry in read_manifest(out)] == [{"background": "#ffffff"}]
    capsys.readouterr()
    assert main([*call, "--resume"]) == 1
    assert "made with --background #ffffff, not with --background black" in capsys.readouterr().err
    assert main([*call, "--resume", "--background", "#fff"]) == 0
    assert main([*call, "--overwrite", "--background", "hsl(0, 0%, 0%)"]) == 0
    assert [entry.settings for entry in read_manifest(out)] == [None]
    for wrong in ("pink-ish", "#ff00", "rgba(1,2,3,4)", ""):
        capsys.readouterr()
        assert main([*call, "--overwrite", "--background", wrong]) == 2
        assert "error: --background: expected a colour without transparency" in capsys.readouterr().err


def test_photos_that_were_decoded_quickly_are_not_gone_on_with_otherwise(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model)]
    assert main([*call, "--fast-decode"]) == 0
    assert {str(entry.settings) for entry in read_manifest(tmp_path / "out")} == {"{'fast_decode': True}"}
    capsys.readouterr()
    assert (
        main([*call, "--resume"]) == 1
        and "made with --fast-decode, not without --fast-decode" in capsys.readouterr().err
    )
    assert main([*call, "--resume", "--fast-decode"]) == 0


def test_shards_over_different_backgrounds_are_not_merged(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    for index in (0, 1):
        segmenter.segment_folder(photos, tmp_path / str(index), shard=(index, 2), background=(index, 0, 0))
    with pytest.raises(GsegError, match="one with --background black, the other with --background #010000"):
        merge([tmp_path / "0", tmp_path / "1"], tmp_path / "merged")


def gradient() -> Pixels:
    """Noise, so that files are long, and a slope from dark to light."""
    pixels = np.random.default_rng(0).integers(0, 60, (120, 160, 3), np.uint8)
    return pixels + np.linspace(20, 190, 120).astype(np.uint8)[:, None, None]


TRUNCATABLE = {
    "JPEG": {"quality": 95},
    "progressive JPEG": {"quality": 95, "progressive": True},
    "PNG": {},
    "GIF": {"interlace": False},
    "BMP": {},
}


@pytest.mark.parametrize("kind", TRUNCATABLE)
def test_a_truncated_photo_is_read_as_far_as_it_goes_if_one_says_so(kind: str) -> None:
    pixels = gradient()
    whole = encoded(pixels, "RGB", kind.split()[-1], **TRUNCATABLE[kind])
    expected = decode_image(whole, SOURCE, how=Decoding(allow_truncated=True))
    assert expected.remark == ""
    for share in (0.4, 0.7, 0.98):
        data = whole[: int(share * len(whole))]
        with pytest.raises(ImageError, match="truncated"):
            decode_image(data, SOURCE)
        photo = decode_image(data, SOURCE, how=Decoding(allow_truncated=True))
        assert (photo.remark, photo.height, photo.width) == (TRUNCATED, 120, 160)
        there = slice(90, 118) if kind == "BMP" else slice(2, 28)  # a BMP begins at the bottom
        tolerance = 60 if kind == "progressive JPEG" else 0  # its first scans are coarse
        assert np.abs(photo.pixels[there].astype(int) - expected.pixels[there]).mean() <= tolerance


def test_a_jpeg_that_lacks_data_in_the_middle_is_one_that_ends_early() -> None:
    whole = encoded(gradient(), "RGB", "JPEG", quality=95)
    data, says = whole[:9000] + whole[9500:], "premature end of data segment"
    for min_size in (None, 20):
        with pytest.raises(ImageError, match=f"image file is truncated: .*{says}"):
            decode_image(data, SOURCE, min_size)
        assert says in decode_image(data, SOURCE, min_size, Decoding(allow_truncated=True)).remark


def test_what_is_harmless_in_a_jpeg_is_a_remark() -> None:
    whole = encoded(gradient(), "RGB", "JPEG", quality=95)
    scan = whole.rindex(b"\xff\xda")
    photo = decode_image(whole[:scan] + b"abc" + whole[scan:], SOURCE)
    assert photo.remark == "Corrupt JPEG data: 3 extraneous bytes before marker 0xda"
    assert np.array_equal(photo.pixels, decode_image(whole, SOURCE).pixels)


def test_a_truncated_photo_of_which_nothing_is_there_fails() -> None:
    for name, first in (("PNG", b"IDAT"), ("BMP", b"\0\x18"), ("GIF", b",")):  # a JPEG is never of one colour
        whole = encoded(gradient(), "RGB", name)
        data = whole[: whole.index(first) + 30]  # little more than the header
        with pytest.raises(ImageError, match="truncated before the first pixels"):
            decode_image(data, SOURCE, how=Decoding(allow_truncated=True))


def test_no_cut_is_a_bug_and_none_is_silent() -> None:
    for kind, save in TRUNCATABLE.items():
        whole = encoded(gradient()[:20, :20], "RGB", kind.split()[-1], **save)
        for length in range(12, len(whole) - 1, max(1, len(whole) // 97)):
            try:
                photo = decode_image(whole[:length], SOURCE, how=Decoding(allow_truncated=True))
            except ImageError:
                continue
            is_same = np.array_equal(photo.pixels, decode_image(whole, SOURCE).pixels)
            assert photo.remark == TRUNCATED or is_same, (kind, length)


def test_a_truncated_photo_is_a_warning_a_remark_and_a_failure_again_without_the_option(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "cut.jpg").write_bytes(encoded(gradient(), "RGB", "JPEG", quality=95)[:-2000])
    out = tmp_path / "out"
    call = ["segment", str(photos), "-o", str(out), "--model", str(model), "--overlay"]
    assert main(call) == 3
    said = capsys.readouterr().err
    assert "cut.jpg: image file is truncated" in said and "hint: add --allow-truncated" in said
    assert main([*call, "--resume", "--allow-truncated", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["data"]["done"] == 1
    assert f"warning: {photos / 'cut.jpg'}: {TRUNCATED}" in captured.err
    remarks = {entry.name: entry.remark for entry in read_manifest(out)}
    assert {name for name, remark in remarks.items() if remark} == {"cut.jpg"}
    assert main([*call, "--resume", "--allow-truncated"]) == 0
    assert read_json(out / "gseg-report.json")["skipped"] == 5
    assert main([*call, "--resume"]) == 3
    assert [entry.name for entry in read_entries(out) if entry.status == "failed"] == ["cut.jpg"]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000"])
def test_the_largest_photo_is_chosen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(gradient(), "RGB", name)
    expected = decode_image(data, SOURCE).pixels
    assert np.array_equal(decode_image(data, SOURCE, how=Decoding(max_pixels=19_200)).pixels, expected)
    with pytest.raises(ImageError, match="19200 pixels, more than 19199"):
        decode_image(data, SOURCE, how=Decoding(max_pixels=19_199))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_000)  # of the whole process; twice as many are refused
    with pytest.raises(ImageError, match="19200 pixels"):
        decode_image(data, SOURCE)
    assert np.array_equal(decode_image(data, SOURCE, how=Decoding(max_pixels=20_000)).pixels, expected)


def test_with_a_limit_what_is_broken_is_still_named(tmp_path: Path) -> None:
    for data in (b"\xff\xd8\xffno photo", b"\x89PNG\r\n\x1a\nno picture", b"GIF89a", b"BM", b"II*\0"):
        with pytest.raises(ImageError) as bare:
            decode_image(data, SOURCE)
        with pytest.raises(ImageError) as limited:
            decode_image(data, SOURCE, how=Decoding(max_pixels=10**9))
        assert limited.value.message == bare.value.message


def test_max_pixels_on_the_command_line(model: Path, make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "in" / "large.jpg", 50, 50)
    make_photo(tmp_path / "in" / "small.jpg", 20, 20)
    call = ["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", str(model), "--max-pixels"]
    assert main([*call, "0"]) == 2
    assert main([*call, "400"]) == 3
    assert read_json(tmp_path / "out" / "gseg-report.json")["failures"] == [
        {"path": str(tmp_path / "in" / "large.jpg"), "reason": "2500 pixels, more than 400"}
    ]


def test_a_photo_above_pillows_limit_fails_with_what_lets_it_in(
    model: Path, make_photo: MakePhoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for name in ("1.jpg", "2.png", "3.tif"):
        make_photo(tmp_path / "in" / name, 50, 50)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    call = ["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", str(model)]
    assert main(call) == 1
    assert capsys.readouterr().err.count("hint: a larger --max-pixels") == 1
    assert main([*call, "--resume", "--max-pixels", "2500"]) == 0
