"""Whatever fills a folder of masks, it is claimed, gone on with, refused and reported in the same way."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gseg_runtime.enlarged import Enlarged
from gseg_runtime.errors import GsegError
from gseg_runtime.files import INCOMPLETE, read_json
from gseg_runtime.manifest import Entry, stamp_of
from gseg_runtime.mask_folder import REPORT, Contents, Failure, MaskFolder
from gseg_runtime.plan import Job, beside
from gseg_runtime.png import encode_png
from gseg_runtime.sources import Source

MASK = encode_png(Enlarged(np.zeros((2, 3), np.uint8), 2, 3))


def is_ours(path: Path) -> bool:
    return path.read_bytes() in (b"ours\n", MASK)


def make_contents(key: str = "model A", **fields: Any) -> Contents:
    return Contents(key=key, suffixes=(".note.txt",), tables=("table.csv",), is_ours=is_ours, **fields)


def open_folder(photos: Path, out: Path, contents: Contents | None = None, **how: Any) -> MaskFolder:
    how = {"overwrite": False, "resume": False, "full_names": True, **how}
    return MaskFolder(out, [Source(photos)], contents or make_contents(), **how)


def do(folder: MaskFolder, job: Job, error: str | None = None) -> None:
    """A mask and a note beside it, or a failure."""
    if error is None:
        for name in (job.mask, beside(job.mask, ".note.txt")):
            folder.out.write(name, b"ours\n" if name.suffix == ".txt" else MASK)
    status = "done" if error is None else "failed"
    folder.take(Entry(str(job.photo), str(job.mask), status, "model A", 0.0, stamp_of(job.photo), error))


def fill(photos: Path, out: Path, **how: Any) -> list[str]:
    """The masks that were made."""
    with open_folder(photos, out, **how) as folder:
        for job in folder.todo:
            do(folder, job)
        folder.finish({"done": folder.num_done})
    return [str(job.mask) for job in folder.todo]


def test_a_folder_counts_what_it_takes_and_is_complete_with_its_report(photos: Path, tmp_path: Path) -> None:
    with open_folder(photos, tmp_path / "out") as folder:
        first, *rest = folder.todo
        do(folder, first, "no photo")
        for job in rest:
            do(folder, job)
        assert (folder.num_done, folder.num_taken, folder.num_skipped) == (3, 4, 0)
        assert folder.failures == [Failure(str(photos / "a.jpg"), "no photo")]
        assert (tmp_path / "out" / INCOMPLETE).exists() and folder.seconds() > 0
        folder.finish({"done": folder.num_done})
    assert not (tmp_path / "out" / INCOMPLETE).exists()
    assert read_json(tmp_path / "out" / REPORT) == {"done": 3}


def test_resume_does_what_failed_and_what_lacks_a_file_or_a_fact(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with open_folder(photos, out) as folder:
        first, *rest = folder.todo
        do(folder, first, "no photo")
        for job in rest:
            do(folder, job)
    beside(out / "b.png.png", ".note.txt").unlink()
    with open_folder(photos, out, resume=True) as folder:
        assert [str(job.mask) for job in folder.todo] == ["a.jpg.png", "b.png.png"]
        assert folder.num_skipped == 2
    short = make_contents(is_enough=lambda entry: "deep" not in entry.mask)
    with open_folder(photos, out, short, resume=True) as folder:
        assert [job.mask.parts[0] for job in folder.todo] == ["a.jpg.png", "b.png.png", "deep", "deep"]


def test_masks_made_otherwise_are_not_gone_on_with(photos: Path, tmp_path: Path) -> None:
    fill(photos, tmp_path / "out")
    with pytest.raises(GsegError, match="cannot resume: these masks come from another model or other settings"):
        open_folder(photos, tmp_path / "out", make_contents("model B"), resume=True)
    assert fill(photos, tmp_path / "out", resume=True) == []


def test_masks_of_other_photos_that_are_still_there_are_not_gone_on_with(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(photos, out := tmp_path / "out")
    shutil.copytree(photos, others := tmp_path / "others")  # with the times of change
    for kind in ("the same by its stamp", "changed"):
        if kind == "changed":
            (others / "a.jpg").touch()
        with pytest.raises(GsegError, match=r"photos/a\.jpg and .*others/a\.jpg would both write a\.jpg\.png"):
            open_folder(others, out, resume=True)
    monkeypatch.chdir(photos.parent)
    assert fill(Path(photos.name), out, resume=True) == []  # they are the same, by another path
    shutil.rmtree(photos)
    assert fill(others, out, resume=True) == ["a.jpg.png"]  # they were moved, and one of them changed


def test_a_relative_name_means_another_photo_from_another_working_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(Path("photos"), out := tmp_path / "project" / "out")
    shutil.copytree(photos, tmp_path / "elsewhere" / "photos")  # with the times of change
    (tmp_path / "elsewhere" / "photos" / "a.jpg").touch()
    monkeypatch.chdir("elsewhere")
    with pytest.raises(GsegError, match=rf"{photos}/a\.jpg and photos/a\.jpg would both write a\.jpg\.png"):
        open_folder(Path("photos"), out, resume=True)
    assert fill(photos, out, resume=True) == []  # they are the same, by another path
    shutil.copytree(tmp_path / "project", tmp_path / "copy" / "project")
    shutil.copytree(photos, tmp_path / "copy" / "photos")
    monkeypatch.chdir(tmp_path / "copy")
    assert fill(Path("photos"), Path("project", "out"), resume=True) == []  # photos and masks were copied together


def test_only_what_the_command_wrote_is_written_over(photos: Path, tmp_path: Path) -> None:
    fill(photos, out := tmp_path / "out")
    (out / "table.csv").write_text("its table")
    assert len(fill(photos, out, overwrite=True)) == 4
    (out / "other.csv").write_text("no table of this command")
    with pytest.raises(GsegError, match=r"holds 1 file that gseg did not write, for example other\.csv"):
        open_folder(photos, out, overwrite=True)
    (out / "other.csv").unlink()
    (tmp_path / "elsewhere").write_text("ours")
    (note := beside(out / "b.png.png", ".note.txt")).unlink()
    note.symlink_to(tmp_path / "elsewhere")
    (photos / "b.png").touch()  # to be done again, and its note with it
    for how in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(GsegError, match=r"b\.png\.note\.txt"):
            open_folder(photos, out, **how)
    assert note.is_symlink() and (out / "a.jpg.png").is_file()
