"""Actors come and go, and no photo is lost with them: the crew alone, on threads that behave like Ray's actors."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any

import pytest

from gseg_runtime import GsegError
from gseg_runtime.on_ray.crew import MOST_STILLBORN, Crew, Todo
from gseg_runtime.remote.listing import Block
from gseg_runtime.remote.parts import Row
from gseg_runtime.remote.store import Item


class Died(Exception):  # noqa: N818 (of an actor)
    pass


class TaskError(Exception):
    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class Threads:
    """What the crew asks of Ray."""

    exceptions = SimpleNamespace(
        **dict.fromkeys(
            ("RayActorError", "WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "ObjectLostError"), Died
        ),
        RayTaskError=TaskError,
    )

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(16)

    def wait(self, promises: list[Future[Any]], timeout: float | None) -> tuple[list[Future[Any]], list[Future[Any]]]:
        done, rest = wait(promises, timeout, FIRST_COMPLETED)
        return list(done), list(rest)

    def get(self, promise: Future[Any]) -> Any:
        return promise.result()

    def kill(self, actor: Any) -> None:
        pass


@pytest.fixture
def ray() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    threads.pool.shutdown()


def crew_of(ray: Threads, do: Callable[[Block], list[Row]], limits: tuple[int, int]) -> Crew:
    def start() -> tuple[Any, Future[str]]:
        remote = SimpleNamespace(remote=lambda block: ray.pool.submit(do, block))
        return SimpleNamespace(do=remote), ray.pool.submit(lambda: "a thread")

    return Crew(ray, start, limits, pytest.fail)


def blocks_of(count: int) -> Iterator[Block]:
    return ([Item(f"{block}/{index}.jpg") for index in range(3)] for block in range(count))


def done(block: Block) -> list[Row]:
    time.sleep(0.02)
    return [Row(item.key, {}, "done") for item in block]


def test_more_actors_are_asked_for_as_long_as_all_have_enough_to_do(ray: Threads) -> None:
    for num_blocks, num_actors in ((1, 1), (40, 4)):
        crew, rows = crew_of(ray, done, (1, 4)), []
        crew.run(blocks_of(num_blocks), rows.extend, pytest.fail)
        assert len({row.key for row in rows}) == len(rows) == 3 * num_blocks
        assert crew.num_started == num_actors


def test_photos_that_kill_every_actor_are_found_and_given_up_alone(ray: Threads) -> None:
    items = [Item(f"{index}.jpg") for index in range(8)]

    def do(block: Block) -> list[Row]:
        if items[2] in block:
            raise Died
        return done(block)

    rows: list[Row] = []
    given_up: Block = []
    crew_of(ray, do, (2, 2)).run(iter([items[:4], items[4:]]), rows.extend, given_up.extend)
    assert items[2] in given_up and len(given_up) <= 2  # another one may have been in hand each time
    assert sorted([*(row.key for row in rows), *(item.key for item in given_up)]) == [item.key for item in items]


def test_what_an_actor_says_ends_the_run_as_it_said_it(ray: Threads) -> None:
    def do(block: Block) -> list[Row]:
        raise TaskError(GsegError("the store is full", "make room"))

    with pytest.raises(GsegError, match="the store is full"):
        crew_of(ray, do, (2, 2)).run(blocks_of(4), pytest.fail, pytest.fail)


def test_nothing_begins_before_an_actor_is_ready(ray: Threads) -> None:
    told: list[str] = []

    def do(block: Block) -> list[Row]:
        told.append("block")
        return done(block)

    crew_of(ray, do, (2, 2)).run(blocks_of(4), lambda rows: None, pytest.fail, lambda: told.append("begin"))
    assert told == ["begin"] + ["block"] * 4

    def start() -> tuple[Any, Future[str]]:
        return SimpleNamespace(), ray.pool.submit(refuse)

    def refuse() -> str:
        raise TaskError(GsegError("no such device here"))

    with pytest.raises(GsegError, match="no such device here"):
        Crew(ray, start, (1, 1), pytest.fail).run(blocks_of(1), pytest.fail, pytest.fail, pytest.fail)


def test_actors_that_die_before_they_begin_are_not_started_forever(ray: Threads) -> None:
    started: list[int] = []

    def fail() -> str:
        raise Died("No module named gseg_runtime")

    def start() -> tuple[Any, Future[str]]:
        started.append(1)
        return SimpleNamespace(), ray.pool.submit(fail)

    with pytest.raises(GsegError, match="No module named gseg_runtime"):
        Crew(ray, start, (1, 2), pytest.fail).run(blocks_of(4), pytest.fail, pytest.fail)
    assert len(started) == MOST_STILLBORN


def test_a_piece_that_came_back_is_done_before_new_ones() -> None:
    todo = Todo(blocks_of(3))
    assert todo
    first = todo.pop()
    assert not todo.put_back(first)
    assert todo and todo.pop().block == first.block
