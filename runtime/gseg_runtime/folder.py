"""From photos to a folder of masks: every good file done, every bad one named, nothing done twice."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gseg_runtime.batches import segment_photos
from gseg_runtime.class_map import ClassMap, Color
from gseg_runtime.codec_processes import CodecProcesses, Setting, are_worth_it
from gseg_runtime.detail import Detail, Edges
from gseg_runtime.errors import ConfigError, GsegError, OutputError, UsageError, at_least_one
from gseg_runtime.extras import Extras, is_cut_gseg_file, is_gseg_file, part_suffixes
from gseg_runtime.images import Decoding
from gseg_runtime.least_sure import Doubt
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.manifest import RESUME_HINT, Entry
from gseg_runtime.mask_folder import FORMAT, Contents, Failure, MaskFolder
from gseg_runtime.photo_work import Work, settings_of
from gseg_runtime.plan import BINARY, LARGE_OVERLAY, LAYER
from gseg_runtime.polygons import YOLO_TABLE, yolo_table
from gseg_runtime.sheet import NUM_DOUBTFUL, NUM_PHOTOS, SHEET, draw_sheet
from gseg_runtime.sources import Source
from gseg_runtime.tables import COCO, FAILURES, INSTANCES, STATS, TABLES, write_failures
from gseg_runtime.to_rgb import BLACK
from gseg_runtime.workers import num_cores


@dataclass(frozen=True)
class FolderOptions:
    """How photos become a folder of masks.

    overwrite: empty the folder first, if only gseg wrote in it. resume: do what an earlier run with the same model left
    undone, and photos changed since. full_names: x.jpg as x.jpg.png. workers: threads, or processes where
    `codec_processes` is worth it; None is one per core. fast_decode, background, allow_truncated, max_pixels: see
    `Decoding`. shard: (i, n), only every n-th photo from the i-th (counted from 0) on, for n machines with a folder
    each. edges, tile: see `Detail`, which needs logits for them; None are smooth edges where the model has logits, and
    tiles of the size that it learned from, if it did.

    Also written: overlay: x.overlay.jpg, the photo with the class colours. confidence: x.confidence.png; "nearest"
    edges need a model that was exported with it. cutout: x.cutout.png, the photo's parts on nothing. binary:
    x.binary-NAME.png, a mask of 0 and 255 for each part. layers: x.layer-NAME.png, a cut-out of each part. parts: the
    classes that these three show; none are all but the background. polygons: labelme/x.json, and yolo/labels/x.txt with
    yolo/data.yaml. coco, stats: gseg-coco.json, gseg-stats.csv. instances: gseg-instances.json, an annotation for each
    connected part. failures: gseg-failures.txt, the names of photos that failed. sheet: gseg-sheet.jpg, eight of
    the photos with their masks over them, and the eight that the model is least sure of; of large photos it takes a
    tenth of a second for each.
    """

    overwrite: bool = False
    resume: bool = False
    full_names: bool = False
    workers: int | None = None
    overlay: bool = False
    confidence: bool = False
    cutout: bool = False
    binary: bool = False
    layers: bool = False
    parts: Sequence[str] = ()
    polygons: bool = False
    coco: bool = False
    instances: bool = False
    stats: bool = False
    failures: bool = False
    sheet: bool = False
    fast_decode: bool = False
    background: Color = BLACK
    allow_truncated: bool = False
    max_pixels: int | None = None
    shard: tuple[int, int] = (0, 1)
    edges: Edges | None = None
    tile: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.shard[0] < self.shard[1]:
            raise UsageError(f"shard: expected I/N with I from 0 to N - 1, got {self.shard[0]}/{self.shard[1]}")
        at_least_one("workers", self.workers)
        at_least_one("max_pixels", self.max_pixels)
        if isinstance(self.parts, str):  # of which each letter would be a name
            raise UsageError(f"parts: expected a list of classes, got {self.parts!r}", f"write [{self.parts!r}]")
        if self.parts and not self._shows_parts:
            raise UsageError("parts: nothing is made of single parts", "add --cutout, --binary or --layers")
        _ = self.detail, self.decoding

    def of(self, model: LoadedModel) -> "FolderOptions":
        """The same with the edges and tiles that are usual for the model, where none are named."""
        return replace(self, **vars(model.detail(self.edges, self.tile)))

    @property
    def _shows_parts(self) -> bool:
        return self.cutout or self.binary or self.layers

    @property
    def detail(self) -> Detail:
        return Detail(self.edges or "nearest", self.tile)

    @property
    def tables(self) -> list[str]:
        """Those that are made from the manifest."""
        wanted = {STATS: self.stats, COCO: self.coco, INSTANCES: self.instances}
        return [table for table, is_wanted in wanted.items() if is_wanted]

    def with_tables_of(self, out: Path) -> "FolderOptions":
        """The same, and the tables that are there already: without new photos they would be wrong."""
        return replace(
            self,
            stats=self.stats or (out / STATS).is_file(),
            coco=self.coco or (out / COCO).is_file(),
            instances=self.instances or (out / INSTANCES).is_file(),
            failures=self.failures or (out / FAILURES).is_file(),
        )

    @property
    def decoding(self) -> Decoding:
        return Decoding(
            fast=self.fast_decode,
            background=self.background,
            allow_truncated=self.allow_truncated,
            max_pixels=self.max_pixels,
        )

    def extras(self, classes: ClassMap) -> Extras:
        """UsageError for a part that is no class."""
        parts = _indices(self.parts, classes)
        if not parts and self._shows_parts:
            raise UsageError("the model has no class but the background", "name it as a part")
        return Extras(
            overlay=self.overlay,
            confidence=self.confidence,
            cutout=parts if self.cutout else (),
            binary=part_suffixes(BINARY, classes, parts) if self.binary else (),
            layers=part_suffixes(LAYER, classes, parts) if self.layers else (),
            polygons=self.polygons,
            coco=self.coco,
            instances=self.instances,
            stats=self.stats,
            decoding=self.decoding,
        )


def _indices(parts: Sequence[str], classes: ClassMap) -> tuple[int, ...]:
    """In the order of the classes, each once; all but the background where none is named."""
    try:
        return tuple(sorted({classes.index(name) for name in parts})) or tuple(range(1, len(classes)))
    except ConfigError as error:
        raise UsageError(f"parts: {error.message}", error.hint) from error


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
    leave behind, by name. least_sure: the twelve photos that the model is least sure of, where it tells.
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
    least_sure: tuple[Doubt, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The content of gseg-report.json."""
        told = {**asdict(self), "classes": self.classes.to_json()}
        told["least_sure"] = [doubt._asdict() for doubt in self.least_sure]
        return {"format": FORMAT, "kind": "segment", **told}


