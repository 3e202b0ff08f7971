"""From photos to a folder of masks: every good file done, every bad one named, nothing done twice."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gseg_runtime.batches import segment_batches, segment_singly
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import INCOMPLETE, MARKERS, claim_folder, finish_folder, write_json
from gseg_runtime.manifest import MANIFEST, Done, Entry, ManifestWriter
from gseg_runtime.photo_work import Extras, PhotoWork, beside, is_gseg_overlay
from gseg_runtime.plan import OVERLAY, Plan, Source, check_places, forget, missing, plan
from gseg_runtime.png import is_gseg_png
from gseg_runtime.tables import COCO, STATS, write_coco, write_stats
from gseg_runtime.workers import num_cores

if TYPE_CHECKING:
    from gseg_runtime.segmenter import Segmenter

REPORT = "gseg-report.json"
FORMAT = 1


@dataclass(frozen=True)
class FolderOptions:
    """How photos become a folder of masks.

    overwrite: empty the folder first, if only gseg wrote in it. resume: do what an earlier run with the same model left
    undone, and photos changed since. full_names: x.jpg as x.jpg.png. workers: threads; None is one per core.
    overlay: also x.overlay.jpg, the photo with the class colours. confidence: also x.confidence.png; the model must
    have it. coco, stats: also gseg-coco.json, gseg-stats.csv. fast_decode: JPEGs at a smaller scale. shard: (i, n),
    only every n-th photo from the i-th (counted from 0) on, for n machines with a folder each.
    """

    overwrite: bool = False
    resume: bool = False
    full_names: bool = False
    workers: int | None = None
    overlay: bool = False
    confidence: bool = False
    coco: bool = False
    stats: bool = False
    fast_decode: bool = False
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if not 0 <= self.shard[0] < self.shard[1]:
            raise UsageError(f"shard: expected I/N with I from 0 to N - 1, got {self.shard[0]}/{self.shard[1]}")

    @property
    def extras(self) -> Extras:
        return Extras(self.overlay, self.confidence, self.coco, self.stats, self.fast_decode)


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
    sources: Iterable[Source],
    options: FolderOptions,
    on_image: OnImage | None = None,
) -> FolderReport:
    """Write the mask of every photo in `sources` below `out`; see `Segmenter.segment_folder`."""
    start_s = time.perf_counter()
    extras = options.extras
    if extras.confidence:
        segmenter.require_confidence()
    jobs = plan(sources, full_names=options.full_names, suffixes=extras.suffixes).shard(*options.shard)
    check_places(jobs, out)
    done = Done(out, segmenter.model_sha256, lambda entry: extras.are_in(out, entry)) if options.resume else None
    todo = missing(jobs, done) if done else jobs
    if done:
        check_untaken(out, todo, extras.suffixes, _is_ours)
    claim_folder(out, "masks", overwrite=options.overwrite, resume=options.resume, owned=_is_ours)
    if done:
        forget(todo, done)
    work = PhotoWork(out, segmenter.card, segmenter.model_sha256, extras)
    with ManifestWriter(out) as manifest:
        tally = _Tally(manifest, len(todo), on_image)
        segment = segment_singly if segmenter.batch == 1 else segment_batches
        segment(segmenter, work, todo, tally.take, min(options.workers or num_cores(), max(1, len(todo))))
    if extras.stats:
        write_stats(out, segmenter.card.classes)
    if extras.coco:
        write_coco(out, segmenter.card.classes)
    report = tally.report(segmenter, len(jobs) - len(todo), time.perf_counter() - start_s)
    write_json(out / REPORT, report.to_json())
    finish_folder(out)
    return report


class _Tally:
    """Counts what comes in; only failures are kept."""

    def __init__(self, manifest: ManifestWriter, total: int, on_image: OnImage | None) -> None:
        self._manifest = manifest
        self._total = total
        self._on_image = on_image
        self._num_taken = 0
        self._failures: list[Failure] = []

    def take(self, entry: Entry) -> None:
        self._manifest.add(entry)
        self._num_taken += 1
        if entry.error is not None:
            self._failures.append(Failure(entry.input, entry.error))
        if self._on_image is not None:
            self._on_image(Progress(self._num_taken, self._total, entry))

    def report(self, segmenter: "Segmenter", num_skipped: int, seconds: float) -> FolderReport:
        num_done = self._num_taken - len(self._failures)
        return FolderReport(
            done=num_done,
            failed=len(self._failures),
            skipped=num_skipped,
            seconds=round(seconds, 3),
            images_per_second=round(num_done / seconds, 2),
            failures=tuple(sorted(self._failures, key=lambda failure: failure.path)),
            device=segmenter.device,
            model_sha256=segmenter.model_sha256,
            classes=segmenter.card.classes,
        )


def check_untaken(out: Path, todo: Plan, suffixes: Sequence[str], owned: Callable[[Path], bool]) -> None:
    """GsegError when --resume would write among or over what was not written by the same command."""
    for marker in MARKERS:
        if marker not in (INCOMPLETE, MANIFEST, REPORT) and (out / marker).is_file():
            raise GsegError(f"{out}: holds {marker}, so it is not a folder of masks", "choose another folder")
    for mask in (out / job.mask for job in todo):
        for path in (mask, *(beside(mask, suffix) for suffix in suffixes)):
            if os.path.lexists(path) and not (path.is_file() and owned(path)):
                message = f"{path}: is in the way, and not a file that gseg wrote here"
                raise GsegError(message, "choose another folder, or move it away")


def _is_ours(path: Path) -> bool:
    """Whether an earlier run of this wrote the file; a link never is."""
    if path.is_symlink():
        return False
    if path.name in (MANIFEST, REPORT, STATS, COCO):
        return True
    return is_gseg_overlay(path) if path.name.endswith(OVERLAY) else is_gseg_png(path)
