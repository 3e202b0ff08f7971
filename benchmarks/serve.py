"""How fast `gseg serve` answers, beside `gseg bench` on the same photos; and whether its memory grows.

python -m benchmarks.serve

The server is a process of its own and the clients are threads of this one, on the same cores. The students are
untrained: speed does not depend on the weights.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.cells import ROOT, made
from benchmarks.segment import make_student
from gseg_runtime.bench import made_up_photos, run_bench
from gseg_runtime.segmenter import Segmenter

STUDENTS = (("tiny", 128), ("default", 128))
CONCURRENCY = (1, 8, 64)
REPEATS = 3  # the best of them counts: whatever else the machine does can only slow a run down
SECONDS = 4.0
NUM_PHOTOS = 24
MEMORY_REQUESTS = (2_000, 20_000)


@dataclass(frozen=True)
class Server:
    port: int

    def ask(self, connection: HTTPConnection, photo: bytes) -> None:
        connection.request("POST", "/segment", photo)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {body.decode()}")

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port)

    def memory_mb(self) -> float:
        connection = self.connection()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return float(re.findall(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)[0]) / 1e6


@contextmanager
def serving(model: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "gseg_cli", "serve", "--model", str(model), "--device", "cpu", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        yield Server(int(re.findall(r":(\d+)/", process.stdout.readline())[0]))
    finally:
        process.terminate()
        process.wait()


def load(server: Server, photos: Sequence[bytes], concurrency: int, is_over: Callable[[int], bool]) -> list[float]:
    """Seconds that each answer took, of as many clients at once. is_over: is told the number of each request."""
    numbers, seconds, errors = count(), [], []

    def client() -> None:
        try:
            connection = server.connection()
            while not is_over(number := next(numbers)):
                start_s = time.perf_counter()
                server.ask(connection, photos[number % len(photos)])
                seconds.append(time.perf_counter() - start_s)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=client) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return seconds


@dataclass(frozen=True)
class Load:
    per_second: float
    p50_ms: float
    p99_ms: float


def measure(server: Server, photos: Sequence[bytes], concurrency: int) -> Load:
    start_s = time.perf_counter()
    seconds = load(server, photos, concurrency, lambda _: time.perf_counter() - start_s > SECONDS)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return Load(len(seconds) / (time.perf_counter() - start_s), float(p50), float(p99))


def speed_rows(folder: Path, rest_s: float) -> list[str]:
    paths = made_up_photos(folder / "photos", NUM_PHOTOS)
    photos, rows = [path.read_bytes() for path in paths], []
    for size, pixels in STUDENTS:
        model = make_student(folder, size, pixels)
        bench, best = 0.0, dict.fromkeys(CONCURRENCY, Load(0, 0, 0))
        with serving(model) as server:
            measure(server, photos, 2)  # warms it up
            for _ in range(REPEATS):
                time.sleep(rest_s)
                with Segmenter.load(model, "cpu") as segmenter:
                    bench = max(bench, run_bench(segmenter, paths[0].parent, len(paths), seconds=SECONDS).end_to_end)
                for concurrency in CONCURRENCY:
                    time.sleep(rest_s)
                    run = measure(server, photos, concurrency)
                    best[concurrency] = max(best[concurrency], run, key=lambda load: load.per_second)
        for concurrency, run in best.items():
            cells = [
                f"{size}, {pixels} px", f"{concurrency}", f"{run.per_second:.1f}", f"{run.per_second / bench:.2f}",
                f"{run.p50_ms:.0f}", f"{run.p99_ms:.0f}", f"{bench:.1f}",
            ]  # fmt: skip
            rows.append("| " + " | ".join(cells) + " |")
            print(rows[-1], flush=True)
    kilobytes = sum(map(len, photos)) / len(photos) / 1e3
    return [
        f"{NUM_PHOTOS} made-up JPEGs of a megapixel, {kilobytes:.0f} kB each, masks as PNG at",
        f"full size. The best of {REPEATS} runs of {SECONDS:g} s, in turns with `gseg bench`.",
        "",
        "| student | clients | photos/s | of `gseg bench` | median, ms | 99th percentile, ms | `gseg bench` |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows,
    ]


def memory_rows(folder: Path) -> list[str]:
    """Small photos of different shapes, so that 20,000 do not take long."""
    sizes = [(160 + 40 * index, 200 - 20 * index) for index in range(6)]
    paths = [made_up_photos(folder / f"small-{index}", 1, size)[0] for index, size in enumerate(sizes)]
    photos, memory = [path.read_bytes() for path in paths], []
    with serving(make_student(folder, "tiny", 32)) as server:
        for until in MEMORY_REQUESTS:
            number = until - (MEMORY_REQUESTS[0] if memory else 0)
            load(server, photos, 16, lambda index, number=number: index >= number)
            memory.append(server.memory_mb())
            print(until, memory[-1], flush=True)
    before, after = memory
    return [
        f"Memory of the server after {MEMORY_REQUESTS[0]:,} small photos {before:.1f} MB, after "
        f"{MEMORY_REQUESTS[1]:,} {after:.1f} MB: a ratio of {after / before:.3f}."
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rest", type=float, default=0.0, help="seconds between runs that others may use the machine")
    rest_s, about = parser.parse_args().rest, made()
    with tempfile.TemporaryDirectory() as temporary:
        parts = [speed_rows(Path(temporary), rest_s), memory_rows(Path(temporary))]
    command = "python -m benchmarks.serve"
    if rest_s:  # the machine is shared: ahead of all others for seconds, then out of their way
        command = f"chrt --rr 5 {command} --rest {rest_s:g}"
    lines = [
        "# Serving photos", "", f"Made by `{command}`, commit {about['commit']}, {about['date']}, "
        f"{about['hardware']}, no GPU.",
    ]  # fmt: skip
    for part in parts:
        lines += ["", *part]
    (ROOT / "serve.md").write_text("\n".join([*lines, "", *((SHARED_NOTE,) if rest_s else ()), *NOTES, ""]))


NOTES = (
    "- `gseg bench` reads photos from files and writes masks to files, and has both cores for that. Here they also do",
    "  HTTP, at both ends: server and clients are on one machine.",
    "- One client has one photo under way at a time, so one core of the two is idle, and half of `gseg bench` is the",
    "  most to be had.",
    "- With more clients than cores a photo waits for its turn; that is most of the median.",
)

SHARED_NOTE = "- With `chrt --rr` the machine was in use by others; Linux keeps 5 % of its time for them even then."

if __name__ == "__main__":
    main()
