"""One photo after the other through the model, many at once, and no more of them than agreed."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from gseg_runtime.errors import GsegError
from gseg_runtime.images import Decoding
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.prediction import Inference
from gseg_runtime.serving.answers import Answer, Form, Received, answer, receive
from gseg_runtime.serving.gatherer import Gatherer
from gseg_runtime.tiles import Tiled, infer_photo

T = TypeVar("T")


class BusyError(GsegError):
    """There are as many requests in hand as there may be, or as there is memory for."""


class Pipeline:
    """The two ways of `batches`: on a CPU a thread does a whole photo; an accelerator gets what waits as one batch.

    num_workers: threads. limit: requests in hand at once. on_batch: see `Gatherer`.
    """

    def __init__(
        self, model: LoadedModel, num_workers: int, limit: int, on_batch: Callable[[int], None] = lambda count: None
    ) -> None:
        self._model, self._limit, self._detail = model, limit, model.detail()
        self._pool = ThreadPoolExecutor(num_workers, "photos")
        # A photo in tiles makes batches of its own.
        self._gatherer = Gatherer(model, on_batch) if model.batch > 1 and self._detail.tile is None else None
        self.num_in_hand = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """To be held from before a body is read until it is answered: it bounds the memory. BusyError when full."""
        if self.num_in_hand >= self._limit:
            raise BusyError(f"{self._limit} requests are in hand, which is the limit", "try again in a moment")
        self.num_in_hand += 1
        try:
            yield
        finally:
            self.num_in_hand -= 1

    async def segment(self, data: bytes, form: Form, how: Decoding | None = None) -> Answer:
        """data: a picture file. ImageError when it is none, GsegError when the engine fails."""
        if self._gatherer is None:
            return await self._in_thread(partial(self._whole, data, form, how))
        received = await self._in_thread(partial(receive, data, self._model.card, self._detail, how))
        inference, index = await self._gatherer.infer(received.square)
        return await self._in_thread(partial(self._answer, received, inference, index, form))

    def _whole(self, data: bytes, form: Form, how: Decoding | None) -> Answer:
        received = receive(data, self._model.card, self._detail, how)
        inference = infer_photo(self._model, received.square, received.letterbox, self._detail, confidence=False)
        return self._answer(received, inference, 0, form)

    def _answer(self, received: Received, inference: Inference | Tiled, index: int, form: Form) -> Answer:
        return answer(received, inference.prediction(index, received.letterbox), self._model.card.classes, form)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for what is in hand; what waits for a thread is given up."""
        self._pool.shutdown(cancel_futures=True)
        if self._gatherer:
            self._gatherer.close()
