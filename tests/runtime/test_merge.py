"""gseg merge: shards tell together what one run would have told."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeModel, MakePhoto

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.files import read_json
from gseg_runtime.manifest import MANIFEST, read_entries
from gseg_runtime.merge import merge
from gseg_runtime.sources import Source


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


@pytest.fixture
def shards(segmenter: Segmenter, photos: Path, tmp_path: Path) -> list[Path]:
    """Three, with tables, of five photos of which one is broken."""
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xffno photo")
    (photos / "notes.txt").touch()
    folders = [tmp_path / f"masks-{index}" for index in range(3)]
    for index, folder in enumerate(folders):
        segmenter.segment_folder(photos, folder, shard=(index, 3), coco=True, stats=True)
    return folders


def without(report: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in keys}


def test_merged_shards_are_what_one_run_writes(
    segmenter: Segmenter, photos: Path, shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segmenter.segment_folder(photos, tmp_path / "one", coco=True, stats=True)
    merged = tmp_path / "merged"
    assert main(["merge", *map(str, shards[::-1]), "-o", str(merged)]) == 0
    assert "report on 4 masks in 3 folders, 1 failed; the masks stay where they are" in capsys.readouterr().out
    for table in ("gseg-coco.json", "gseg-stats.csv"):
        assert (merged / table).read_bytes() == (tmp_path / "one" / table).read_bytes()
    ours, theirs = read_json(merged / "gseg-report.json"), read_json(tmp_path / "one" / "gseg-report.json")
    times = ("seconds", "images_per_second")
    assert without(ours, *times) == without(theirs, *times)
    assert ours["seconds"] == pytest.approx(sum(read_json(x / "gseg-report.json")["seconds"] for x in shards), abs=0.01)
    assert {path.name for path in merged.iterdir()} == {
        MANIFEST,
        "gseg-report.json",
        "gseg-coco.json",
        "gseg-stats.csv",
    }
    masks = [{entry.mask for entry in read_entries(folder)} for folder in (merged, tmp_path / "one")]
    assert masks[0] == masks[1] and len(masks[0]) == 5


def test_with_the_masks_beside_them_a_run_goes_on(
    segmenter: Segmenter, photos: Path, shards: list[Path], tmp_path: Path
) -> None:
    merge(shards, merged := tmp_path / "merged")
    for shard in shards:
        shutil.copytree(shard, merged, dirs_exist_ok=True, ignore=shutil.ignore_patterns("gseg-*"))
    again = segmenter.segment_folder(photos, merged, resume=True)
    assert (again.skipped, again.done, again.failed) == (4, 0, 1)


def test_photos_named_relatively_are_found_from_the_merged_folder(
    segmenter: Segmenter, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for index in (0, 1):
        segmenter.segment_folder("photos", f"{index}", shard=(index, 2))
    merge([Path("0"), Path("1")], merged := Path("deeper", "merged"))
    found = {(merged / (entry.way or "")).resolve() for entry in read_entries(merged)}
    assert found == {path for path in photos.rglob("*") if path.is_file()}


def test_ids_and_lines_are_counted_anew(shards: list[Path], tmp_path: Path) -> None:
    merge(shards[:2], tmp_path / "merged")
    coco = read_json(tmp_path / "merged" / "gseg-coco.json")
    for items in (coco["images"], coco["annotations"]):
        assert [item["id"] for item in items] == list(range(1, len(items) + 1))
    assert {item["image_id"] for item in coco["annotations"]} == {item["id"] for item in coco["images"]}
    with (tmp_path / "merged" / "gseg-stats.csv").open(newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [image["file_name"] for image in coco["images"]]


def test_a_mask_in_two_folders_is_an_error(
    segmenter: Segmenter, photos: Path, shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segmenter.segment_folder(photos, tmp_path / "again", shard=(1, 3), coco=True, stats=True)
    for twice in ([*shards, tmp_path / "again"], [shards[0], shards[0]]):
        assert main(["merge", *map(str, twice), "-o", str(tmp_path / "merged")]) == 1
        error, hint = capsys.readouterr().err.splitlines()
        assert " is in both " in error and "--shard" in hint
        assert not (tmp_path / "merged").exists()


def test_folders_that_do_not_belong_together_are_refused(
    make_model: MakeModel, make_photo: MakePhoto, photos: Path, shards: list[Path], tmp_path: Path
) -> None:
    other = Segmenter.load(make_model(created_by="another"), device="cpu")
    other.segment_folder(photos, tmp_path / "other", shard=(2, 3), coco=True, stats=True)
    with pytest.raises(GsegError, match="different models"):
        merge([*shards[:2], tmp_path / "other"], tmp_path / "merged")
    (shards[1] / "gseg-coco.json").unlink()
    with pytest.raises(GsegError, match=r"masks-1: only one has gseg-coco\.json"):
        merge(shards, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_names_that_differ_are_refused(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    for index in (0, 1):
        segmenter.segment_folder(photos, tmp_path / str(index), shard=(index, 2), full_names=bool(index))
    with pytest.raises(GsegError, match="--full-names"):
        merge([tmp_path / "0", tmp_path / "1"], tmp_path / "merged")


def test_what_is_not_finished_or_no_folder_of_masks_is_refused(
    shards: list[Path], photos: Path, tmp_path: Path
) -> None:
    (shards[1] / ".gseg-incomplete").touch()
    with pytest.raises(GsegError, match="masks-1: not finished"):
        merge(shards, tmp_path / "merged")
    with pytest.raises(GsegError, match=r"photos: has no gseg-report\.json"):
        merge([shards[0], photos], tmp_path / "merged")
    with pytest.raises(GsegError, match="nowhere: no such folder"):
        merge([shards[0], tmp_path / "nowhere"], tmp_path / "merged")
    (shards[1] / ".gseg-incomplete").unlink()
    report = read_json(shards[1] / "gseg-report.json")
    (shards[1] / "gseg-report.json").write_text(json.dumps({**report, "kind": "fewshot-segment"}))
    with pytest.raises(GsegError, match="expected kind segment and format 1, got fewshot-segment"):
        merge(shards, tmp_path / "merged")


def test_the_merged_folder_is_none_of_the_shards_and_nobody_elses(shards: list[Path], tmp_path: Path) -> None:
    for out in (shards[0], shards[0] / "merged", tmp_path):
        with pytest.raises(GsegError, match=r"inside the input|holds the input"):
            merge(shards, out, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").touch()
    with pytest.raises(GsegError, match="not empty"):
        merge(shards, tmp_path / "mine")
    with pytest.raises(GsegError, match="not written by gseg"):
        merge(shards, tmp_path / "mine", overwrite=True)
    merge(shards, tmp_path / "merged")
    merge(shards, tmp_path / "merged", overwrite=True)
    assert (shards[0] / "a.png").is_file()


def test_a_folder_that_no_shard_could_list_is_told_once(shards: list[Path], tmp_path: Path) -> None:
    for shard in shards:
        report = read_json(shard / "gseg-report.json")
        failures = [*report["failures"], {"path": "photos/shut", "reason": "Permission denied"}]
        (shard / "gseg-report.json").write_text(json.dumps({**report, "failed": len(failures), "failures": failures}))
    report = merge(shards, tmp_path / "merged")
    assert report.failed == 2 and [failure.path for failure in report.failures][1:] == ["photos/shut"]
    assert report.passed_over == {".txt": 1}


def test_a_table_that_lacks_a_photo_is_refused_and_resume_makes_it_whole(
    segmenter: Segmenter, photos: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    masks = tmp_path / "masks"
    segmenter.segment_folder(photos, masks)
    (masks / "gseg-coco.json").write_text("{}")
    with pytest.raises(GsegError, match=r"gseg-coco\.json does not hold"):
        merge([masks], tmp_path / "merged")
    segmenter.segment_folder(photos, masks, resume=True)  # whose tables go on, too
    merge([masks], tmp_path / "merged")
    assert len(read_json(tmp_path / "merged" / "gseg-coco.json")["images"]) == 4


def test_what_an_earlier_run_made_counts_as_made(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    segmenter.segment_folder(photos, masks)
    (masks / "a.png").unlink()
    segmenter.segment_files([Source(photos / "a.jpg", photos)], masks, resume=True)
    report = merge([masks], tmp_path / "merged")
    assert (report.done, report.skipped) == (1, 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [("done", None), ("seconds", "1"), ("classes", [{}]), ("device", None), ("failures", [{}]), ("passed_over", 1)],
)
def test_a_report_that_was_edited_is_named_and_what_was_merged_before_stays(
    key: str, value: Any, shards: list[Path], tmp_path: Path
) -> None:
    merge(shards, tmp_path / "merged")
    report = read_json(shards[1] / "gseg-report.json")
    (shards[1] / "gseg-report.json").write_text(json.dumps({**report, key: value}))
    with pytest.raises(GsegError, match=r"masks-1/gseg-report\.json: not as gseg segment wrote it"):
        merge(shards, tmp_path / "merged", overwrite=True)
    assert (tmp_path / "merged" / "gseg-report.json").is_file()


@pytest.mark.parametrize(
    "edited",
    [
        *({"input": None}, {"input": "a\0b"}, {"mask": []}, {"height": "x"}, {"mask": "\ud800"}, {"way": 1}),
        *({"coco": 0}, {"instances": ["x"]}, {"areas": "123"}, {"areas": [1.5]}, {"seconds": "x"}, {"stamp": [1, 2]}),
    ],
)
def test_a_line_of_the_manifest_that_was_edited_is_no_line_and_its_photo_is_done_again(
    edited: dict[str, Any], segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    whole = segmenter.segment_folder(photos, tmp_path / "masks")
    first, *rest = (tmp_path / "masks" / MANIFEST).read_text().splitlines(keepends=True)
    lines = [json.dumps({**json.loads(first), **edited}) + "\n", "[" * 100_000 + "\n", *rest]
    (tmp_path / "masks" / MANIFEST).write_text("".join(lines))
    report = segmenter.segment_folder(photos, tmp_path / "masks", resume=True)
    assert (report.done, report.skipped) == (1, whole.done - 1)
