"""How fast a model segments photos here, stage by stage, against what the stages alone would allow."""

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from gseg_runtime.batches import NUM_SLOTS
from gseg_runtime.errors import GsegError, UsageError, at_least_one
from gseg_runtime.extras import Extras
from gseg_runtime.images import list_photos
from gseg_runtime.label_map import Pixels
from gseg_runtime.output_folder import OutputFolder
from gseg_runtime.photo_files import FolderFiles
from gseg_runtime.photo_work import Loaded, PhotoWork
from gseg_runtime.plan import Job
from gseg_runtime.prediction import Inference
from gseg_runtime.segmenter import Segmenter
from gseg_runtime.workers import num_cores, run_to_completion

WARM_UP = 4
MEGAPIXEL = (1152, 864)  # width, height


@dataclass(frozen=True)
class Bench:
    """decode_ms, infer_ms, encode_ms: CPU milliseconds per photo of each stage alone, in one thread; of an engine on an
    accelerator, whose time is not the processor's, wall milliseconds.

    ceiling: images per second if the cores did nothing but these stages. bare: of the engine alone, on as many threads
    as the folder takes, on photos that are decoded already. end_to_end: of the folder, from files to files; cpu_ms:
    CPU milliseconds per photo of that.
    """

    device: str
    batch: int
    workers: int
    images: int
    megapixels: float
    decode_ms: float
    infer_ms: float
    encode_ms: float
    ceiling: float
    bare: float
    end_to_end: float
    cpu_ms: float

    @property
    def of_ceiling(self) -> float:
        """The share of `ceiling` that is reached."""
        return self.end_to_end / self.ceiling

    @property
    def of_bare(self) -> float:
        """The share of the bare engine that is reached."""
        return self.end_to_end / self.bare

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "of_ceiling": self.of_ceiling, "of_bare": self.of_bare}


def run_bench(
    segmenter: Segmenter, photos: Path | None, count: int, *, seconds: float = 5.0, workers: int | None = None
) -> Bench:
    """photos: a folder; None makes up photos of a megapixel. count: how many of them are used. seconds: about how long
    each of the two runs on all cores takes; photos are used again and again. All that is written is temporary.
    """
    at_least_one("workers", workers)
    if not 0 <= seconds < math.inf:  # nan too
        raise UsageError(f"seconds: expected a number from 0 on, got {seconds}")
    num_workers = workers or num_cores()
    with (
        tempfile.TemporaryDirectory(prefix="gseg-bench-") as temporary,
        OutputFolder(Path(temporary, "stages")) as stages,
    ):
        folder = Path(temporary)
        paths = made_up_photos(folder / "photos", count) if photos is None else list_photos(photos)[:count]
        detail = segmenter.loaded.detail()
        if detail.tile is not None:
            raise GsegError("gseg bench times whole photos, and this model looks at tiles", "time gseg segment instead")
        work = PhotoWork(FolderFiles(stages), segmenter.card, segmenter.model_sha256, Extras(), detail)
        # Masks of their own: a file system takes longer over a name that is written again and again.
        jobs = [Job(path, Path(f"{index}.png")) for index, path in enumerate(paths)]
        loaded = [item for job in jobs if isinstance(item := work.load(job), Loaded)]
        if not loaded:
            raise GsegError(f"{photos}: no readable photo", "name a folder of photos with --photos DIR")
        decode_s = _cpu_per_item(lambda item: work.load(item.job), loaded)
        infer_s = _infer_s(segmenter, loaded)
        encode_s = _encode_s(segmenter, work, loaded)
        ceiling = _ceiling(segmenter.batch, decode_s + encode_s, infer_s, num_workers)
        bare = _bare(segmenter, loaded, num_workers, seconds)
        end_to_end, cpu_s = _end_to_end(
            segmenter, loaded, folder, max(len(loaded), int(seconds * ceiling)), num_workers
        )
    megapixels = float(np.mean([item.letterbox.height * item.letterbox.width for item in loaded])) / 1e6
    return Bench(
        device=segmenter.device,
        batch=segmenter.batch,
        workers=num_workers,
        images=len(loaded),
        megapixels=megapixels,
        decode_ms=decode_s * 1e3,
        infer_ms=infer_s * 1e3,
        encode_ms=encode_s * 1e3,
        ceiling=ceiling,
        bare=bare,
        end_to_end=end_to_end,
        cpu_ms=cpu_s * 1e3,
    )


