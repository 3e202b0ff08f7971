import json
from pathlib import Path

import pytest
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import Segmenter
from gseg_runtime.bench import made_up_photos, run_bench
from gseg_runtime.errors import UsageError


@pytest.mark.parametrize("batch", [1, 4])
def test_bench_sets_the_folder_against_its_stages(model: Path, photos: Path, batch: int) -> None:
    before = sorted(photos.rglob("*"))
    with Segmenter.load(model, "cpu", batch=batch) as segmenter:
        result = run_bench(segmenter, photos, count=3, seconds=0.1, workers=2)
    assert (result.images, result.workers, result.batch) == (3, 2, batch)
    figures = result.to_json()
    assert all(figures[name] > 0 for name in ("decode_ms", "infer_ms", "encode_ms", "bare", "end_to_end", "cpu_ms"))
    assert figures["of_bare"] == pytest.approx(result.end_to_end / result.bare)
    codecs_s, infer_s = (result.decode_ms + result.encode_ms) / 1e3, result.infer_ms / 1e3
    allowed = 2 / (codecs_s + infer_s) if batch == 1 else min(2 / codecs_s, 1 / infer_s)
    assert figures["of_ceiling"] == pytest.approx(result.end_to_end / allowed)
    assert sorted(photos.rglob("*")) == before


def test_bench_shows_a_table_or_json(model: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["bench", "--model", str(model), "--photos", str(photos), "--device", "cpu", "--seconds", "0.05"]
    assert main(call) == 0
    assert "the engine alone" in capsys.readouterr().out
    assert main([*call, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["device"] == "ONNX Runtime, CPU"
    (photos / "none").mkdir()
    assert main([*call, "--photos", str(photos / "none")]) == 1


def test_one_photo_may_be_called_anything_as_elsewhere(model: Path, photos: Path) -> None:
    photo = next(path for path in sorted(photos.iterdir()) if path.suffix == ".jpg")
    with Segmenter.load(model, "cpu") as segmenter:
        assert run_bench(segmenter, photo.rename(photos / "photo"), count=3, seconds=0.05).images == 1


def test_masks_beside_photos_are_no_photos_to_measure_on(model: Path, tmp_path: Path) -> None:
    """As of `gseg segment`, whose speed is measured."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.new("P", (40, 30)).save(tmp_path / folder / "a.png")
    with Segmenter.load(model, "cpu") as segmenter:
        assert run_bench(segmenter, tmp_path, count=9, seconds=0.05).images == 1


def test_made_up_photos_have_the_size_asked_for_and_that_of_a_photograph(tmp_path: Path) -> None:
    first, second = made_up_photos(tmp_path / "photos", 2, (400, 300))
    assert first.read_bytes() != second.read_bytes()
    with Image.open(first) as image:
        assert image.size == (400, 300) and image.format == "JPEG"
    assert 0.1 < first.stat().st_size / (400 * 300) < 0.6


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_no_number_of_seconds_is_wrong_usage(model: Path, seconds: float) -> None:
    with (
        Segmenter.load(model, device="cpu") as segmenter,
        pytest.raises(UsageError, match=f"seconds: expected a number from 0 on, got {seconds}"),
    ):
        run_bench(segmenter, None, 1, seconds=seconds)
