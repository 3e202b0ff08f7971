import os
from pathlib import Path

import pytest

from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.plan import CONFIDENCE, OVERLAY, check_places, plan
from gseg_runtime.sources import Source, read_list


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Below the current folder; nothing is decoded here, so empty files do."""
    for name in ["in/a.jpg", "in/b.png", "in/deep/a.jpg", "in/deep/er/c.webp", "in/notes.txt", "other/d.jpg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def masks(*sources: str | Source, **options: object) -> dict[str, str]:
    """Photo -> mask."""
    every = [source if isinstance(source, Source) else Source(Path(source)) for source in sources]
    return {str(job.photo): str(job.mask) for job in plan(every, **options)}  # type: ignore[arg-type]


def listed(text: bytes, *, null: bool = False, base: Path | None = None) -> dict[str, str]:
    return masks(*read_list(text, null=null, base=base))


def test_a_folder_keeps_its_tree_and_a_file_lies_at_the_top(tree: Path) -> None:
    assert masks("in/deep", "other/d.jpg") == {
        "in/deep/a.jpg": "a.png",
        "in/deep/er/c.webp": "er/c.png",
        "other/d.jpg": "d.png",
    }


def test_a_glob_keeps_the_tree_below_its_fixed_part(tree: Path) -> None:
    assert masks("in/*/*.jpg") == {"in/deep/a.jpg": "deep/a.png"}
    assert masks("in/**/*.jpg") == {"in/a.jpg": "a.png", "in/deep/a.jpg": "deep/a.png"}
    assert masks("*/d.jpg") == {"other/d.jpg": "other/d.png"}
    # Folders that match are searched, other files passed over.
    assert set(masks("in/*")) == {"in/a.jpg", "in/b.png", "in/deep/a.jpg", "in/deep/er/c.webp"}
    assert masks(f"{tree}/oth*/d.jp?") == {f"{tree}/other/d.jpg": "other/d.png"}
    with pytest.raises(GsegError, match=r"in/\*\.gif: no image matches"):
        masks("in/*.gif")


def test_a_file_whose_name_is_a_pattern_is_that_file(tree: Path) -> None:
    (tree / "in" / "[ab].jpg").touch()
    assert masks("in/[ab].jpg") == {"in/[ab].jpg": "[ab].png"}


def test_a_list_keeps_the_folders_of_relative_names(tree: Path) -> None:
    assert listed(b"in/a.jpg\nin/deep/a.jpg\r\n\n") == {"in/a.jpg": "in/a.png", "in/deep/a.jpg": "in/deep/a.png"}
    assert listed(f"{tree}/in/a.jpg".encode()) == {f"{tree}/in/a.jpg": "a.png"}
    assert listed(b"in/../other/d.jpg") == {"in/../other/d.jpg": "d.png"}
    assert listed(b"in/gone.jpg\nin/a.jpg") == {"in/a.jpg": "in/a.png", "in/gone.jpg": "in/gone.png"}
    assert listed(b"in/deep") == {"in/deep/a.jpg": "a.png", "in/deep/er/c.webp": "er/c.png"}


def test_names_between_null_bytes_may_hold_anything(tree: Path) -> None:
    name = os.fsdecode(b"in/two\nlines \xe9.jpg")
    assert listed(b"in/two\nlines \xe9.jpg\0in/a.jpg\0", null=True) == {
        "in/a.jpg": "in/a.png",
        name: name.replace(".jpg", ".png"),
    }


def test_a_base_says_where_masks_lie(tree: Path) -> None:
    base = tree / "in"
    assert listed(f"{tree}/in/deep/a.jpg\nin/a.jpg".encode(), base=base) == {
        f"{tree}/in/a.jpg": "a.png",
        f"{tree}/in/deep/a.jpg": "deep/a.png",
    }
    assert masks(Source(Path("in/deep/er"), tree)) == {f"{tree}/in/deep/er/c.webp": "in/deep/er/c.png"}
    with pytest.raises(GsegError, match="not below the base folder"):
        listed(b"other/d.jpg", base=base)


def test_a_photo_given_twice_is_done_once(tree: Path) -> None:
    assert masks("in/a.jpg", "in", "in/deep/a.jpg", "./in/deep") == {
        "in/a.jpg": "a.png",
        "in/b.png": "b.png",
        "in/deep/a.jpg": "deep/a.png",
        "in/deep/er/c.webp": "deep/er/c.png",
    }


def test_shards_share_the_photos_out(tree: Path) -> None:
    whole = plan([Source(Path("in"))])
    shards = [whole.shard(index, 3) for index in range(3)]
    assert [len(shard) for shard in shards] == [2, 1, 1]
    assert {job.mask for shard in shards for job in shard} == {job.mask for job in whole}


def test_photos_that_would_write_the_same_file_are_refused(tree: Path) -> None:
    (tree / "in" / "a.png").touch()
    with pytest.raises(GsegError, match=r"in/a\.jpg and in/a\.png would both write a\.png") as caught:
        masks("in")
    assert "--full-names" in str(caught.value.hint)
    with pytest.raises(GsegError, match=r"would both write a\.png") as caught:
        masks("in/a.jpg", "in/deep/a.jpg")
    assert "--base" in str(caught.value.hint)
    assert len(masks("in", full_names=True)) == 5


@pytest.mark.parametrize(("name", "suffix"), [("a.confidence.jpg", CONFIDENCE), ("a.overlay.jpg/x.jpg", OVERLAY)])
def test_what_lies_beside_a_mask_is_no_other_photos(tree: Path, name: str, suffix: str) -> None:
    (tree / "in" / name).parent.mkdir(exist_ok=True)
    (tree / "in" / name).touch()
    assert f"in/{name}" in masks("in")
    with pytest.raises(GsegError, match="would have the same names"):
        masks("in", suffixes=[suffix])


def test_places_where_masks_would_meet_photos_are_refused(tree: Path) -> None:
    for sources, out in [(["in"], "in/masks"), (["in"], "."), (["in/*.jpg"], "in"), (["in/a.jpg"], "in")]:
        with pytest.raises(GsegError, match="the output"):
            check_places(plan([Source(Path(source)) for source in sources]), Path(out))
    check_places(plan([Source(Path("in/a.jpg"))]), Path("in/masks"))
    (tree / "link").symlink_to("in")
    with pytest.raises(GsegError, match="the output"):
        check_places(plan([Source(Path("in"))]), Path("link/masks"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("null", [False, True])
def test_a_list_may_begin_with_the_mark_of_its_encoding(tree: Path, encoding: str, null: bool) -> None:
    """As PowerShell and Notepad write them."""
    (tree / "in" / "größe.jpg").touch()
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    text = mark + "in/größe.jpg" + ("\0" if null else "\r\n") + "in/a.jpg"
    expected = {"in/größe.jpg": "in/größe.png", "in/a.jpg": "in/a.png"}
    if null and encoding == "utf-8-sig":  # between null bytes a name is what its bytes are
        expected = {"\ufeffin/größe.jpg": "\ufeffin/größe.png", "in/a.jpg": "in/a.png"}
    assert listed(text.encode(encoding), null=null) == expected


def test_null_bytes_in_lines_are_wrong_usage(tree: Path) -> None:
    for data in (b"in/a.jpg\0in/b.png\0", "in/a.jpg\n".encode("utf-16-le")):
        with pytest.raises(UsageError, match="null bytes") as caught:
            listed(data)
        assert "--null" in str(caught.value.hint)
    with pytest.raises(UsageError, match="UTF-16"):
        listed(b"\xff\xfei\0n\0\0\xd8")
