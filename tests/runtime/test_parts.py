"""The union of the parts says what is done: the last word on a photo counts, whatever order they are listed in."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from gseg_runtime import GsegError
from gseg_runtime.remote.open_store import open_store
from gseg_runtime.remote.parts import PARTS, Done, Row, write_part
from gseg_runtime.remote.store import Item


def row(key: str, etag: str, status: str = "done") -> Row:
    return Row(key, {"etag": etag}, status)


def done_after(out: Path, *parts: list[Row]) -> Done:
    store = open_store(str(out))
    for rows in parts:
        write_part(store, rows)
    return Done.read(store)


def test_a_photo_is_done_when_its_last_row_says_so_of_the_photo_as_it_is_now(tmp_path: Path) -> None:
    done = done_after(
        tmp_path,
        [row("same", "1"), row("changed", "1"), row("failed", "1", "failed"), row("back", "1"), row("worse", "1")],
        [row("back", "2"), row("worse", "1", "failed")],
        [row("back", "1"), row("mended", "1", "failed")],
        [row("mended", "1")],
    )
    held = [("same", "1"), ("back", "1"), ("mended", "1")]
    assert all(done.holds(Item(key, etag=etag)) for key, etag in held)
    others = [("same", "2"), ("changed", "2"), ("failed", "1"), ("back", "2"), ("worse", "1"), ("new", "1")]
    assert not any(done.holds(Item(key, etag=etag)) for key, etag in others)
    assert len(done) == 4


def test_where_no_etag_is_told_size_and_time_tell_a_changed_photo(tmp_path: Path) -> None:
    item = Item("a.jpg", 7, time="2026-01-01")
    done = done_after(tmp_path, [Row(item.key, item.stamp, "done")])
    assert done.holds(item)
    assert not done.holds(Item("a.jpg", 8, time="2026-01-01"))
    assert not done.holds(Item("a.jpg", 7, time="2026-01-02"))


def test_a_line_that_is_no_row_costs_only_itself(tmp_path: Path) -> None:
    good = row("good", "1").to_line()
    (tmp_path / PARTS).mkdir(parents=True)
    for index, line in enumerate((good[:-9], "[]\n", '{"key": 3, "status": "done"}\n', "\xff\n")):
        (tmp_path / PARTS / f"{index}.jsonl").write_text(f"{line}\n{good}")
    done = Done.read(open_store(str(tmp_path)))
    assert len(done) == 1 and done.holds(Item("good", etag="1"))


def test_a_part_that_cannot_be_read_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / PARTS / "0.jsonl").mkdir(parents=True)
    with pytest.raises(GsegError, match=r"0\.jsonl: cannot be read"):
        Done.read(open_store(str(tmp_path)))


def test_what_is_done_takes_little_memory_however_long_the_keys(tmp_path: Path) -> None:
    def rows(part: int) -> Iterator[Row]:
        return (row(f"{part}/{'x' * 200}/{index}.jpg", f"{index:032x}") for index in range(1000))

    store = open_store(str(tmp_path))
    for part in range(20):
        write_part(store, rows(part))
    tracemalloc.start()
    done = Done.read(store)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(done) == 20_000
    assert size < 20_000 * 16 + 200_000  # their names alone are 5 MB


def test_rows_are_lines_of_json_and_say_no_more_than_there_is() -> None:
    assert json.loads(row("a.jpg", "1").to_line()) == {"key": "a.jpg", "etag": "1", "status": "done"}
    failed = Row("\udcff.jpg", {"size": 0, "time": "1"}, "failed", "the file is empty")
    assert json.loads(failed.to_line())["key"] == "\udcff.jpg" and failed.to_line().isascii()
