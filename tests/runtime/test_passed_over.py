"""What is no photo by its name, and what systems left behind, is passed over, and said."""

import json
from pathlib import Path

import pytest
from conftest import MakePhoto

from gseg_cli.app import main
from gseg_runtime.errors import GsegError
from gseg_runtime.plan import plan
from gseg_runtime.sources import Source

OTHERS = ["a.txt", "deep/b.TXT", "deep/c.mp4", "README", "scan.0001", "scan.0002", ".gitignore", ".gseg-tmp-1.png"]
LITTER = [
    "._x.png", "deep/._y.jpg", "__MACOSX/x.png", "@eaDir/x/thumb.jpg", ".Trashes/old.jpg", ".Trash-1000/old.jpg",
    "deep/@eaDir/z.jpg", "Thumbs.db", ".DS_Store", "lost+found/x.jpg",
]  # fmt: skip
COUNTED = {
    ".txt": 2, "._*": 2, "@eaDir": 2, "other": 2, "no suffix": 2, ".mp4": 1, "__MACOSX": 1, ".Trashes": 1,
    ".trash-*": 1, "Thumbs.db": 1, ".DS_Store": 1, "lost+found": 1, ".gseg-tmp-*": 1,
}  # fmt: skip


@pytest.fixture
def mixed(make_photo: MakePhoto, tmp_path: Path) -> Path:
    for name in ("x.png", "deep/y.jpg"):
        make_photo(tmp_path / "in" / name)
    for name in (*OTHERS, *LITTER):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"no photo")
    return tmp_path / "in"


def test_a_run_says_what_it_passed_over_in_its_last_line_and_in_the_report(
    model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["segment", str(mixed), "-o", str(tmp_path / "out"), "--model", str(model)]
    assert main(call) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{tmp_path / 'out'}: 2 masks, ")
    assert line.rstrip().endswith("; passed over 2 ._*, 2 .txt, 2 @eaDir, 2 no suffix, 2 other and 8 more")
    assert json.loads((tmp_path / "out" / "gseg-report.json").read_text())["passed_over"] == COUNTED
    assert main([*call, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["passed_over"] == COUNTED


def test_where_all_is_a_photo_nothing_is_said(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model)]) == 0
    assert "passed over" not in capsys.readouterr().out


def test_a_pattern_passes_over_what_it_matches_and_tells_each_once(mixed: Path) -> None:
    for pattern in ("**/*", "**"):
        planned = plan([Source(mixed / pattern)])
        assert sorted(job.photo.name for job in planned) == ["x.png", "y.jpg"]
        expected = {**COUNTED, "._*": 1, "no suffix": 1}  # hidden names only below a folder that matches
        for hidden in (".gseg-tmp-*", ".DS_Store", ".Trashes", ".trash-*"):
            del expected[hidden]
        assert planned.search.passed_over == expected, pattern
    assert plan([Source(mixed / "*.png")]).search.passed_over == {}
    assert plan([Source(mixed / "**" / "*.jpg")]).search.passed_over == {"@eaDir": 2, "__MACOSX": 1, "lost+found": 1}


def test_what_is_named_by_hand_is_not_left_out(mixed: Path) -> None:
    assert [job.photo.name for job in plan([Source(mixed / "@eaDir")])] == ["thumb.jpg"]
    assert [job.photo.name for job in plan([Source(mixed / "*" / "@eaDir" / "*.jpg")])] == ["z.jpg"]
    assert [job.photo.name for job in plan([Source(mixed / "._x.png")])] == ["._x.png"]


def test_a_folder_without_photos_says_what_it_holds(tmp_path: Path) -> None:
    for name in ("a.nef", "b.nef", "c.mov"):
        (tmp_path / name).touch()
    for source in (tmp_path, tmp_path / "*"):
        with pytest.raises(GsegError, match=r"no image .*; passed over 2 \.nef, 1 \.mov$"):
            plan([Source(source)])


def test_masks_beside_labelled_photos_are_passed_over_unless_they_are_named(
    model: Path, make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("images/a.png", "images/masks.png", "masks/a.png", "masks/b.png"):
        make_photo(tmp_path / "labelled" / name)
    call = ["segment", str(tmp_path / "labelled"), "-o", str(tmp_path / "out"), "--model", str(model)]
    assert main(call) == 0
    assert capsys.readouterr().out.rstrip().endswith("; passed over 2 in masks/")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["a.png", "masks.png"]
    assert len(plan([Source(tmp_path / "labelled" / name, tmp_path) for name in ("masks", "images")])) == 4
