"""A bucket gives the masks that the folder gives, and is gone on with after whatever ended a run."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MakePhoto
from PIL import Image
from s3_server import NUM_PHOTOS, masks_below, masks_in, moody_server, rows_in, upload

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.files import read_json
from gseg_runtime.remote import listing
from gseg_runtime.remote.disk import DiskStore
from gseg_runtime.remote.objects import ObjectStore
from gseg_runtime.remote.open_store import open_store
from gseg_runtime.remote.retry import Patience
from gseg_runtime.remote.run_file import begin
from tests.test_imports import REFUSE

s3fs = pytest.importorskip("s3fs", reason="the extra [remote] is not installed")
AskAt = Callable[[int], None]
# `gseg` with an engine that takes its time and small blocks, so that a signal finds it at work.
SLOW = """
import sys, time
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.remote import listing
listing.BLOCK = 5
infer = LoadedModel.infer
def slow(self, squares, **options):
    time.sleep(0.05)
    return infer(self, squares, **options)
LoadedModel.infer = slow
from gseg_cli.app import main
sys.exit(main(sys.argv[1:]))
"""


def segment(model: Path, *flags: str, source: str = "s3://photos/in", out: str = "s3://masks/out") -> int:
    return main(["segment", source, "-o", out, "--model", str(model), "--device", "cpu", *flags])


@pytest.mark.parametrize("batch", [1, 4])
def test_a_bucket_gives_what_the_folder_gives_byte_for_byte(
    s3: Any, model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], batch: int
) -> None:
    upload(s3, mixed)
    segmenter = Segmenter.load(model, "cpu", batch=batch)
    expected = segmenter.segment_folder(mixed, tmp_path / "out", full_names=True)
    assert segment(model, "--json", "--batch", str(batch)) == 3  # some inputs failed
    found = json.loads(capsys.readouterr().out)["data"]
    assert masks_in(s3) == masks_below(tmp_path / "out")
    assert len(masks_in(s3)) == NUM_PHOTOS + 2
    assert {
        failure["path"].replace("s3://photos/in", str(mixed)): failure["reason"] for failure in found["failures"]
    } == {failure.path: failure.reason for failure in expected.failures}
    assert found["passed_over"] == expected.passed_over
    written = {name.removeprefix("masks/out/").partition("/")[0] for name in s3.find("masks/out")}
    assert written == {"0", "1", "2", "_gseg", "a.jpg.png", "a.png.png", "gseg-report.json"}
    assert json.loads(s3.cat_file("masks/out/gseg-report.json")).items() <= found.items()


def test_what_lies_beside_masks_is_the_same_too(
    s3: Any, model_with_confidence: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in" / "a.jpg", 51, 37)
    upload(s3, tmp_path / "in")
    flags = ["--overlay", "--confidence", "--cutout", "--binary", "--parts", "light"]
    assert segment(model_with_confidence, *flags) == 0
    assert (
        segment(model_with_confidence, "--full-names", *flags, source=str(tmp_path / "in"), out=str(tmp_path / "out"))
        == 0
    )
    names = [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith("a.jpg")]
    assert len(names) == 5
    assert all(s3.cat_file(f"masks/out/{name}") == (tmp_path / "out" / name).read_bytes() for name in names)


@pytest.mark.parametrize("way", ["up", "down", "disk"])
def test_either_side_may_be_a_folder(s3: Any, model: Path, mixed: Path, tmp_path: Path, way: str) -> None:
    upload(s3, mixed)
    out = tmp_path / "out"
    with Segmenter.load(model, "cpu") as segmenter:
        segmenter.segment_folder(mixed, tmp_path / "expected", full_names=True)
        source = "s3://photos/in" if way == "down" else str(mixed)
        segmenter.segment_remote(source, "s3://masks/out" if way == "up" else str(out))
    assert (masks_in(s3) if way == "up" else masks_below(out)) == masks_below(tmp_path / "expected")
    assert not list(out.rglob(".gseg-tmp-*"))


def test_the_address_of_a_folder_is_that_folder(
    model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, out = f"file://{mixed}", tmp_path / "out"
    assert segment(model, source=address, out=str(mixed / "masks")) == 1
    assert "the output and the input hold each other" in capsys.readouterr().err
    assert segment(model, source=address, out=f"file://{out}") == 3
    assert len(masks_below(out)) == NUM_PHOTOS + 2
    assert segment(model, "--resume", source=address, out=str(out)) == 3
    assert f"0 masks, {NUM_PHOTOS + 2} were there already" in capsys.readouterr().out


@pytest.mark.parametrize("scheme", ["file://localhost", "FILE://"])
def test_the_address_of_a_folder_may_be_spelt_as_others_do(
    scheme: str, model: Path, photos: Path, tmp_path: Path
) -> None:
    assert segment(model, source=f"{scheme}{photos}", out=f"{scheme}{tmp_path / 'out'}") == 0
    assert len(masks_below(tmp_path / "out")) == 4


def test_the_address_of_a_folder_may_have_its_spaces_written_as_20(model: Path, photos: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "my photos, 100%", tmp_path / "söme masks"
    photos.rename(source)
    assert segment(model, source=source.as_uri(), out=out.as_uri()) == 0
    assert len(masks_below(out)) == 4


def test_parts_and_report_say_how_sure_the_model_is_of_photos(
    model_with_logits: Path, photos: Path, tmp_path: Path
) -> None:
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        expected = segmenter.segment_folder(photos, tmp_path / "folder")
    assert segment(model_with_logits, source=f"file://{photos}", out=f"file://{tmp_path / 'address'}") == 0
    told = read_json(tmp_path / "address" / "gseg-report.json")["least_sure"]
    assert told == [doubt._asdict() for doubt in expected.least_sure] and len(told) == 4
    parts = (tmp_path / "address" / "_gseg" / "parts").iterdir()
    rows = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    assert {row["key"]: row["confidence"] for row in rows} == dict(expected.least_sure)


def test_a_scheme_in_capitals_is_known(s3: Any, model: Path, make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "in" / "a.jpg", 51, 37)
    upload(s3, tmp_path / "in")
    assert segment(model, source="S3://photos/in", out=str(tmp_path / "out")) == 0


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("file://", "file://: names no place\nhint: write file:///FOLDER"),
        ("s3://", "s3://: names no bucket\nhint: write s3://BUCKET/FOLDER"),
        ("s3:///photos", "s3:///photos: names no bucket\nhint: write s3://BUCKET/FOLDER"),
    ],
)
def test_an_address_of_a_variable_that_is_not_set_is_wrong_usage(
    address: str,
    words: str,
    model: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos)  # which would be segmented
    assert segment(model, source=address, out=str(tmp_path / "out")) == 2
    assert segment(model, source=str(photos), out=address) == 2
    assert capsys.readouterr().err.count(f"error: {words}") == 2


def test_a_run_of_addresses_in_a_folder_is_gone_on_with_as_such_only(model: Path, photos: Path, tmp_path: Path) -> None:
    out, segmenter = tmp_path / "out", Segmenter.load(model, "cpu")
    segmenter.segment_remote(str(photos), str(out))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for options in ({"resume": True}, {"resume": True, "full_names": True}, {"overwrite": True}):
        with pytest.raises(GsegError, match="holds a run between addresses" if "resume" in options else "not write"):
            segmenter.segment_folder(photos, out, **options)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert segmenter.segment_remote(f"file://{photos}", str(out), resume=True).skipped == 4


def test_a_folder_on_a_full_disk_is_named_without_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(GsegError) as caught:
        DiskStore(tmp_path).create("_gseg/run.json", b"{}")
    assert str(caught.value) == f"{tmp_path}/_gseg/run.json: cannot be written: {os.strerror(errno.ENOSPC)}"


def test_a_folder_that_cannot_be_made_is_an_error_and_no_bug(
    model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segment(model, source=f"file://{photos}", out="/proc/masks") == 1
    assert "error: /proc/masks: cannot be written to: No such file or directory" in capsys.readouterr().err


def test_a_broken_photo_in_a_folder_is_named_once(model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "notes.jpg").write_text("of a trip")
    report = Segmenter.load(model, "cpu").segment_remote(f"file://{photos}", str(tmp_path / "out"))
    (failure,) = report.failures
    assert (failure.path, failure.reason) == (f"{photos}/notes.jpg", "not a picture of a known format")


def test_resume_is_the_listing_minus_the_parts(
    s3: Any, model: Path, make_photo: MakePhoto, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(s3, mixed)
    assert segment(model) == 3
    s3.pipe_file("photos/in/empty.jpg", (mixed / "a.jpg").read_bytes())  # one that failed is mended,
    s3.pipe_file("photos/in/a.jpg", make_photo(tmp_path / "x.jpg", 9, 9).read_bytes())  # one changed,
    s3.pipe_file("photos/in/new.jpg", (mixed / "a.jpg").read_bytes())  # and one added
    capsys.readouterr()
    assert segment(model, "--resume", "--json") == 3
    report = json.loads(capsys.readouterr().out)["data"]
    assert (report["done"], report["failed"], report["skipped"]) == (3, 2, NUM_PHOTOS + 1)
    assert Image.open(s3.open("masks/out/a.jpg.png")).size == (9, 9)
    s3.pipe_file("photos/in/a.jpg", (mixed / "a.jpg").read_bytes())  # as it was at first: its mask is not
    assert segment(model, "--resume", "--json") == 3
    assert json.loads(capsys.readouterr().out)["data"]["done"] == 1
    assert Image.open(s3.open("masks/out/a.jpg.png")).size == (30, 20)


def test_what_is_there_is_gone_on_with_only_when_asked_and_alike(
    s3: Any, model: Path, model_with_logits: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(s3, mixed)
    upload(s3, mixed, "masks")
    s3.pipe_file("masks/other/x.txt", b"of somebody else")
    assert segment(model) == 3
    refused = {
        "holds a run of gseg already": (model,),
        "its model is": (model_with_logits, "--resume"),
        "made with --background black, not with --background #ffffff": (model, "--resume", "--background", "white"),
        "its files beside the masks is": (model, "--resume", "--overlay"),
    }
    capsys.readouterr()
    for text, (it, *flags) in refused.items():
        assert segment(it, *flags) == 1
        assert text in capsys.readouterr().err
    assert segment(model, "--resume", source="s3://masks/in") == 1
    assert "its source is s3://photos/in, not s3://masks/in" in capsys.readouterr().err
    assert segment(model, "--resume", out="s3://masks/other") == 1
    assert "not empty" in capsys.readouterr().err
    assert segment(model, out="s3://photos/in/masks") == 1
    assert "hold each other" in capsys.readouterr().err


def test_options_that_need_all_photos_at_once_are_refused_by_name(
    s3: Any, model: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag in ("--overwrite", "--polygons", "--coco", "--instances", "--stats", "--failures", "--null", "--base=x"):
        assert segment(model, flag) == 2
        assert flag.partition("=")[0] in capsys.readouterr().err
    assert main(["segment", "s3://photos/in", "s3://photos/more", "-o", "out", "--model", str(model)]) == 2
    assert s3.find("masks") == []


def test_shards_fill_one_place_and_none_does_what_another_did(s3: Any, model: Path, mixed: Path) -> None:
    upload(s3, mixed)
    for index in range(3):
        assert segment(model, "--resume", "--shard", f"{index}/3") in (0, 3)
    keys = [row["key"] for row in rows_in(s3)]
    assert len(keys) == len(set(keys)) == NUM_PHOTOS + 5
    assert s3.exists("masks/out/gseg-report-2-of-3.json")


def test_of_many_that_begin_at_once_one_creates_the_run(s3: Any) -> None:
    facts = {"model_sha256": "0", "source": "x", "settings": None, "files": [], "cutout": []}
    barrier, was_there = threading.Barrier(8), []

    def start() -> None:
        out = open_store("s3://masks/out")
        barrier.wait()
        was_there.append(begin(out, facts, resume=True, warn=pytest.fail))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(was_there) == [False] + [True] * 7


def test_keys_that_are_no_paths_are_named_and_lead_nowhere(
    s3: Any, model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (mixed / "a.jpg").read_bytes()
    for key in ("good.jpg", "a//b.jpg", "../up.jpg", "./here.jpg", "/top.jpg"):
        s3.call_s3("put_object", Bucket="photos", Key=f"in/{key}", Body=data)
    assert segment(model, out=str(tmp_path / "deep" / "out")) == 3
    assert capsys.readouterr().err.count("so that it is no path") == 4
    assert [path.name for path in (tmp_path / "deep").rglob("*.png")] == ["good.jpg.png"]


def test_killed_at_any_time_a_run_loses_only_blocks_that_are_not_recorded(
    s3: Any, model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(s3, mixed)
    call = ["segment", "s3://photos/in", "-o", "s3://masks/out", "--model", str(model), "--resume", "--workers", "4"]
    for count in (1, 4):
        process = subprocess.Popen([sys.executable, "-c", SLOW, *call], stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + 60
        while len(s3.find("masks/out/_gseg/parts")) < count:
            assert process.poll() is None and time.monotonic() < end_s
            time.sleep(0.01)
        time.sleep(random.Random(count).uniform(0, 0.1))
        process.kill()
        assert process.wait() == -signal.SIGKILL
    recorded = {row["key"] for row in rows_in(s3) if row["status"] == "done"}
    assert {f"{key}.png" for key in recorded} <= masks_in(s3).keys()
    assert segment(model, "--resume", "--json") == 3
    report = json.loads(capsys.readouterr().out)["data"]
    assert (report["done"], report["skipped"]) == (NUM_PHOTOS + 2 - len(recorded), len(recorded))
    with Segmenter.load(model, "cpu") as segmenter:
        segmenter.segment_folder(mixed, tmp_path / "out", full_names=True)
    assert masks_in(s3) == masks_below(tmp_path / "out")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few attempts of the libraries' own, which take long, and short pauses between ours."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr("gseg_runtime.remote.retry.Patience.__init__.__defaults__", (3, 0.05, 2.0))


def test_a_server_that_refuses_truncates_or_is_slow_is_asked_again(
    s3: Any, s3_port: int, model: Path, mixed: Path, tmp_path: Path, ask_at: AskAt, impatient: None
) -> None:
    upload(s3, mixed)

    def mood(method: str, path: str, times: int) -> str:
        if times:
            return ""
        if path.endswith("00 ä.png"):
            return "slow"
        return random.Random(path).choice(("503", "truncate" if method == "GET" else "503", ""))

    with moody_server(s3_port, mood) as port:
        ask_at(port)
        with Segmenter.load(model, "cpu") as segmenter:
            report = segmenter.segment_remote("s3://photos/in", "s3://masks/out")
            segmenter.segment_folder(mixed, tmp_path / "out", full_names=True)
    assert (report.done, report.failed) == (NUM_PHOTOS + 2, 3)
    assert masks_in(s3) == masks_below(tmp_path / "out")


def test_what_a_server_never_gives_or_takes_is_named_and_the_rest_is_done(
    s3: Any,
    s3_port: int,
    model: Path,
    make_photo: MakePhoto,
    tmp_path: Path,
    ask_at: AskAt,
    impatient: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("busy", "cut", "good", "slow", "untaken"):
        make_photo(tmp_path / "in" / f"{name}.png", 200, 200)
    upload(s3, tmp_path / "in")
    moods = {"/in/busy": "503", "/in/cut": "truncate", "/in/slow": "slow", "/out/untaken": "503"}

    def mood(method: str, path: str, times: int) -> str:
        return next((answer for part, answer in moods.items() if part in path), "")

    with moody_server(s3_port, mood) as port:
        ask_at(port)
        assert segment(model, "--json") == 3
    failures = json.loads(capsys.readouterr().out)["data"]["failures"]
    assert [failure["path"].rpartition("/")[2] for failure in failures] == [
        "busy.png",
        "cut.png",
        "slow.png",
        "untaken.png",
    ]
    assert "reduce your request rate" in failures[0]["reason"]
    assert "cannot be written" in failures[3]["reason"]
    assert list(masks_in(s3)) == ["good.png.png"]
    ask_at(s3_port)
    assert segment(model, "--resume") == 0  # the server is well again


def test_as_many_requests_are_under_way_as_there_are_threads(
    s3: Any, s3_port: int, model: Path, mixed: Path, ask_at: AskAt
) -> None:
    upload(s3, mixed)
    all_here = threading.Barrier(20)

    def mood(method: str, path: str, times: int) -> str:
        if method == "GET" and path.endswith(" ä.png") and path[-8:-6] < "20":  # 20 photos
            all_here.wait(30)
        return ""

    with moody_server(s3_port, mood) as port:
        ask_at(port)
        assert segment(model, "--workers", "80") == 3
    assert not all_here.broken  # none of them had to be answered before the last one was asked for


def test_a_photo_that_comes_shorter_than_it_is_listed_is_asked_for_again_and_then_refused() -> None:
    store = ObjectStore("memory://photos/in", Patience(attempts=2, pause_s=0))
    store.write("a.jpg", b"123")
    assert store.read("a.jpg", 3) == store.read("a.jpg") == b"123"
    with pytest.raises(OSError, match="3 bytes came of 4"):
        store.read("a.jpg", 4)


def test_wrong_credentials_end_the_run_and_nothing_secret_is_shown(
    s3: Any,
    s3_port: int,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask_at: AskAt,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    ask_at(s3_port)
    assert segment(model) == 1
    shown = capsys.readouterr().err
    assert "s3://photos/in: cannot be listed" in shown and "check the address and your credentials" in shown
    assert segment(model, "--debug", source="ftp://somebody:geheim@127.0.0.1:9/photos?signature=123456") == 1
    shown = capsys.readouterr().err
    assert "ftp://127.0.0.1:9/photos" in shown and "geheim" not in shown and "123456" not in shown


def test_a_missing_library_is_named_with_the_command_that_installs_it(model: Path) -> None:
    for refused, address, expected in (
        ("fsspec", "s3://photos/in", "fsspec"),
        ("s3fs", "s3://photos/in", "s3fs"),
        ("adlfs", "az://photos/in", "pip install adlfs"),
    ):
        call = ["segment", address, "-o", "masks", "--model", str(model), "--device", "cpu"]
        code = f"REFUSED = ({refused!r},){REFUSE}from gseg_cli.app import main; sys.exit(main(sys.argv[1:]))"
        done = subprocess.run([sys.executable, "-c", code, *call], capture_output=True, text=True)
        assert done.returncode == 1
        assert "error: " in done.stderr and expected in done.stderr and "hint: pip install" in done.stderr


def test_a_listing_is_read_page_by_page(s3: Any, s3_port: int, ask_at: AskAt) -> None:
    for index in range(6):
        s3.pipe_file(f"photos/in/{index}.jpg", b"x")
    asked: list[str] = []

    def mood(method: str, path: str, times: int) -> str:
        asked.append(path)
        return ""

    with moody_server(s3_port, mood) as port:
        ask_at(port)
        store = open_store("s3://photos/in")
        store._fs.req_kw = {"MaxKeys": 2}  # type: ignore[attr-defined]
        it = listing.Listing(store)
        assert len(asked) == 1
        blocks = it.blocks(listing.Done())
        assert [item.key for block in blocks for item in block] == [f"{index}.jpg" for index in range(6)]
        assert len(asked) == 3
