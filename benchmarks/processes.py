"""Photos decoded and encoded in threads of one process, or in processes of their own.

    python -m benchmarks.processes [--rounds 3]

Behind an engine that answers at once without the processor, as a GPU would: what is left is what the cores do, and
what they lose to Python's lock. More workers than cores show how that grows where there are more cores than here. Each
measurement is a process of its own; the ways take turns. Writes processes.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.cells import ROOT, made
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_runtime import codec_processes
from gseg_runtime.backends.base import Answer, Backend
from gseg_runtime.bench import made_up_photos
from gseg_runtime.files import write_text
from gseg_runtime.label_map import Pixels
from gseg_runtime.model_card import ModelCard
from gseg_runtime.segmenter import Segmenter

WORKERS = (1, 2, 4, 8, 16)
WAYS = ("threads", "processes")
NUM_PHOTOS, NUM_LINKS, SIZE = 64, 4000, 128
BATCH_S = 0.0016  # of 32 photos in the tiny student on an H100, see gpu/h100


class AtOnce(Backend):
    """Says of each picture that there is a disc in it."""

    name, batch, is_batch_fixed, outputs = "stand-in", 32, False, ("labels",)
    card = ModelCard(classes=CLASSES, input_size=SIZE)

    def infer(self, images: Pixels, outputs: Sequence[str]) -> list[Answer]:
        time.sleep(BATCH_S)
        rows, columns = np.ogrid[:SIZE, :SIZE]
        disc = (rows - SIZE // 2) ** 2 + (columns - SIZE // 2) ** 2 < (SIZE // 3) ** 2
        return [np.repeat(disc.astype(np.uint8)[None], len(images), axis=0)]

    def close(self) -> None:
        pass


def pace(folder: Path, way: str, workers: int) -> dict[str, float]:
    """In this process: photos a second, and CPU milliseconds of this process for each."""
    codec_processes.MIN_WORKERS = 1 if way == "processes" else sys.maxsize
    with tempfile.TemporaryDirectory() as out, Segmenter(AtOnce(), "") as segmenter:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        segmenter.segment_folder(folder, Path(out, "masks"), workers=workers)
        cpu_s = time.process_time() - start_cpu_s
        return {"photos": NUM_LINKS / (time.perf_counter() - start_s), "cpu_ms": cpu_s / NUM_LINKS * 1e3}


def measured(folder: Path, way: str, workers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.processes", "--one", str(folder), way, str(workers)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def row(folder: Path, workers: int, rounds: int) -> str:
    turns = [{way: measured(folder, way, workers) for way in WAYS} for _ in range(rounds)]
    photos, cpu_ms = ({way: median(turn[way][what] for turn in turns) for way in WAYS} for what in ("photos", "cpu_ms"))
    ratio = median(turn["processes"]["photos"] / turn["threads"]["photos"] for turn in turns)
    figures = [f"{photos[way]:.0f}" for way in WAYS] + [f"{ratio:.2f}", f"{cpu_ms['processes']:.2f}"]
    return f"| {workers} | {' | '.join(figures)} |"


TEXT = """# Photos in threads and in processes

`gseg segment` on {links:,} links to {photos} made-up JPEGs of a megapixel, masks at full size, behind an engine that
answers for a batch of 32 after {batch_ms:.1f} ms without the processor. Photos a second with so many workers, starting
them included; medians of {rounds} runs, which took turns. *Main process*: its CPU milliseconds for each photo with
processes. Its Python runs on one core at a time, so their inverse is the most photos a second that it can serve.

Made by `python -m benchmarks.processes --rounds {rounds}`, commit {commit}, {date}, {hardware}.

| workers | threads | processes | processes / threads | main process, ms |
|---:|---:|---:|---:|---:|
{rows}

With more workers than cores no photo is done sooner; what threads lose then, they lose to Python's lock, which they
hand to each other. On machines of more cores this was not measured. `gseg segment` takes processes from
{min_workers} workers and {min_photos:,} photos on.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        folder, way, workers = args.one
        print(json.dumps(pace(Path(folder), way, int(workers))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        links = make_links(Path(temporary))
        rows = "\n".join(row(links, workers, args.rounds) for workers in WORKERS)
    write_text(ROOT / "processes.md", TEXT.format(**made(), **facts(args.rounds), rows=rows))


def make_links(folder: Path) -> Path:
    photos = made_up_photos(folder / "photos", NUM_PHOTOS)
    (folder / "links").mkdir()
    for index in range(NUM_LINKS):
        (folder / "links" / f"{index:06d}.jpg").symlink_to(photos[index % NUM_PHOTOS])
    return folder / "links"


def facts(rounds: int) -> dict[str, Any]:
    return {
        "rounds": rounds,
        "links": NUM_LINKS,
        "photos": NUM_PHOTOS,
        "batch_ms": BATCH_S * 1e3,
        "min_workers": codec_processes.MIN_WORKERS,
        "min_photos": codec_processes.MIN_PHOTOS,
    }


if __name__ == "__main__":
    main()
