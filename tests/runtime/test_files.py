import errno
import os
from pathlib import Path

import pytest

from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import (
    atomic_path,
    claim_folder,
    finish_folder,
    read_json,
    sha256_file,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt") as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_json_survives_and_broken_json_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"name": "\udcff œ", "x": [1.5]})  # a file name that is not UTF-8
    assert read_json(tmp_path / "deep" / "a.json") == {"name": "\udcff œ", "x": [1.5]}
    write_text(tmp_path / "b.json", "{")
    with pytest.raises(GsegError, match=r"b\.json: not valid JSON"):
        read_json(tmp_path / "b.json")
    (tmp_path / "nested.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(GsegError, match=r"nested\.json: not valid JSON: nested too deeply"):
        read_json(tmp_path / "nested.json")
    with pytest.raises(GsegError, match=r"c\.json: cannot be read"):
        read_json(tmp_path / "c.json")


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf8f01cfea")


def test_an_unwritable_place_is_an_error_with_its_name(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(GsegError, match="cannot be written"):
        write_text(tmp_path / "file" / "below", "")


def test_a_folder_in_use_is_refused_and_the_ways_out_that_there_are_are_named(tmp_path: Path) -> None:
    out = claim_folder(tmp_path / "out", "samples")
    assert names(out) == [".gseg-incomplete"]
    with pytest.raises(GsegError, match="not empty") as caught:
        claim_folder(out, "samples", resume=False)
    assert "--overwrite" in str(caught.value.hint) and "--resume" in str(caught.value.hint)
    with pytest.raises(GsegError, match="not empty") as caught:
        claim_folder(out, "samples")  # by a command that has no --resume
    assert "--overwrite" in str(caught.value.hint) and "--resume" not in str(caught.value.hint)
    finish_folder(out)
    claim_folder(out, "samples")  # empty again, so free


def test_overwrite_empties_what_gseg_wrote_and_follows_no_link(tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    write_text(treasure / "gold.txt", "gold")
    out = claim_folder(tmp_path / "out", "samples")
    write_text(out / "deep" / "er" / "x.png", "")
    (out / "link").symlink_to(treasure)
    (out / "deep" / "file-link").symlink_to(treasure / "gold.txt")
    assert names(claim_folder(out, "samples", resume=True)) == [".gseg-incomplete", "deep", "link"]
    assert names(claim_folder(out, "samples", overwrite=True)) == [".gseg-incomplete"]
    assert names(treasure) == ["gold.txt"]


@pytest.mark.parametrize("flag", ["overwrite", "resume"])
def test_a_folder_of_somebody_else_is_never_touched(tmp_path: Path, flag: str) -> None:
    write_text(tmp_path / "thesis.txt", "years")
    with pytest.raises(GsegError, match="not written by gseg"):
        claim_folder(tmp_path, "samples", **{flag: True})
    assert names(tmp_path) == ["thesis.txt"]


def test_with_owned_one_foreign_file_is_enough_to_refuse(tmp_path: Path) -> None:
    out = claim_folder(tmp_path / "out", "masks")
    write_text(out / "mine.png", "")
    write_text(out / "notes.txt", "")
    with pytest.raises(GsegError, match=r"notes\.txt"):
        claim_folder(out, "masks", overwrite=True, owned=lambda file: file.suffix == ".png")
    assert names(out) == [".gseg-incomplete", "mine.png", "notes.txt"]


def test_resume_removes_what_a_killed_process_was_writing(tmp_path: Path) -> None:
    out = claim_folder(tmp_path / "out", "masks")
    write_text(out / "deep" / ".gseg-tmp-0123.png", "half")
    claim_folder(out, "masks", resume=True)
    assert names(out / "deep") == []


def test_where_nothing_can_be_written_the_reason_is_told_in_words(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(GsegError) as caught:
        claim_folder(tmp_path / "file" / "out", "masks")
    assert str(caught.value) == f"{tmp_path}/file/out: cannot write masks here: {os.strerror(errno.ENOTDIR)}"


def test_contradictory_flags_and_a_file_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        claim_folder(tmp_path / "out", "masks", overwrite=True, resume=True)
    write_text(tmp_path / "file", "")
    with pytest.raises(GsegError, match="this is a file"):
        claim_folder(tmp_path / "file", "masks")