def _ceiling(batch: int, codecs_s: float, infer_s: float, num_workers: int) -> float:
    """Photos per second. An accelerator infers while the cores decode and encode, so the slower of the two decides."""
    return num_workers / (codecs_s + infer_s) if batch == 1 else min(num_workers / codecs_s, 1 / infer_s)


def made_up_photos(folder: Path, count: int, size: tuple[int, int] = MEGAPIXEL) -> list[Path]:
    """JPEGs with detail at all scales, as photographs have it, and of about their size in bytes (0.25 per pixel)."""
    folder.mkdir(parents=True)
    width, height = size
    paths = [folder / f"{index:05d}.jpg" for index in range(count)]
    for index, path in enumerate(paths):
        rng, pixels = np.random.default_rng(index), np.full((height, width, 3), 128, np.float32)
        for octave in range(2, 10):
            shape = (height * 2**octave // 1024 + 1, width * 2**octave // 1024 + 1, 3)
            noise = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
            pixels += (np.asarray(noise.resize(size, Image.Resampling.BICUBIC), np.float32) - 128) * 2 / 1.5**octave
        path.write_bytes(simplejpeg.encode_jpeg(pixels.clip(0, 255).astype(np.uint8), 85))
    return paths


def _cpu_per_item(step: Callable[[Loaded], object], items: Sequence[Loaded]) -> float:
    for item in items[:WARM_UP]:
        step(item)
    start_s = time.thread_time()
    for item in items:
        step(item)
    return (time.thread_time() - start_s) / len(items)


def _infer_s(segmenter: Segmenter, loaded: Sequence[Loaded]) -> float:
    """On a CPU the CPU time of one image, else the wall time of a batch divided by its size."""
    if segmenter.batch == 1:
        clock = time.process_time  # an engine may compute in threads of its own
        for item in loaded[:WARM_UP]:
            _infer(segmenter, item.square[None])
        start_s = clock()
        for item in loaded:
            _infer(segmenter, item.square[None])
        return (clock() - start_s) / len(loaded)
    squares = _batch_of(segmenter, loaded)
    _infer(segmenter, squares)
    start_s = time.perf_counter()
    for _ in range(WARM_UP):
        _infer(segmenter, squares)
    return (time.perf_counter() - start_s) / WARM_UP / segmenter.batch


def _infer(segmenter: Segmenter, squares: Pixels) -> Inference:
    """What a folder asks for."""
    return segmenter.infer(squares, logits=segmenter.loaded.detail().needs_logits)


def _encode_s(segmenter: Segmenter, work: PhotoWork, loaded: Sequence[Loaded]) -> float:
    squares = {id(item): _infer(segmenter, np.repeat(item.square[None], segmenter.batch, axis=0)) for item in loaded}
    return _cpu_per_item(lambda item: work.save(item, squares[id(item)]), loaded)


def _batch_of(segmenter: Segmenter, loaded: Sequence[Loaded]) -> np.ndarray:
    return np.stack([loaded[index % len(loaded)].square for index in range(segmenter.batch)])


def _bare(segmenter: Segmenter, loaded: Sequence[Loaded], num_workers: int, seconds: float) -> float:
    """Images per second that only go through the engine."""
    batches = [item.square[None] for item in loaded] if segmenter.batch == 1 else [_batch_of(segmenter, loaded)]
    num_threads = num_workers if segmenter.batch == 1 else NUM_SLOTS
    start_s = time.perf_counter()

    def until_time_is_up() -> Iterator[np.ndarray]:
        for batch in cycle(batches):
            yield batch
            if time.perf_counter() - start_s > seconds:
                return

    done: list[int] = []
    run_to_completion(until_time_is_up(), lambda batch: len(_infer(segmenter, batch).labels), done.append, num_threads)
    return len(done) * segmenter.batch / (time.perf_counter() - start_s)


def _end_to_end(
    segmenter: Segmenter, loaded: Sequence[Loaded], folder: Path, count: int, num_workers: int
) -> tuple[float, float]:
    """Images per second, and CPU seconds per image, of a run over a folder of `count` links to the photos."""
    (folder / "links").mkdir()
    for index in range(count):
        photo = loaded[index % len(loaded)].job.photo  # perhaps one file, whatever it is called
        (folder / "links" / f"{index:06d}.jpg").symlink_to(photo.resolve())
    start_s, start_cpu_s = time.perf_counter(), _cpu_s()
    segmenter.segment_folder(folder / "links", folder / "masks", workers=num_workers)
    return count / (time.perf_counter() - start_s), (_cpu_s() - start_cpu_s) / count


def _cpu_s() -> float:
    """Of this process, and of those that it started and that ended."""
    return sum(os.times()[:4])
