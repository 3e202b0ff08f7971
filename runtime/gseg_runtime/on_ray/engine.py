"""Blocks of photos on a cluster of Ray's. Ray carries names, counts and failures, and neither photos nor masks."""

import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from gseg_runtime.errors import BackendUnavailable, GsegError, UsageError
from gseg_runtime.on_ray.actor import Actor, Load
from gseg_runtime.on_ray.crew import MOST_DEATHS, Crew
from gseg_runtime.pip_hint import install
from gseg_runtime.remote.block_work import Task
from gseg_runtime.remote.listing import Block
from gseg_runtime.remote.open_store import open_store
from gseg_runtime.remote.parts import Row, write_part
from gseg_runtime.remote.segment import NUM_BLOCKS, Begin, Take
from gseg_runtime.telemetry import no_ray_telemetry

STORE_BYTES = 100 * 2**20  # of a cluster that is started here: it holds the model and lists of names
REACH_S = 10  # for an answer from a cluster
CORES_WITH_GPU = 4  # Python runs one thread of a process at a time, which leaves more of them idle
_CLUSTER = "ray status tells of a cluster; without an address one is started on this machine"


@dataclass(frozen=True)
class RayEngine:
    """An `Engine`. address: of a cluster, as ray.init takes it; None starts one on this machine, for this run.

    actors: how many at least and at most. As long as all have enough to do, more are asked for; those that the cluster
    cannot hold yet wait, which makes it grow where it can. device, batch: as of `Segmenter.load`. say: gets what
    somebody who waits should know. BackendUnavailable where Ray is not installed.
    """

    model: Path
    device: str = "auto"
    batch: int | None = None
    address: str | None = None
    actors: tuple[int, int] = (2, 64)
    say: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        if not 1 <= self.actors[0] <= self.actors[1]:
            raise UsageError(f"actors: expected MIN:MAX with MIN from 1 on, got {self.actors[0]}:{self.actors[1]}")
        if ":" in self.device:
            raise UsageError(f"device {self.device}: Ray chooses which one", "name cpu, cuda, trt or openvino")
        if self.model.suffix.lower() == ".engine":
            raise UsageError(f"{self.model}: an engine is built for one machine", "name the model.onnx it was built of")
        _import_ray()  # before anything is written

    def __str__(self) -> str:
        return f"{self.device}, by {self.actors[0]} to {self.actors[1]} actors on Ray"

    def __call__(self, task: Task, blocks: Iterator[Block], take: Take, begin: Begin) -> str:
        """Do all blocks; device and actors in words.

        GsegError when there is no cluster, or no actor can work; then nothing was written.
        """
        ray = _import_ray()
        if (first := next(blocks, None)) is None:
            begin()
            return "none"
        with redirect_stdout(sys.stderr), self._connected(ray):  # Ray writes to stdout what it hears of its machines
            crew = Crew(ray, self._start(ray, task), self.actors, self.say)
            crew.run(chain([first], blocks), take, partial(_give_up, task, take), begin)
        return f"{crew.device}, {crew.num_started} actors on Ray"

    @contextmanager
    def _connected(self, ray: Any) -> Iterator[None]:
        """To the cluster; somebody who is connected already stays so."""
        if ray.is_initialized():
            yield
            return
        own = {"address": "local", "object_store_memory": STORE_BYTES, "include_dashboard": False}
        there = {"address": self.address} if self.address else own
        try:
            _reach(self.address or "")
            ray.init(**there, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            raise GsegError(f"Ray: {self.address or 'no cluster can be started'}: {error}", _CLUSTER) from error
        try:
            yield
        finally:
            ray.shutdown()

    def _start(self, ray: Any, task: Task) -> Callable[[], tuple[Any, Any]]:
        there = ray.cluster_resources()
        num_gpus = there.get("GPU", 0) if self.device in ("auto", "cuda", "trt") else 0
        cores, gpus = share(there.get("CPU", 1), num_gpus)
        kind = ray.remote(num_cpus=cores, num_gpus=gpus, max_concurrency=NUM_BLOCKS)(Actor)
        model = ray.put(self.model.read_bytes())

        def start() -> tuple[Any, Any]:
            actor = kind.remote()
            return actor, actor.start.remote(model, Load(self.device, self.batch, cores), task)

        return start


def _reach(address: str) -> None:
    """OSError if nothing answers at a HOST:PORT: Ray itself would try for ten minutes, and not say so."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()


def share(num_cpus: float, num_gpus: float) -> tuple[int, float]:
    """Cores and GPUs for each actor. Several share a GPU that has many cores beside it: one could not feed it."""
    if not num_gpus:
        return 1, 0
    cores = max(1, int(num_cpus / num_gpus))
    num_actors = max(1, cores // CORES_WITH_GPU)
    return cores // num_actors, 1 / num_actors


def _import_ray() -> Any:
    no_ray_telemetry()
    try:
        import ray
    except ImportError as error:
        raise BackendUnavailable("ray is not installed", install("ray")) from error
    return ray


def _give_up(task: Task, take: Take, block: Block) -> None:
    reason = f"each process that did it died, {MOST_DEATHS} of them"
    rows = [Row(item.key, item.stamp, "failed", reason) for item in block]
    write_part(open_store(task.out), rows)
    take(rows)
