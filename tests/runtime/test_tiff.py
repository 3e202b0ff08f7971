"""TIFFs of every kind are shown as another decoder's samples say, or refused by their kind."""

import io
import struct
import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from gseg_cli.app import main
from gseg_runtime.errors import ImageError
from gseg_runtime.images import Photo, decode_image
from gseg_runtime.label_map import Pixels
from gseg_runtime.tiff_pages import MORE, holds_more

HEIGHT, WIDTH = 37, 53  # no multiples of bytes, tiles or strips


def ramps(num_samples: int, bits: int) -> np.ndarray:
    """[H, W] or [H, W, samples]; every sample goes through its whole range in its own direction."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    slopes = [x / (WIDTH - 1), y / (HEIGHT - 1), (x + y) / (WIDTH + HEIGHT - 2), 1 - x / (WIDTH - 1), y * x / 2000]
    samples = np.stack([np.clip(slope, 0, 1) for slope in slopes[:num_samples]], axis=2)
    values = (samples * (2**bits - 1)).round().astype(np.uint8 if bits <= 8 else np.uint16)
    return values[:, :, 0] if num_samples == 1 else values


def written(samples: np.ndarray, **options: Any) -> bytes:
    """By tifffile. Planes come first where they are kept apart."""
    file = io.BytesIO()
    if options.get("planarconfig") == "separate":
        samples = np.moveaxis(samples, 2, 0)
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def read(data: bytes) -> Photo:
    return decode_image(data, Path("x.tif"))


def shown(data: bytes) -> Pixels:
    """The pixels that the samples stand for, by TIFF 6.0 and by tifffile; of unsigned samples."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        samples = page.asarray() / (2**page.bitspersample - 1)
        if page.samplesperpixel > 1 and page.planarconfig == 2:
            samples = np.moveaxis(samples, 0, -1)
        samples = samples.reshape(HEIGHT, WIDTH, -1)
        num_colors = {"RGB": 3, "SEPARATED": 4}.get(page.photometric.name, 1)
        colors, extra = samples[..., :num_colors], samples[..., num_colors:]
        if page.photometric.name == "MINISWHITE":
            colors = 1 - colors
        if num_colors == 4:
            colors = (1 - colors[..., :3]) * (1 - colors[..., 3:])
        if page.extrasamples and page.extrasamples[0] == 2:  # alpha that the colours are not multiplied by
            colors = colors * extra[..., :1]
    return np.broadcast_to((colors * 255).round().astype(np.uint8), (HEIGHT, WIDTH, 3))


