"""From a folder of photos to a folder of masks: every good file done, every bad one named, nothing done twice."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import ImageError
from gseg_runtime.files import claim_folder, finish_folder, write_json
from gseg_runtime.label_map import is_gseg_png, write_label_png
from gseg_runtime.manifest import MANIFEST, Done, Entry, ManifestWriter, Stamp, stamp_of
from gseg_runtime.plan import Job, check_places, plan
from gseg_runtime.workers import num_cores, run_to_completion

if TYPE_CHECKING:
    from gseg_runtime.segmenter import Segmenter

REPORT = "gseg-report.json"
FORMAT = 1


@dataclass(frozen=True)
class Progress:
    """done: photos finished so far, failed ones included, of `total`; entry: the one just finished."""

    done: int
    total: int
    entry: Entry


OnImage = Callable[[Progress], None]


@dataclass(frozen=True)
class Failure:
    path: str
    reason: str


@dataclass(frozen=True)
class FolderReport:
    """What a run did. done, failed: photos of this run; skipped: done by an earlier one; seconds: of wall time."""

    done: int
    failed: int
    skipped: int
    seconds: float
    images_per_second: float
    failures: tuple[Failure, ...]
    device: str
    model_sha256: str
    classes: ClassMap

    def to_json(self) -> dict[str, Any]:
        """The content of gseg-report.json."""
        failures = [asdict(failure) for failure in self.failures]
        data = {
            "format": FORMAT,
            "kind": "segment",
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
        }
        return {**data, "failures": failures, "classes": self.classes.to_json()}


def segment_into(
    out: Path,
    segmenter: "Segmenter",
    sources: Sequence[Path],
    *,
    on_image: OnImage | None = None,
    overwrite: bool = False,
    resume: bool = False,
    full_names: bool = False,
    workers: int | None = None,
) -> FolderReport:
    """Write the mask of every photo in `sources` below `out`; see `Segmenter.segment_folder`."""
    start_s = time.perf_counter()
    check_places(sources, out)
    jobs = plan(sources, full_names=full_names)
    done = Done(out, segmenter.model_sha256) if resume else None
    claim_folder(out, "masks", overwrite=overwrite, resume=resume, owned=_is_ours)
    todo = [job for job in jobs if done is None or not done.holds(job.photo, job.mask)]
    entries: list[Entry] = []
    kept = done.without(job.mask for job in todo) if done else ()
    with ManifestWriter(out, kept) as manifest:

        def take(entry: Entry) -> None:
            manifest.add(entry)
            entries.append(entry)
            if on_image is not None:
                on_image(Progress(len(entries), len(todo), entry))

        num_workers = min(workers or num_cores(), max(1, len(todo)))
        run_to_completion(todo, lambda job: _do(segmenter, job, out), take, num_workers)
    report = _report(segmenter, entries, len(jobs) - len(todo), time.perf_counter() - start_s)
    write_json(out / REPORT, report.to_json())
    finish_folder(out)
    return report


def _do(segmenter: "Segmenter", job: Job, out: Path) -> Entry:
    """One photo from file to mask. Only an unreadable photo is an entry; a full disk stops the run."""
    start_s = time.perf_counter()
    stamp: Stamp | None = None
    error: str | None = None
    try:
        stamp = stamp_of(job.photo)  # before reading: a photo that changes meanwhile is done again by --resume
        write_label_png(out / job.mask, segmenter.segment_file(job.photo), segmenter.card.classes)
    except ImageError as failure:
        error = failure.message.removeprefix(f"{job.photo}: ")
    return Entry(
        input=str(job.photo),
        mask=str(job.mask),
        status="failed" if error else "done",
        model_sha256=segmenter.model_sha256,
        seconds=round(time.perf_counter() - start_s, 4),
        stamp=stamp,
        error=error,
    )


def _report(segmenter: "Segmenter", entries: Sequence[Entry], num_skipped: int, seconds: float) -> FolderReport:
    failures = tuple(Failure(entry.input, entry.error) for entry in entries if entry.error is not None)
    num_done = len(entries) - len(failures)
    return FolderReport(
        done=num_done,
        failed=len(failures),
        skipped=num_skipped,
        seconds=round(seconds, 3),
        images_per_second=round(num_done / seconds, 2),
        failures=tuple(sorted(failures, key=lambda failure: failure.path)),
        device=segmenter.device,
        model_sha256=segmenter.model_sha256,
        classes=segmenter.card.classes,
    )


def _is_ours(path: Path) -> bool:
    """Whether an earlier run of this wrote the file; a link never is."""
    return not path.is_symlink() and (path.name in (MANIFEST, REPORT) or is_gseg_png(path))
