"""From photos to a folder of masks: every good file done, every bad one named, nothing done twice."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gseg_runtime.batches import segment_batches, segment_singly
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import UsageError, at_least_one
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.manifest import Entry
from gseg_runtime.mask_folder import FORMAT, Contents, Failure, MaskFolder
from gseg_runtime.photo_work import Extras, PhotoWork, is_gseg_overlay
from gseg_runtime.plan import LARGE_OVERLAY, OVERLAY
from gseg_runtime.png import is_gseg_png
from gseg_runtime.sources import Source
from gseg_runtime.tables import COCO, STATS, write_coco, write_stats
from gseg_runtime.workers import num_cores


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
        at_least_one("workers", self.workers)

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
class FolderReport:
    """What a run did. done, failed: photos of this run; skipped: done by an earlier one; seconds: of wall time.

    passed_over: how many files in the folders and patterns were no photos by their names, by suffix; and what systems
    leave behind, by name.
    """

    done: int
    failed: int
    skipped: int
    seconds: float
    images_per_second: float
    failures: tuple[Failure, ...]
    device: str
    model_sha256: str
    classes: ClassMap
    passed_over: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The content of gseg-report.json."""
        return {"format": FORMAT, "kind": "segment", **asdict(self), "classes": self.classes.to_json()}


def segment_into(
    out: Path,
    model: LoadedModel,
    sources: Iterable[Source],
    options: FolderOptions,
    on_image: OnImage | None = None,
) -> FolderReport:
    """Write the mask of every photo in `sources` below `out`; see `Segmenter.segment_folder`."""
    if options.confidence:
        model.require_confidence()
    with _open_folder(out, model, sources, options) as folder:
        _fill(folder, model, options, on_image)
        folder.out.check()
        if options.stats:
            write_stats(out, model.card.classes)
        if options.coco:
            write_coco(out, model.card.classes)
        report = _report(folder, model)
        folder.finish(report.to_json())
    return report


def _open_folder(out: Path, model: LoadedModel, sources: Iterable[Source], options: FolderOptions) -> MaskFolder:
    contents = Contents(
        key=model.sha256,
        suffixes=options.extras.suffixes,
        tables=(STATS, COCO),
        is_ours=_is_ours,
        is_enough=options.extras.are_told_by,
        suffixes_of=options.extras.suffixes_of,
    )
    return MaskFolder(
        out,
        sources,
        contents,
        overwrite=options.overwrite,
        resume=options.resume,
        full_names=options.full_names,
        shard=options.shard,
    )


def _is_ours(path: Path) -> bool:
    """Whether it is a mask, a map of confidence or an overlay that gseg wrote."""
    return is_gseg_overlay(path) if path.name.endswith(OVERLAY) else is_gseg_png(path)


def _fill(folder: MaskFolder, model: LoadedModel, options: FolderOptions, on_image: OnImage | None) -> None:
    total = len(folder.todo)

    def take(entry: Entry) -> None:
        folder.take(entry)
        if on_image is not None:
            on_image(Progress(folder.num_taken, total, entry))

    masks = {mask for mask in folder.jobs.masks() if mask.endswith(LARGE_OVERLAY)} if options.overlay else ()
    work = PhotoWork(folder.out, model.card, model.sha256, options.extras, masks)
    segment = segment_singly if model.batch == 1 else segment_batches
    segment(model, work, folder.todo, take, min(options.workers or num_cores(), max(1, total)))


def _report(folder: MaskFolder, model: LoadedModel) -> FolderReport:
    seconds = folder.seconds()
    return FolderReport(
        done=folder.num_done,
        failed=len(folder.failures),
        skipped=folder.num_skipped,
        seconds=round(seconds, 3),
        images_per_second=round(folder.num_done / seconds, 2),
        failures=tuple(sorted(folder.failures, key=lambda failure: failure.path)),
        device=model.device,
        model_sha256=model.sha256,
        classes=model.card.classes,
        passed_over=dict(folder.jobs.search.passed_over.most_common()),
    )