COLORS: dict[str, tuple[int, dict[str, Any]]] = {
    "grey": (1, {"photometric": "minisblack"}),
    "white is zero": (1, {"photometric": "miniswhite"}),
    "grey and alpha": (2, {"photometric": "minisblack", "extrasamples": ["unassalpha"]}),
    "grey by alpha": (2, {"photometric": "minisblack", "extrasamples": ["assocalpha"]}),
    "RGB": (3, {"photometric": "rgb"}),
    "RGB and alpha": (4, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "RGB by alpha": (4, {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
    "RGB and more": (5, {"photometric": "rgb", "extrasamples": ["unspecified", "unspecified"]}),
    "CMYK": (4, {"photometric": "separated"}),
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "planes": {"planarconfig": "separate"},
    "big-endian planes": {"planarconfig": "separate", "byteorder": ">"},
    "planes in tiles": {"planarconfig": "separate", "tile": (16, 32), "compression": "zlib"},
    "tiles": {"tile": (16, 16)},
    "differences": {"compression": "zlib", "predictor": True},
    "differences in tiles": {"compression": "zlib", "predictor": True, "tile": (16, 16)},
    "differences in planes": {"compression": "zlib", "predictor": True, "planarconfig": "separate"},
    "strips": {"rowsperstrip": 5, "compression": "lzma"},
    "BigTIFF": {"bigtiff": True},
}


def has_planes(color: str, layout: str) -> bool:
    """One sample alone has none to keep apart."""
    return COLORS[color][0] > 1 or "planarconfig" not in LAYOUTS[layout]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("color", "layout"), [pair for pair in product(COLORS, LAYOUTS) if has_planes(*pair)])
def test_whole_bytes_are_shown_as_another_decoder_has_them(color: str, layout: str, bits: int) -> None:
    num_samples, options = COLORS[color]
    samples = ramps(num_samples, bits)
    if "by alpha" in color:
        samples = (samples * (samples[..., -1:] / (2**bits - 1))).astype(samples.dtype)
    data = written(samples, **options, **LAYOUTS[layout])
    assert np.abs(read(data).pixels.astype(int) - shown(data)).max() <= 2


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("layout", ["plain", "big-endian", "planes", "tiles", "strips"])
@pytest.mark.parametrize("color", ["grey", "white is zero", "RGB"])
def test_samples_that_are_no_whole_bytes_reach_from_black_to_white(color: str, layout: str, bits: int) -> None:
    num_samples = COLORS[color][0]
    values = ramps(num_samples, bits)
    planes = [values[..., i] for i in range(num_samples)] if num_samples > 1 else [values]
    is_planar = layout == "planes" and num_samples > 1
    stored = planes if is_planar else [values.reshape(HEIGHT, -1)]
    tile = (16, 16) if layout == "tiles" else None
    photometric = {"white is zero": 0, "grey": 1, "RGB": 2}[color]
    data = packed(stored, bits, num_samples, photometric, is_planar, ">" if layout == "big-endian" else "<", tile)
    expected = np.stack([planes[min(i, num_samples - 1)] for i in range(3)], axis=2) / (2**bits - 1)
    expected = 1 - expected if color == "white is zero" else expected
    pixels = read(data).pixels
    assert np.abs(pixels.astype(int) - (expected * 255).round()).max() <= 1
    assert (pixels.min(), pixels.max()) == (0, 255)


def packed(
    planes: list[np.ndarray], bits: int, num_samples: int, photometric: int, planar: bool, order: str,
    tile: tuple[int, int] | None,
) -> bytes:  # fmt: skip
    """A file by hand: each row of each plane begins at a byte, the highest bit first."""
    per_pixel = 1 if planar else num_samples
    blocks: list[bytes] = []
    for plane in planes:
        if tile is None:
            blocks += [rows_of(plane[top : top + 10], bits) for top in range(0, HEIGHT, 10)]
            continue
        padded = np.zeros((-(-HEIGHT // 16) * 16, -(-WIDTH // 16) * 16 * per_pixel), plane.dtype)
        padded[: plane.shape[0], : plane.shape[1]] = plane
        for top in range(0, len(padded), 16):
            blocks += [
                rows_of(padded[top : top + 16, left : left + 16 * per_pixel], bits)
                for left in range(0, padded.shape[1], 16 * per_pixel)
            ]
    offsets = (8 + np.cumsum([0, *map(len, blocks)]))[:-1].tolist()
    counts = [len(block) for block in blocks]
    tags = {256: [WIDTH], 257: [HEIGHT], 258: [bits] * num_samples, 259: [1], 262: [photometric], 277: [num_samples]}
    tags[284] = [2 if planar else 1]
    if tile is None:
        tags |= {273: offsets, 278: [10], 279: counts}
    else:
        tags |= {322: [16], 323: [16], 324: offsets, 325: counts}
    return with_tags(b"".join(blocks), tags, order)


def rows_of(rows: np.ndarray, bits: int) -> bytes:
    shifts = np.arange(bits - 1, -1, -1)
    return np.packbits((rows[:, :, None] >> shifts & 1).reshape(len(rows), -1), axis=1).tobytes()


def with_tags(body: bytes, tags: dict[int, list[Any]], order: str = "<") -> bytes:
    """Head, `body` from byte 8 on, and a directory; floating-point values are written as such."""
    start = 8 + len(body) + len(body) % 2
    entries, behind = b"", b""
    for tag, values in sorted(tags.items()):
        kind, letter = (12, "d") if isinstance(values[0], float) else (4, "I")
        content = struct.pack(f"{order}{len(values)}{letter}", *values)
        place = start + 2 + 12 * len(tags) + 4 + len(behind)
        is_inside = len(content) <= 4
        entries += struct.pack(f"{order}HHI", tag, kind, len(values))
        entries += content if is_inside else struct.pack(f"{order}I", place)
        behind += b"" if is_inside else content
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + body.ljust(start - 8, b"\0") + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + behind


def test_white_of_12_bits_is_white() -> None:
    white = np.full((HEIGHT, WIDTH), 4095, np.uint16)
    assert (read(packed([white], 12, 1, 1, False, "<", None)).pixels == 255).all()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("num_samples", [1, 3])
def test_signed_floating_and_long_samples_need_a_range_in_the_file(dtype: type[Any], num_samples: int) -> None:
    low, high = (0, 100) if dtype is np.uint32 else (-20, 100)
    values = (low + (high - low) * ramps(num_samples, 16) / 65535).astype(dtype)
    photometric = "rgb" if num_samples == 3 else "minisblack"
    with pytest.raises(ImageError, match=rf"x\.tif: a TIFF of {num_samples} .* the file does not tell their range"):
        read(written(values, photometric=photometric))
    limits = [(340, "d", 1, float(low), True), (341, "d", 1, float(high), True)]
    pixels = read(written(values, photometric=photometric, extratags=limits)).pixels
    expected = ((values.astype(float) - low) / (high - low) * 255).reshape(HEIGHT, WIDTH, -1)
    assert np.abs(pixels - expected).max() <= 1


def test_what_is_no_number_is_black_and_what_lies_outside_the_range_is_cut() -> None:
    values = np.array([[np.nan, -np.inf, 0, 0.5, 1, np.inf]], np.float32)
    data = written(values, photometric="minisblack", extratags=[(340, "f", 1, 0.0, True), (341, "f", 1, 1.0, True)])
    assert read(data).pixels[0, :, 0].tolist() == [0, 0, 0, 128, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_read_by_its_samples_is_turned_as_well(orientation: int) -> None:
    options = {"photometric": "rgb", "planarconfig": "separate", "extratags": [(274, "H", 1, orientation, True)]}
    pixels = read(written(ramps(3, 16), **options)).pixels
    plain = read(written(ramps(3, 8), photometric="rgb", extratags=options["extratags"])).pixels
    assert pixels.shape == plain.shape and np.abs(pixels.astype(int) - plain).max() <= 1


def test_a_palette_in_8_bits_is_no_black_picture() -> None:
    """The format wants 16 bits; viewers guess, as libtiff does."""
    indices = (ramps(1, 8) % 4).astype(np.uint8)
    colors = np.zeros((3, 256), np.uint16)
    colors[:, :4] = [[255, 0, 0, 90], [0, 255, 0, 90], [0, 0, 255, 90]]
    for palette in (colors, colors * 257):
        tags = {256: [WIDTH], 257: [HEIGHT], 258: [8], 259: [1], 262: [3], 273: [8], 277: [1], 278: [HEIGHT]}
        data = with_tags(indices.tobytes(), {**tags, 279: [indices.size], 320: palette.ravel().tolist()})
        np.testing.assert_array_equal(read(data).pixels, colors.T.astype(np.uint8)[indices])


REFUSED: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "bands": (
        ramps(4, 8),
        {"photometric": "minisblack", "planarconfig": "contig"},
        "4 unsigned samples of 8 bits.*nothing tells which",
    ),
    "complex": (ramps(1, 8).astype(np.complex64), {"photometric": "minisblack"}, "1 complex sample of 64 bits"),
    "long": (ramps(1, 16).astype(np.uint64), {"photometric": "minisblack"}, "1 unsigned sample of 64 bits"),
    "Lab": (ramps(3, 16), {"photometric": "cielab"}, "3 unsigned samples of 16 bits, Lab"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_read_is_refused_by_its_kind(kind: str) -> None:
    samples, options, reason = REFUSED[kind]
    with pytest.raises(ImageError, match=rf"x\.tif: a TIFF of {reason}"):
        read(written(samples, **options))


def test_an_unknown_compression_is_refused_by_its_number() -> None:
    tags = {256: [4], 257: [2], 258: [8], 259: [50013], 262: [1], 273: [8], 277: [1], 278: [2], 279: [8]}
    with pytest.raises(ImageError, match=r"1 unsigned sample of 8 bits.*, compression 50013: such a compression"):
        read(with_tags(bytes(8), tags))


def test_no_more_is_decoded_than_the_limit_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(ramps(3, 16), photometric="rgb", planarconfig="separate")
    assert read(data).height == HEIGHT
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH // 3)
    with pytest.raises(ImageError, match=f"{HEIGHT * WIDTH} pixels"):
        read(data)
    floats = np.zeros((HEIGHT, WIDTH, 3), np.float64)
    limits = [(340, "d", 1, 0.0, True), (341, "d", 1, 1.0, True)]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH)
    with pytest.raises(ImageError, match="too many bytes"):
        read(written(floats, photometric="rgb", extratags=limits))


# What libtiff says.


@pytest.fixture
def silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing may reach stderr, by whatever way."""
    yield
    assert capfd.readouterr().err == ""


def lzw() -> bytes:
    file = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file, "TIFF", compression="tiff_lzw")
    return file.getvalue()


def broken() -> bytes:
    data = bytearray(lzw())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        start = file.pages.first.dataoffsets[0]
    data[start + 200 : start + 220] = b"\xff" * 20
    return bytes(data)


def test_a_broken_tiff_is_refused_in_libtiffs_words(silent: None) -> None:
    with pytest.raises(ImageError, match=r"x\.tif: (LZWDecode: |Using code)"):
        read(broken())
    assert read(lzw()).remark == ""


def test_each_thread_hears_of_its_own_picture_only(silent: None) -> None:
    wrong: list[str] = []

    def work(is_broken: bool) -> None:
        data = broken() if is_broken else lzw()
        for _ in range(50):
            try:
                if is_broken or read(data).remark:
                    wrong.append(read(data).remark)
            except ImageError as error:
                if not is_broken or "decoder error" in error.message:
                    wrong.append(error.message)

    threads = [threading.Thread(target=work, args=(index % 2 == 0,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def with_odd_tag() -> bytes:
    """A sound picture with a tag that libtiff complains of, though it goes on: one of number 0."""
    values = ramps(1, 8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", compression="tiff_lzw")
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as parsed:
        page = parsed.pages.first
        strip = file.getvalue()[page.dataoffsets[0] :][: page.databytecounts[0]]
    tags = {256: [WIDTH], 257: [HEIGHT], 258: [8], 259: [5], 262: [1], 273: [8], 277: [1], 278: [HEIGHT]}
    data = with_tags(strip, {**tags, 279: [len(strip)], 0: [0]})
    return data.replace(struct.pack("<HHII", 0, 4, 1, 0), bytes(12))  # of no type


def test_what_libtiff_says_of_a_picture_that_it_reads_is_told_with_its_name(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "odd.tif").write_bytes(with_odd_tag())
    np.testing.assert_array_equal(read(with_odd_tag()).pixels[..., 0], ramps(1, 8))
    assert main(["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", str(model)]) == 0
    lines = capfd.readouterr().err.splitlines()
    (told,) = [line for line in lines if "tag 0" in line]
    assert told.startswith(f"warning: {tmp_path / 'in' / 'odd.tif'}: TIFFFetchNormalTag: ")
    assert "TIFFFetchNormalTag" in (tmp_path / "out" / "gseg-manifest.jsonl").read_text()


def test_where_libtiff_is_out_of_reach_pictures_are_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gseg_runtime.libtiff._listen", lambda: False)
    assert read(lzw()).height == 40


# Other formats whose samples mislead.


def bmp(alpha: int) -> bytes:
    """32 bits with a mask for alpha (BITMAPV4HEADER)."""
    pixels = np.dstack([ramps(3, 8)[..., ::-1], np.full((HEIGHT, WIDTH), alpha, np.uint8)])[::-1].tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, 32, 3, len(pixels), 2835, 2835, 0, 0) + masks
    header = header.ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 14 + 108) + header + pixels


def test_a_bmp_whose_alpha_was_never_written_is_not_black() -> None:
    pixels = decode_image(bmp(alpha=0), Path("x.bmp")).pixels
    np.testing.assert_array_equal(pixels, ramps(3, 8))
    second = cv2.imdecode(np.frombuffer(bmp(alpha=0), np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(pixels, second)
    assert np.abs(decode_image(bmp(alpha=51), Path("x.bmp")).pixels.astype(int) - ramps(3, 8) / 5).max() <= 1


def test_a_jpeg_of_12_bits_is_refused_by_that() -> None:
    file = io.BytesIO()
    Image.new("L", (16, 16)).save(file, "JPEG")
    data = bytearray(file.getvalue())
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(ImageError, match=r"x\.jpg: JPEG: cannot handle 12-bit layers"):
        decode_image(bytes(data), Path("x.jpg"))


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("second", "options", "is_told"),
    [
        (ramps(3, 8), {}, True),
        (ramps(1, 16), {}, True),
        (ramps(3, 8)[::2, ::2], {}, False),  # another size, such as a thumbnail
        (ramps(3, 8), {"subfiletype": 1}, False),
        (ramps(1, 8) > 127, {"subfiletype": 4, "photometric": "mask"}, False),
    ],
)
def test_slices_of_a_stack_are_told_of_but_no_thumbnails_or_masks(
    second: np.ndarray, options: dict[str, Any], is_told: bool, order: Any, is_big: bool
) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=is_big, byteorder=order) as writer:
        writer.write(ramps(3, 8), photometric="rgb", metadata=None)
        usual = {"photometric": "rgb" if second.ndim == 3 else "minisblack", "metadata": None}
        writer.write(second, **{**usual, **options})
    assert holds_more(file.getvalue()) == is_told
    assert not any(holds_more(file.getvalue()[:end]) for end in range(0, 200, 7))  # cut off
    if not (is_big and order == ">"):  # which is not read
        assert read(file.getvalue()).remark == (MORE if is_told else "")
