"""From photos in one store to masks in another, by this process or by many."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.folder import FolderOptions, FolderReport
from gseg_runtime.least_sure import LeastSure
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.mask_folder import REPORT, Failure
from gseg_runtime.photo_work import settings_of
from gseg_runtime.remote.address import is_address, without_credentials
from gseg_runtime.remote.block_work import BlockWork, Task
from gseg_runtime.remote.listing import Block, Listing
from gseg_runtime.remote.open_store import open_store
from gseg_runtime.remote.parts import Done, Row
from gseg_runtime.remote.run_file import begin, look
from gseg_runtime.remote.store import Store
from gseg_runtime.workers import num_cores, run_to_completion

NUM_BLOCKS = 2  # in hand at once: while one ends, the other goes on
THREADS_PER_CORE = 8  # most of them wait for the store

Take = Callable[[list[Row]], None]
Begin = Callable[[], object]  # to be called when the work can begin, and before anything is written
Engine = Callable[[Task, Iterator[Block], Take, Begin], str]  # what did it, in words
OnRows = Callable[[int, list[Row]], None]

_WITH_BUCKET = ("s3", "s3a", "gs", "gcs", "az", "abfs")
_NOT_HERE = ("overwrite", "polygons", "coco", "instances", "stats", "failures", "sheet")


def segment_stores(
    source: Path | str,
    out: Path | str,
    model: LoadedModel,
    options: FolderOptions,
    engine: Engine | None = None,
    *,
    on_rows: OnRows | None = None,
    warn: Callable[[str], None] | None = None,
) -> FolderReport:
    """Write the mask of every photo below `source` to `out`: addresses, or paths of folders. x.jpg becomes x.jpg.png.

    engine: what does the blocks; None does them here. on_rows: gets how many photos this run has finished, and the last
    of them. The stores are asked photo by photo, and nothing is kept in memory for each.
    Raises GsegError before anything is written: no photo, an option that needs all photos at once, `out` holds
    something else.
    """
    start_s = time.perf_counter()
    source, out = _from_anywhere(source), _from_anywhere(out)
    options = options.of(model)
    _check(source, out, model, options)
    listing, store = Listing(open_store(source), options.shard), open_store(out)
    facts = _facts(source, model, options)
    is_there = look(store, facts, resume=options.resume)
    tally = _Tally(on_rows)
    blocks = listing.blocks(Done.read(store) if is_there else Done())
    start = partial(begin, store, facts, resume=options.resume, warn=warn)
    device = (engine or partial(_here, model))(Task(source, out, options), blocks, tally.take, start)
    report = _report(source, model, device, listing, tally, time.perf_counter() - start_s)
    _write_report(store, options, report)
    return report


def _check(source: str, out: str, model: LoadedModel, options: FolderOptions) -> None:
    """UsageError or GsegError for what cannot be done."""
    if wanted := [f"--{name}" for name in _NOT_HERE if getattr(options, name)]:
        message = f"{' and '.join(wanted)}: not to be had for addresses, nor on Ray"
        raise UsageError(message, "segment a folder, or leave it out")
    options.extras(model.card.classes)
    options.detail.check(model.card.input_size)
    model.require(confidence=options.confidence, logits=options.detail.needs_logits)
    places = [PurePosixPath(without_credentials(place)) for place in (source, out)]
    if places[0].is_relative_to(places[1]) or places[1].is_relative_to(places[0]):
        raise GsegError(f"{without_credentials(out)}: the output and the input hold each other", "choose another place")


def _from_anywhere(place: Path | str) -> str:
    """As processes know it that work in other folders. An address of a folder is the folder: written to as one.

    UsageError for an address that was made a path: of its two slashes one is lost, and it would be a folder. And for
    one that names nothing.
    """
    if isinstance(place, Path) and place.parts and is_address(f"{place.parts[0]}//"):
        raise UsageError(f"{place}: an address cannot be a Path", "give it as text")
    if not is_address(str(place)):
        return str(Path(place).resolve())
    scheme, _, rest = str(place).partition("://")
    scheme = scheme.lower()
    _check_named(scheme, rest)
    if scheme != "file":
        return f"{scheme}://{rest}"
    rest = rest.removeprefix("localhost") if rest.startswith("localhost/") else rest
    return str(Path(unquote(rest, errors="surrogateescape")).resolve())


def _check_named(scheme: str, rest: str) -> None:
    """UsageError for an address of nothing, as of a variable that is not set: it would be another place."""
    has_bucket = scheme.rpartition("::")[2] in _WITH_BUCKET
    if not (rest.partition("/")[0] if has_bucket else rest):
        usual = "BUCKET/FOLDER" if has_bucket else "/FOLDER"
        message = f"{scheme}://{without_credentials(rest)}: names no {'bucket' if has_bucket else 'place'}"
        raise UsageError(message, f"write {scheme}://{usual}")


def threads_for_block(workers: int | None, cores: int) -> int:
    return max(1, (workers or THREADS_PER_CORE * cores) // NUM_BLOCKS)


def _here(model: LoadedModel, task: Task, blocks: Iterator[Block], take: Take, start: Begin) -> str:
    start()
    work = BlockWork(task, model, threads_for_block(task.options.workers, num_cores()))
    run_to_completion(blocks, work.do, take, NUM_BLOCKS)
    return model.device


def _facts(source: str, model: LoadedModel, options: FolderOptions) -> dict[str, Any]:
    extras = options.extras(model.card.classes)
    return {
        "source": without_credentials(source),
        "model_sha256": model.sha256,
        "settings": settings_of(extras, options.detail),
        "files": list(extras.suffixes),
        "cutout": list(extras.cutout),
        "classes": model.card.classes.to_json(),
    }


class _Tally:
    """Counts, the failures, and the least sure; of what else is done nothing is kept."""

    def __init__(self, on_rows: OnRows | None) -> None:
        self._on_rows, self.counts = on_rows, Counter[str]()
        self.failed: list[Row] = []
        self.least_sure = LeastSure[Row]()

    def take(self, rows: list[Row]) -> None:
        self.counts.update(row.status for row in rows)
        self.failed += [row for row in rows if row.status == "failed"]
        for row in rows:
            self.least_sure.see(row)
        if self._on_rows is not None:
            self._on_rows(self.counts.total(), rows)


def _report(
    source: str, model: LoadedModel, device: str, listing: Listing, tally: _Tally, seconds: float
) -> FolderReport:
    failures = [Failure(f"{without_credentials(source)}/{row.key}", row.reason or "") for row in tally.failed]
    failures += [Failure(path, reason) for path, reason in listing.search.unlisted.items()]
    num_done = tally.counts["done"]
    return FolderReport(
        done=num_done,
        failed=len(failures),
        skipped=listing.num_skipped,
        seconds=round(seconds, 3),
        images_per_second=round(num_done / seconds, 2),
        failures=tuple(sorted(failures, key=lambda failure: failure.path)),
        device=device,
        model_sha256=model.sha256,
        classes=model.card.classes,
        passed_over=dict(listing.search.passed_over.most_common()),
        least_sure=tally.least_sure.doubts,
    )


def _write_report(out: Store, options: FolderOptions, report: FolderReport) -> None:
    index, count = options.shard
    name = REPORT if count == 1 else REPORT.replace(".json", f"-{index}-of-{count}.json")
    out.write(name, (json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n").encode())
