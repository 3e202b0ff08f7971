"""The two ways photos go through an engine.

On a CPU each worker does a whole photo: decode, infer, encode. An accelerator wants many at once: while it works on one
batch, the cores decode the next and encode the one before.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Any

import numpy as np

from gseg_runtime.label_map import Pixels
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.manifest import Entry
from gseg_runtime.photo_work import Loaded, Work
from gseg_runtime.plan import Job
from gseg_runtime.tiles import infer_photo
from gseg_runtime.workers import GRACE_S, Stopped, join, run_to_completion

NUM_SLOTS = 3  # batches in hand at once: one decoded, one in the engine, one encoded
MAX_PIECE = 4  # photos that a worker is given at once: fewer hand-overs between threads, and messages to processes

Take = Callable[[Entry], None]


def segment_photos(model: LoadedModel, work: Work, jobs: Iterable[Job], take: Take, num_workers: int) -> None:
    """In the way that suits the engine. take: gets each entry, in the calling thread."""
    is_single = model.batch == 1 or work.detail.tile is not None  # a photo in tiles makes batches of its own
    (segment_singly if is_single else segment_batches)(model, work, jobs, take, num_workers)


def segment_singly(model: LoadedModel, work: Work, jobs: Iterable[Job], take: Take, num_workers: int) -> None:
    """Run to completion: no queue, no batch, and no more photos in memory than workers."""

    def do(job: Job) -> Entry:
        (loaded,) = work.load_all([job])
        if isinstance(loaded, Entry):
            return loaded
        inference = infer_photo(model, loaded.square, loaded.letterbox, work.detail, confidence=work.wants_confidence)
        return work.save_all([loaded], inference)[0]

    run_to_completion(jobs, do, take, num_workers)


def segment_batches(model: LoadedModel, work: Work, jobs: Iterable[Job], take: Take, num_workers: int) -> None:
    """Fixed batches of `model.batch`, the last one padded; decoding and encoding in `num_workers` threads."""

    def take_all(entries: list[Entry]) -> None:
        for entry in entries:
            take(entry)

    stop, threads, patience_s = threading.Event(), list[threading.Thread](), None
    pool = ThreadPoolExecutor(num_workers, initializer=lambda: threads.append(threading.current_thread()))
    try:
        batches = _Batches(model, work, pool, num_workers, stop)
        run_to_completion(_chunks(jobs, model.batch), batches.do, take_all, NUM_SLOTS, stop)
    except KeyboardInterrupt:
        patience_s = GRACE_S  # one may be stuck, as on a drive that is away
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        join(threads, patience_s)


class _Batches:
    """Slots, each an array that the photos of one batch are put into, and what is done with them.

    A photo that cannot be read leaves its place in the slot as it was: the engine always sees the same shape, and what
    it says of that place nobody asks.
    """

    def __init__(
        self, model: LoadedModel, work: Work, pool: ThreadPoolExecutor, num_workers: int, stop: threading.Event
    ) -> None:
        """num_workers: threads of the pool."""
        self._model, self._work, self._pool, self._num_workers, self._stop = model, work, pool, num_workers, stop
        size = model.card.input_size
        self._slots: SimpleQueue[Pixels] = SimpleQueue()
        for _ in range(NUM_SLOTS):
            self._slots.put(np.zeros((model.batch, size, size, 3), np.uint8))

    def do(self, jobs: list[Job]) -> list[Entry]:
        slot = self._slots.get()
        size = max(1, min(MAX_PIECE, len(jobs) // self._num_workers))
        firsts = range(0, len(jobs), size)
        try:
            pieces = self._each(lambda first: self._load(jobs[first : first + size], slot[first:]), firsts)
            inference = self._model.infer(
                slot, confidence=self._work.wants_confidence, logits=self._work.detail.needs_logits
            )
            saved = self._each(lambda piece, first: self._work.save_all(piece, inference, first), pieces, firsts)
            return [entry for piece in saved for entry in piece]
        finally:
            self._slots.put(slot)

    def _load(self, jobs: Sequence[Job], places: Pixels) -> list[Loaded | Entry]:
        loaded = self._work.load_all(jobs)
        for item, place in zip(loaded, places, strict=False):
            if isinstance(item, Loaded):
                place[:] = item.square
        return loaded

    def _each(self, step: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """`step` on each piece of a batch; Stopped as soon as the run is to end."""

        def unless_stopped(*values: Any) -> Any:
            if self._stop.is_set():
                raise Stopped
            return step(*values)

        return list(self._pool.map(unless_stopped, *arguments))


def _chunks(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    queue = iter(jobs)
    while chunk := list(islice(queue, size)):
        yield chunk
