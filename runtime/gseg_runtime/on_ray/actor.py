"""What runs on the machines of a cluster: one model, and the blocks that are sent to it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from gseg_runtime.remote.block_work import BlockWork, Task
from gseg_runtime.remote.listing import Block
from gseg_runtime.remote.parts import Row
from gseg_runtime.remote.segment import threads_for_block
from gseg_runtime.segmenter import Segmenter


@dataclass(frozen=True)
class Load:
    """How an actor loads the model. batch: None is what suits the device; cores: those that are its own."""

    device: str
    batch: int | None
    cores: int


class Actor:
    """One process. It reads and writes by itself, and may do several blocks at once."""

    def start(self, model: bytes, load: Load, task: Task) -> str:
        """Load the model; the device in words. GsegError as of `Segmenter.load`."""
        with tempfile.TemporaryDirectory(prefix="gseg-model-") as folder:
            path = Path(folder, "model.onnx")
            path.write_bytes(model)
            segmenter = Segmenter.load(path, load.device, batch=load.batch)
        workers = threads_for_block(task.options.workers, load.cores)
        self._work = BlockWork(task, segmenter.loaded, workers)
        return segmenter.device

    def do(self, block: Block) -> list[Row]:
        return self._work.do(block)
