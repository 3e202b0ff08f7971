"""One manifest, one report and one of each table from those of several folders of masks, as of shards."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.extras import is_gseg_file
from gseg_runtime.files import INCOMPLETE, atomic_path, check_claim, claim_folder, finish_folder, read_json, write_json
from gseg_runtime.folder import FolderReport
from gseg_runtime.least_sure import LeastSure
from gseg_runtime.made_with import both
from gseg_runtime.manifest import MANIFEST, Entry, has_full_names, read_entries, read_manifest
from gseg_runtime.mask_folder import FORMAT, REPORT, Failure
from gseg_runtime.output_folder import OutputFolder
from gseg_runtime.plan import check_apart
from gseg_runtime.tables import COCO, FAILURES, INSTANCES, STATS, TABLES, write_failures

# What an entry must have for a table to be whole.
_TOLD: dict[str, Callable[[Entry], bool]] = {
    STATS: lambda entry: bool(entry.areas),
    COCO: lambda entry: entry.coco is not None,
    INSTANCES: lambda entry: entry.instances is not None,
}


@dataclass(frozen=True)
class _Shard:
    folder: Path
    report: dict[str, Any]

    @property
    def tables(self) -> set[str]:
        return {name for name in (*TABLES, FAILURES) if (self.folder / name).is_file()}


def merge(folders: Sequence[Path], out: Path, *, overwrite: bool = False) -> FolderReport:
    """Write what `gseg segment` writes about all photos, but no mask, into the folder `out`.

    GsegError before anything is written: a folder is not finished, models, names or tables differ, two made the same
    mask, or `out` is in use.
    """
    check_apart(out, map(str, folders), map(str, folders))
    shards = [_read(folder) for folder in folders]
    _check_alike(shards)
    _check_entries(folders, shards[0].tables)
    with OutputFolder(out, lambda: check_claim(out, "tables", overwrite=overwrite)):
        claim_folder(out, "tables", overwrite=overwrite, owned=_is_ours)
        _merge_manifests(folders, out)
        num_masks = sum(1 for _ in read_manifest(out))
        report = _report([shard.report for shard in shards], num_masks)
        report = replace(report, least_sure=LeastSure(read_manifest(out)).doubts)
        for name in shards[0].tables & TABLES.keys():
            TABLES[name](out, report.classes)
        if FAILURES in shards[0].tables:
            write_failures(out, (failure.path for failure in report.failures))
        write_json(out / REPORT, report.to_json())
        finish_folder(out)
    return report


def _is_ours(path: Path) -> bool:
    return path.name in (MANIFEST, REPORT, FAILURES, *TABLES) or is_gseg_file(path)


def _read(folder: Path) -> _Shard:
    if not folder.is_dir():
        raise GsegError(f"{folder}: no such folder")
    if not (folder / REPORT).is_file() or (folder / INCOMPLETE).exists():
        message = f"{folder}: " + ("not finished" if (folder / MANIFEST).exists() else f"has no {REPORT}")
        raise GsegError(message, "name folders that gseg segment has filled; --resume finishes one")
    report = read_json(folder / REPORT)
    kind = report.get("kind") if isinstance(report, dict) else None
    if kind != "segment" or report.get("format") != FORMAT:
        message = f"{folder / REPORT}: expected kind segment and format {FORMAT}, got {kind}"
        raise GsegError(message, "only folders of gseg segment are merged")
    if not _is_complete(report):
        message = f"{folder / REPORT}: not as gseg segment wrote it; something is missing or of another type"
        raise GsegError(message, "gseg segment --resume writes it again")
    return _Shard(folder, report)


def _is_complete(report: dict[str, Any]) -> bool:
    """Whether all that is merged is there, and of its type: somebody may have edited the file."""
    try:
        ClassMap.from_json(report["classes"])
        failures, passed_over = report["failures"], report.get("passed_over", {})
        texts = [report["device"], report["model_sha256"], *(text for failure in failures for text in failure.values())]
        numbers = [report["done"], *passed_over.values()]
        return (
            all(failure.keys() == {"path", "reason"} for failure in failures)
            and all(isinstance(text, str) for text in texts)
            and all(isinstance(number, int) for number in numbers)
            and isinstance(report["seconds"], int | float)
        )
    except (GsegError, AttributeError, KeyError, TypeError):
        return False


def _check_alike(shards: Sequence[_Shard]) -> None:
    first = shards[0]
    for shard in shards[1:]:
        both = f"{first.folder} and {shard.folder}"
        for key, what in (("model_sha256", "models"), ("classes", "classes")):
            if shard.report[key] != first.report[key]:
                raise GsegError(f"{both}: made with different {what}", "segment one of them again with --overwrite")
        if different := shard.tables ^ first.tables:
            hint = "--resume with the same options as the others makes it"
            raise GsegError(f"{both}: only one has {' and '.join(sorted(different))}", hint)
        names = {has_full_names(folder) for folder in (first.folder, shard.folder)}
        if names >= {True, False}:
            raise GsegError(f"{both}: only one was made with --full-names", "make the other anew like it")


def _check_entries(folders: Sequence[Path], tables: set[str]) -> None:
    owners: dict[str, Path] = {}
    settings = next((entry.settings for entry in read_manifest(folders[0])), None)
    for folder in folders:
        for entry in read_entries(folder):
            if entry.status == "done" and entry.settings != settings:
                first, second = both(settings, entry.settings)
                message = f"{folders[0]} and {folder}: made with different settings, one {first}, the other {second}"
                raise GsegError(message, "segment one of them again with --overwrite")
            lacking = [name for name, told in _TOLD.items() if name in tables and not told(entry)]
            if entry.status == "done" and lacking:
                message = f"{folder}: {lacking[0]} does not hold {entry.input}"
                raise GsegError(message, "gseg segment --resume with the option of that table makes it whole")
            if owners.setdefault(entry.mask, folder) is not folder:
                message = f"{entry.mask} is in both {owners[entry.mask]} and {folder}"
                raise GsegError(message, "each photo may be in one of them; were they made with the same --shard?")


def _merge_manifests(folders: Sequence[Path], out: Path) -> None:
    with atomic_path(out / MANIFEST) as temporary, temporary.open("w", encoding="utf-8") as file:
        for folder in folders:
            for entry in read_entries(folder):
                way = entry.way and os.path.relpath(folder / entry.way, out)
                file.write(replace(entry, way=way).to_line())


def _report(reports: Sequence[dict[str, Any]], num_masks: int) -> FolderReport:
    """Sums; but a folder that cannot be listed is told once, and each shard passed over the same files. What a last run
    did not make was there already.
    """
    failures = {Failure(**failure): None for report in reports for failure in report["failures"]}
    total = partial(_sum, reports)
    done, seconds = total("done"), total("seconds")
    passed_over = reduce(Counter.__or__, (Counter(report.get("passed_over", {})) for report in reports))
    return FolderReport(
        done=done,
        failed=len(failures),
        skipped=num_masks - done,
        seconds=round(seconds, 3),
        images_per_second=round(done / seconds, 2) if seconds else 0.0,
        failures=tuple(sorted(failures, key=lambda failure: failure.path)),
        device=", ".join(sorted({report["device"] for report in reports})),
        model_sha256=reports[0]["model_sha256"],
        classes=ClassMap.from_json(reports[0]["classes"]),
        passed_over=dict(passed_over.most_common()),
    )


def _sum(reports: Sequence[dict[str, Any]], key: str) -> Any:
    return sum(report[key] for report in reports)
