"""Who does which block: actors that come and go, and photos of which none may be lost with them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gseg_runtime.errors import GsegError
from gseg_runtime.remote.listing import Block
from gseg_runtime.remote.segment import NUM_BLOCKS, Begin, Take

MOST_DEATHS = 2  # of actors over the same photos, before these are done one by one, and then given up
MOST_STILLBORN = 4  # actors that died before they began, one after the other
SILENCE_S = 30.0  # without any actor, before somebody is told
_NODES = "every machine of the cluster needs the same gseg, with the extras of this one"

# Starts an actor: the actor, and the promise of its device in words.
Start = Callable[[], tuple[Any, Any]]


@dataclass(frozen=True)
class Piece:
    """What an actor gets. num_deaths: how many actors have died over it."""

    block: Block
    num_deaths: int = 0


class Todo:
    """Pieces that came back first, then new ones; a single one of these is read ahead."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._again: deque[Piece] = deque()
        self._new = (Piece(block) for block in blocks)

    def __bool__(self) -> bool:
        if not self._again and (piece := next(self._new, None)):
            self._again.append(piece)
        return bool(self._again)

    def pop(self) -> Piece:
        return self._again.popleft()

    def put_back(self, piece: Piece) -> Block:
        """After an actor died over it. The photos that are given up, because it was the last of too many."""
        num_deaths = piece.num_deaths + 1
        if num_deaths < MOST_DEATHS:
            self._again.append(Piece(piece.block, num_deaths))
        elif len(piece.block) > 1:
            self._again.extend(Piece([item]) for item in piece.block)
        else:
            return piece.block
        return []


class Crew:
    """device: what the first actor runs on, in words; num_started: actors that came to work, also those that died."""

    def __init__(self, ray: Any, start: Start, limits: tuple[int, int], say: Callable[[str], None]) -> None:
        self._ray, self._start, self._limits, self._say = ray, start, limits, say
        self._starting: dict[Any, Any] = {}  # promise -> actor
        self._in_hand: dict[Any, tuple[Any, Piece]] = {}  # promise -> actor and what it does
        self._places: list[Any] = []  # an actor for each block that it could take now
        self._ready: list[Any] = []
        self.device, self.num_started, self._num_stillborn = "", 0, 0
        error = ray.exceptions
        self._deaths = (
            *(error.RayActorError, error.WorkerCrashedError, error.OutOfMemoryError),
            *(error.NodeDiedError, error.ObjectLostError),
        )

    def run(
        self, blocks: Iterator[Block], take: Take, give_up: Callable[[Block], None], begin: Begin = lambda: None
    ) -> None:
        """Until all is done or given up. begin: called when the first actor is ready, before it gets anything.

        GsegError when an actor says so, or none can start.
        """
        todo, self._begin = Todo(blocks), begin
        while todo or self._in_hand:
            while self._places and todo:
                actor, piece = self._places.pop(), todo.pop()
                self._in_hand[actor.do.remote(piece.block)] = actor, piece
            self._grow(bool(todo))
            for promise in self._kept():
                if promise in self._starting:
                    self._welcome(promise)
                elif block := self._finish(promise, todo, take):
                    give_up(block)

    def _grow(self, has_more: bool) -> None:
        """At most as many start as are there: so a cluster that grows is asked for no more than it can use."""
        least, most = self._limits
        while has_more and not self._places and (num := len(self._ready) + len(self._starting)) < most:
            if num >= least and len(self._starting) >= max(1, len(self._ready)):
                break
            actor, promise = self._start()
            self._starting[promise] = actor

    def _kept(self) -> list[Any]:
        """Promises that are kept, or broken."""
        promises = [*self._starting, *self._in_hand]
        kept, _ = self._ray.wait(promises, timeout=None if self._ready else SILENCE_S)
        if not kept:
            self._say("Ray: no actor has started yet; ray status tells what the cluster waits for")
        return list(kept)

    def _welcome(self, promise: Any) -> None:
        actor = self._starting.pop(promise)
        try:
            self.device = self._get(promise)
        except self._deaths as error:
            self._num_stillborn += 1
            if self._num_stillborn == MOST_STILLBORN:
                reason = str(error).strip().splitlines()[-1]
                raise GsegError(f"Ray: actors die before they begin: {reason}", _NODES) from error
            return
        if not self.num_started:
            self._begin()
        self.num_started, self._num_stillborn = self.num_started + 1, 0
        self._ready.append(actor)
        self._places += [actor] * NUM_BLOCKS

    def _finish(self, promise: Any, todo: Todo, take: Take) -> Block:
        """Photos that are given up."""
        actor, piece = self._in_hand.pop(promise)
        try:
            take(self._get(promise))
        except self._deaths:
            self._bury(actor)
            return todo.put_back(piece)
        if actor in self._ready:
            self._places.append(actor)
        return []

    def _bury(self, actor: Any) -> None:
        """One that only cannot be reached is not to go on beside the one that does its work again."""
        with suppress(Exception):
            self._ray.kill(actor)
        self._ready = [other for other in self._ready if other is not actor]
        self._places = [other for other in self._places if other is not actor]

    def _get(self, promise: Any) -> Any:
        try:
            return self._ray.get(promise)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None  # as it was raised there
