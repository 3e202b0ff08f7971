"""Folders, patterns, lists and shards find the same photos in the same order, whatever links and disks do."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import MakePhoto

from gseg_cli.app import main
from gseg_runtime.errors import GsegError
from gseg_runtime.plan import check_places, plan
from gseg_runtime.sources import Source, read_list

NOT_ALLOWED = "Permission denied"


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(*sources: str | Path | Source, shard: tuple[int, int] = (0, 1)) -> list[str]:
    every = [source if isinstance(source, Source) else Source(Path(source)) for source in sources]
    return [str(job.photo) for job in plan(every).shard(*shard)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Names of folders that may not be listed; root may list any, so the system is made to say no."""
    names: set[str] = set()
    scandir = os.scandir

    def refuses(path: Any = ".") -> Any:
        if Path(path).resolve().name in names:
            raise PermissionError(13, NOT_ALLOWED, str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuses)
    yield names


@pytest.mark.parametrize("links", [["self"], ["self", "again"], ["a/up", "b/up", "self"]])
def test_links_in_a_circle_end_and_give_each_photo_once(here: Path, links: Sequence[str]) -> None:
    touch(here / "in", "x.jpg", "a/y.jpg", "b/z.jpg")
    for link in links:
        (here / "in" / link).symlink_to(here / "in")
    every = ["in/a/y.jpg", "in/b/z.jpg", "in/x.jpg"]
    for source in ("in", "in/**/*.jpg", "in/**/**/*.jpg", "in/**", "i*/**/*.jpg"):
        assert sorted(found(source)) == every, source


def test_a_photo_is_found_where_it_really_lies_and_not_through_a_link(here: Path) -> None:
    touch(here / "in", "store/x.jpg", "zoo/y.jpg")
    (here / "in" / "best").symlink_to("store")
    touch(here / "elsewhere", "deep/z.jpg")
    (here / "in" / "a-link").symlink_to(here / "elsewhere")
    (here / "in" / "b-link").symlink_to(here / "elsewhere" / "deep")
    for source in ("in", "in/**/*.jpg", "in/*"):
        assert found(source) == ["in/a-link/deep/z.jpg", "in/store/x.jpg", "in/zoo/y.jpg"]
    assert found("in/b*/*.jpg") == ["in/b-link/z.jpg", "in/best/x.jpg"]  # asked for by these names
    assert found("in/best") == ["in/best/x.jpg"]


def test_every_folder_that_a_pattern_reaches_by_two_ways_gives_each_photo_once(here: Path) -> None:
    touch(here / "in", "a/.hidden/x.jpg", "a/y.jpg")
    (here / "in" / "link").symlink_to("a/.hidden")
    assert found("in/**/*") == ["in/a/.hidden/x.jpg", "in/a/y.jpg"]
    assert found("in/**/x.jpg") == ["in/link/x.jpg"]  # * and ** leave hidden names out


def test_patterns_match_as_in_a_shell(here: Path) -> None:
    touch(here / "in", "a.jpg", "b1.png", "b2.png", ".c.jpg", "sub/d.jpg", "sub/.e/f.jpg", "sub.x/g.jpg", "sub/n.txt")
    assert found("in/*.jpg") == ["in/a.jpg"]
    assert found("in/.*.jpg") == ["in/.c.jpg"]
    assert found("in/b[0-1].png") == ["in/b1.png"]
    assert found("in/**/?.jpg") == ["in/a.jpg", "in/sub.x/g.jpg", "in/sub/d.jpg"]
    assert found("in/sub*/d.jpg") == ["in/sub/d.jpg"]
    assert found("*/sub/*") == ["in/sub/d.jpg"]
    assert found("in/s*") == ["in/sub.x/g.jpg", "in/sub/.e/f.jpg", "in/sub/d.jpg"]
    assert found("i?/**") == ["in/a.jpg", "in/b1.png", "in/b2.png", "in/sub.x/g.jpg", "in/sub/.e/f.jpg", "in/sub/d.jpg"]
    for nothing in ("in/*.gif", "in/*/nowhere/*.jpg", "nowhere/*.jpg", "in/a.jpg/*.jpg", "in/*/n.tx?"):
        with pytest.raises(GsegError, match="no image matches"):
            found(nothing)
    with pytest.raises(GsegError, match=r"has \.\. behind a wildcard"):  # its masks would leave their folder
        found("in/*/../../other/*.jpg")


def test_two_shards_of_a_tree_that_was_filled_in_another_order_make_each_photo_once(here: Path) -> None:
    names = [f"store/{index}.jpg" for index in range(20)] + [f"a/{index}.jpg" for index in range(7)]
    halves: list[str] = []
    for machine, order in enumerate((names, names[::-1])):
        touch(here / f"m{machine}", *(order if machine else ()))
        if machine:
            (here / "m1" / "best").symlink_to("store")
        else:
            (here / "m0").mkdir()
            (here / "m0" / "best").symlink_to("store")
            touch(here / "m0", *order)
        halves += [path.partition("/")[2] for path in found(f"m{machine}", shard=(machine, 2))]
    assert sorted(halves) == sorted(names)