def segment_into(
    out: Path,
    model: LoadedModel,
    sources: Iterable[Source],
    options: FolderOptions,
    on_image: OnImage | None = None,
) -> FolderReport:
    """Write the mask of every photo in `sources` below `out`; see `Segmenter.segment_folder`."""
    options = options.of(model)
    if options.resume:
        options = options.with_tables_of(out)
    extras = options.extras(model.card.classes)
    options.detail.check(model.card.input_size)
    model.require(confidence=options.confidence, logits=options.detail.needs_logits)
    with _open_folder(out, model, sources, options, extras) as folder:
        _fill(folder, model, options, extras, on_image)
        with _as_output_errors():
            return _finish(folder, model, options)


def _finish(folder: MaskFolder, model: LoadedModel, options: FolderOptions) -> FolderReport:
    """Write what is told of all photos at once."""
    folder.out.check()
    if options.polygons:
        folder.out.write(YOLO_TABLE, yolo_table(model.card.classes).encode())
    for table in options.tables:
        TABLES[table](folder.path, model.card.classes)
    report = _report(folder, model)
    if options.failures:
        write_failures(folder.path, (failure.path for failure in report.failures))
    if options.sheet:
        _write_sheet(folder, model.card.classes, options)
    folder.finish(report.to_json())
    return report


def _write_sheet(folder: MaskFolder, classes: ClassMap, options: FolderOptions) -> None:
    jobs, workers = folder.jobs.spread(NUM_PHOTOS), options.workers or num_cores()
    doubtful = folder.doubtful()[:NUM_DOUBTFUL] if len(folder.jobs) > NUM_PHOTOS else []
    if sheet := draw_sheet(folder.path, jobs, doubtful, classes, options.decoding, workers):
        folder.out.write(SHEET, sheet)


@contextmanager
def _as_output_errors() -> Iterator[None]:
    """A disk that takes no more ends the run here as it does in the middle: with what is safe, and what to do."""
    try:
        yield
    except GsegError as error:
        if isinstance(error, OutputError) or not isinstance(error.__cause__, OSError):
            raise
        raise OutputError(error.message, RESUME_HINT) from error


def _open_folder(
    out: Path, model: LoadedModel, sources: Iterable[Source], options: FolderOptions, extras: Extras
) -> MaskFolder:
    contents = Contents(
        key=model.sha256,
        suffixes=extras.suffixes,
        tables=(*TABLES, FAILURES, str(SHEET)),
        is_ours=is_gseg_file,
        is_cut=is_cut_gseg_file,
        is_enough=extras.are_told_by,
        suffixes_of=extras.suffixes_of,
        settings=settings_of(extras, options.detail),
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


def _fill(
    folder: MaskFolder, model: LoadedModel, options: FolderOptions, extras: Extras, on_image: OnImage | None
) -> None:
    total = len(folder.todo)

    def take(entry: Entry) -> None:
        folder.take(entry)
        if on_image is not None:
            on_image(Progress(folder.num_taken, total, entry))

    num_workers = min(options.workers or num_cores(), max(1, total))
    with _work(folder, model, options, extras, num_workers) as work:
        segment_photos(model, work, folder.todo, take, num_workers)


def _work(
    folder: MaskFolder, model: LoadedModel, options: FolderOptions, extras: Extras, num_workers: int
) -> AbstractContextManager[Work]:
    masks = {mask for mask in folder.jobs.masks() if mask.endswith(LARGE_OVERLAY)} if extras.overlay else ()
    setting = Setting(
        folder.path, folder.out.handle, frozenset(masks), model.card, model.sha256, extras, options.detail
    )
    if are_worth_it(len(folder.todo), num_workers, options.detail):
        return CodecProcesses(setting, num_workers)
    return nullcontext(setting.work(folder.out))


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
        least_sure=folder.least_sure.doubts,
    )
