"""gseg-failures.txt can be fed back."""

import io
import json
import os
from pathlib import Path

import pytest
from conftest import MakePhoto

from gseg_cli.app import main
from gseg_runtime import Segmenter
from gseg_runtime.files import read_json
from gseg_runtime.manifest import failed_masks
from gseg_runtime.merge import merge

BROKEN = b"\xff\xd8\xffno photo"


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


@pytest.fixture
def some_broken(photos: Path) -> Path:
    (photos / "deep" / "broken.jpg").write_bytes(BROKEN)
    (photos / os.fsdecode(b"\xe9 .jpg")).write_bytes(BROKEN)
    return photos


def feed(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    class Stdin:
        buffer = io.BytesIO(path.read_bytes())

    monkeypatch.setattr("sys.stdin", Stdin)


def test_failures_are_fed_back_and_their_masks_lie_where_they_belong(
    model: Path, some_broken: Path, make_photo: MakePhoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    call = ["-o", str(out), "--model", str(model), "--failures", "--stats"]
    assert main(["segment", str(some_broken), *call]) == 3
    names = (out / "gseg-failures.txt").read_bytes().splitlines()
    assert names == [os.fsencode(some_broken / "deep" / "broken.jpg"), os.fsencode(some_broken) + b"/\xe9 .jpg"]
    make_photo(some_broken / "deep" / "broken.jpg")
    feed(monkeypatch, out / "gseg-failures.txt")
    assert main(["segment", "-", "--base", str(some_broken), "--resume", *call]) == 3
    assert (out / "deep" / "broken.png").is_file()
    assert (out / "gseg-failures.txt").read_bytes().splitlines() == names[1:]
    assert len((out / "gseg-stats.csv").read_text().splitlines()) == 1 + 5 + 1  # a name has a line end


def test_a_name_with_a_line_end_makes_a_list_for_null(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (photos / "two\nlines.jpg", photos / "x.jpg"):
        path.write_bytes(BROKEN)
    out = tmp_path / "out"
    call = ["-o", str(out), "--model", str(model), "--failures"]
    assert main(["segment", str(photos), *call]) == 3
    again = ["segment", "-", "--base", str(photos), "--resume", *call]
    feed(monkeypatch, out / "gseg-failures.txt")
    capsys.readouterr()
    assert main(again) == 2 and "hint: --null" in capsys.readouterr().err
    feed(monkeypatch, out / "gseg-failures.txt")
    assert main([*again, "--null", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["data"]["failed"] == 2


def test_failures_that_a_run_is_not_given_stay_known_while_their_photos_are_there(
    segmenter: Segmenter, some_broken: Path, tmp_path: Path
) -> None:
    out, broken = tmp_path / "out", some_broken / "deep" / "broken.jpg"
    segmenter.segment_folder(some_broken, out, failures=True)
    listed = (out / "gseg-failures.txt").read_bytes()
    report = segmenter.segment_files([some_broken / "a.jpg"], out, resume=True)
    assert report.failures == () and (out / "gseg-failures.txt").read_bytes() == listed
    assert len(failed_masks(out)) == 2
    merge([out], tmp_path / "merged")
    assert (tmp_path / "merged" / "gseg-failures.txt").read_bytes() == listed
    broken.unlink()
    segmenter.segment_files([some_broken / "a.jpg"], out, resume=True)
    assert (out / "gseg-failures.txt").read_bytes() == os.fsencode(some_broken) + b"/\xe9 .jpg\n"


def test_without_failures_the_list_is_empty_and_without_the_option_there_is_none(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    segmenter.segment_folder(photos, tmp_path / "out")
    assert not (tmp_path / "out" / "gseg-failures.txt").exists()
    segmenter.segment_folder(photos, tmp_path / "out", overwrite=True, failures=True)
    assert (tmp_path / "out" / "gseg-failures.txt").read_bytes() == b""


def test_merged_shards_have_one_list(segmenter: Segmenter, some_broken: Path, tmp_path: Path) -> None:
    folders = [tmp_path / str(index) for index in range(2)]
    for index, folder in enumerate(folders):
        segmenter.segment_folder(some_broken, folder, shard=(index, 2), failures=True)
    merge(folders, tmp_path / "merged")
    lines = [line for folder in folders for line in (folder / "gseg-failures.txt").read_bytes().splitlines()]
    assert (tmp_path / "merged" / "gseg-failures.txt").read_bytes().splitlines() == sorted(lines)


def test_a_run_of_a_few_photos_keeps_what_is_known_of_the_others_and_the_next_makes_the_tables_whole(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out)
    (photos / "a.jpg").touch()
    segmenter.segment_files([photos / "a.jpg"], out, resume=True, coco=True)
    coco = read_json(out / "gseg-coco.json")
    assert [image["file_name"] for image in coco["images"]] == ["a.jpg"]  # of the others no masks are known
    assert segmenter.segment_folder(photos, out, resume=True).skipped == 1
    assert len(read_json(out / "gseg-coco.json")["images"]) == 4