def test_two_shards_of_a_list_in_another_order_make_each_photo_once(here: Path) -> None:
    names = touch(here / "in", *(f"{folder}/{index}.jpg" for folder in "ab" for index in "01234")).rglob("*.jpg")
    lines = [os.fsencode(name) for name in names]
    one, other = (read_list(b"\n".join(order), base=None) for order in (lines, lines[::-1]))
    with pytest.raises(GsegError, match="would both write"):
        found(*one)
    one, other = (
        read_list(b"\n".join(line.replace(b"/b/", b"/b/../b/b-") for line in order)) for order in (lines, lines[::-1])
    )
    assert sorted(found(*one, shard=(0, 2)) + found(*other, shard=(1, 2))) == sorted(found(*one))


def test_the_same_order_whatever_the_disk_says(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(here / "in", *(f"{a}/{b}/x{c}.jpg" for a in "cab" for b in "zy" for c in "10"))
    for link in ("l", "k"):
        (here / "in" / link).symlink_to(touch(here / "far", "f.jpg"))
    expected, scandir = found("in"), os.scandir
    assert expected == sorted(expected) and "in/k/f.jpg" in expected

    class Backwards:
        def __init__(self, path: Any) -> None:
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> Iterator[Any]:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("os.scandir", Backwards)
    assert found("in") == expected == found("in/**/*.jpg")


def test_a_folder_that_may_not_be_listed_is_named_and_the_rest_found(here: Path, locked: set[str]) -> None:
    touch(here / "in", "a/x.jpg", "shut/y.jpg", "b/shut/z.jpg", "shut.jpg")
    locked.add("shut")
    every = ["in/a/x.jpg", "in/shut.jpg"]
    for source in ("in", "in/**/*.jpg", "in/*"):
        planned = plan([Source(Path(source))])
        assert [str(job.photo) for job in planned] == every
        assert planned.search.unlisted == {"in/b/shut": NOT_ALLOWED, "in/shut": NOT_ALLOWED}
    planned = plan(read_list(b"in/shut\nin/a/x.jpg\n"))
    assert (found("in/a"), planned.search.unlisted) == (["in/a/x.jpg"], {"in/shut": NOT_ALLOWED})
    with pytest.raises(GsegError, match="in/shut: cannot be listed: Permission denied"):
        found("in/shut")
    with pytest.raises(GsegError, match=r"no image.*in/shut: cannot be listed: Permission denied"):
        found("in/shut/*.jpg")
    with pytest.raises(GsegError, match=r"no image.*in/shut: cannot be listed: Permission denied"):
        found(*read_list(b"in/shut"))


def test_a_run_names_the_folders_that_it_could_not_list(
    model: Path, make_photo: MakePhoto, here: Path, locked: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_photo(here / "in" / "a" / "x.png")
    touch(here / "in", "shut/y.jpg")
    locked.add("shut")
    for extra in ([], ["--resume"]):
        assert main(["segment", "in/**/*", "-o", "out", "--model", str(model), *extra]) == 3
        shown = capsys.readouterr()
        assert "error: in/shut: Permission denied\n" in shown.err and "1 failed" in shown.out
    assert (here / "out" / "a" / "x.png").is_file()


def test_a_folder_that_is_named_like_a_photo_is_named_once(here: Path, locked: set[str]) -> None:
    touch(here / "in", "x.jpg/y.jpg", "z.jpg")
    locked.add("x.jpg")
    planned = plan([Source(Path("in"))])
    assert [str(job.photo) for job in planned] == ["in/x.jpg", "in/z.jpg"]  # reading it tells
    assert planned.search.unlisted == {}
    assert plan([Source(Path("in/*"))]).search.unlisted == {"in/x.jpg": NOT_ALLOWED}


def test_a_link_that_may_not_be_followed_is_named_once(here: Path) -> None:
    """As one to where nobody may look, which root may."""
    touch(here / "in", "y.jpg")
    for name in ("x.jpg", "x"):
        (here / "in" / name).symlink_to("too-long" * 40)
    for source in ("in", "in/*", "in/**/*"):
        planned = plan([Source(Path(source))])
        assert [str(job.photo) for job in planned] == ["in/x.jpg", "in/y.jpg"]
        assert planned.search.unlisted == {"in/x": "File name too long"}


def test_an_output_behind_a_link_that_is_followed_is_refused(here: Path) -> None:
    touch(here / "in", "x.jpg")
    (here / "far").mkdir()
    (here / "in" / "link").symlink_to(here / "far")
    for source in ("in", "in/*"):
        with pytest.raises(GsegError, match="the output is inside the input in/link"):
            check_places(plan([Source(Path(source))]), Path("far/masks"))


def test_folders_without_numbers_of_their_own_are_told_apart(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some disks of other systems number no file; all their folders would be one."""
    touch(here / "in", "a/x.jpg", "b/y.jpg")
    (here / "in" / "c").symlink_to("a")
    stat = os.stat

    def unnumbered(path: Any, **options: Any) -> os.stat_result:
        status = list(stat(path, **options))
        return os.stat_result([status[0], 0, *status[2:]])

    monkeypatch.setattr("os.stat", unnumbered)
    assert found("in") == ["in/a/x.jpg", "in/b/y.jpg"]
