"""What came in while the engine was busy goes through it together."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gseg_runtime.label_map import Pixels
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.prediction import Inference

NUM_SLOTS = 2  # batches in the engine at once: one is copied while the other computes

Place = tuple[Inference, int]  # what the engine says of a batch, and which square of it is meant


class Gatherer:
    """Squares that wait for the engine. Nobody waits for a fuller batch: the first one goes at once, alone.

    on_batch: is told how many squares went together.
    """

    def __init__(self, model: LoadedModel, on_batch: Callable[[int], None]) -> None:
        self._model, self._on_batch = model, on_batch
        self._engine = ThreadPoolExecutor(NUM_SLOTS, "engine")
        self._waiting: deque[tuple[Pixels, asyncio.Future[Place]]] = deque()
        self._running: set[asyncio.Task[None]] = set()  # asyncio itself does not hold on to them

    async def infer(self, square: Pixels) -> Place:
        """square: uint8 [S, S, 3]. GsegError when the engine fails."""
        place: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._waiting.append((square, place))
        self._start()
        return await place

    def _start(self) -> None:
        while self._waiting and len(self._running) < NUM_SLOTS:
            count = min(self._model.batch, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            self._running.add(asyncio.create_task(self._run(batch)))

    async def _run(self, batch: list[tuple[Pixels, asyncio.Future[Place]]]) -> None:
        squares, places = zip(*batch, strict=True)
        self._on_batch(len(batch))
        results: list[Place | Exception]
        try:
            inference = await asyncio.get_running_loop().run_in_executor(self._engine, self._infer, squares)
            results = [(inference, index) for index in range(len(batch))]
        except Exception as error:  # belongs to those who wait for it
            results = [error] * len(batch)
        for place, result in zip(places, results, strict=True):
            if place.done():  # who waited has gone
                continue
            if isinstance(result, Exception):
                place.set_exception(result)
            else:
                place.set_result(result)
        self._running.remove(asyncio.current_task())  # type: ignore[arg-type]
        self._start()

    def _infer(self, squares: tuple[Pixels, ...]) -> Inference:
        return self._model.infer(self._model.batch_of(squares), logits=self._model.detail().needs_logits)

    def close(self) -> None:
        """Wait for what the engine has in hand."""
        self._engine.shutdown()
