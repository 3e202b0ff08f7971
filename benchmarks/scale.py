"""Past one machine: Ray beside the local engine on the same cores, what a bucket costs, and what a listing takes.

python -m benchmarks.scale

Every run is a process of its own, which prints its figures as JSON. The student is untrained: speed does not depend on
the weights.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gseg_runtime.bench import made_up_photos
from gseg_runtime.remote.listing import BLOCK, Listing
from gseg_runtime.remote.objects import ObjectStore
from gseg_runtime.remote.open_store import open_store
from gseg_runtime.remote.parts import Done, Row, write_part
from gseg_runtime.remote.store import Item
from gseg_runtime.segmenter import Segmenter

NUM_PHOTOS, NUM_AT_START, NUM_FILES, REPEATS = 1_200, 16, 24, 3
NUM_IN_BUCKET = 400
NUM_KEYS = (10_000, 100_000, 1_000_000)
PAGE = 1000
KEY = "photos/2026/{:012d}-0123456789abcdef.jpg"


# What the processes do. They import no PyTorch, which would be most of their memory.


def segment(engine: str, source: str, out: str, model: str) -> dict[str, float]:
    """Until the last block is done."""
    start_s, ends = time.perf_counter(), [0.0]
    ray = None
    if engine == "ray":
        from gseg_runtime.on_ray.engine import RayEngine

        ray = RayEngine(Path(model), "cpu", actors=(2, 2))
    used_s = [0.0]

    def on_rows(done: int, rows: list[Row]) -> None:
        ends[0], used_s[0] = time.perf_counter() - start_s, cpu_s()

    with Segmenter.load(model, "cpu") as segmenter:
        report = segmenter.segment_remote(source, out, engine=ray, on_rows=on_rows)
    return {"done": report.done, "seconds": ends[0], "cpu_s": used_s[0]}


def list_keys(address: str) -> dict[str, float]:
    start_s = time.perf_counter()
    count = sum(len(block) for block in Listing(ObjectStore(address)).blocks(Done()))
    return {"count": count, "seconds": time.perf_counter() - start_s, "peak_kb": peak_kb()}


def read_parts(place: str) -> dict[str, float]:
    before_kb, start_s = peak_kb(), time.perf_counter()
    count = len(Done.read(open_store(place)))
    return {"count": count, "seconds": time.perf_counter() - start_s, "more_kb": peak_kb() - before_kb}


def peak_kb() -> float:
    """Of this process; what getrusage tells begins with its parent's."""
    return float(Path("/proc/self/status").read_text().partition("\nVmHWM:")[2].split()[0])


# What is measured of them from outside.


def family(pid: int) -> list[Path]:
    """Folders in /proc of a process and all that it started, Ray's among them."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdecimal():
                children.setdefault(int(_stat(folder)[1]), []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return [Path("/proc", str(one)) for one in found]


def _stat(folder: Path) -> list[str]:
    """What stands behind the name of the process."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def cpu_s() -> float:
    """That this process and its family have used so far."""
    ticks = 0
    for folder in family(os.getpid()):
        with suppress(OSError):
            ticks += sum(map(int, _stat(folder)[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> tuple[float, int]:
    """Of all of them, what they share counted once; and how many they are."""
    sizes = []
    for folder in family(pid):
        with suppress(OSError, IndexError):
            sizes.append(int((folder / "smaps_rollup").read_text().partition("\nPss:")[2].split()[0]) / 1e3)
    return sum(sizes), len(sizes)


def run(what: str, *arguments: str) -> dict[str, float]:
    """The figures of a process, with the most memory and processes that were seen."""
    command = [sys.executable, "-m", "benchmarks.scale", "--run", what, *arguments]
    most, num = 0.0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            size, count = memory_mb(process.pid)
            most, num = max(most, size), max(num, count)
            time.sleep(1)
        assert process.stdout is not None and process.returncode == 0
        return {**json.loads(process.stdout.read().splitlines()[-1]), "memory_mb": most, "processes": num}


# The parts of the page.


def engine_rows(folder: Path, model: Path, rest_s: float) -> list[str]:
    many, few = many_photos(folder / "photos", NUM_PHOTOS), many_photos(folder / "start", NUM_AT_START)
    runs: dict[str, list[dict[str, float]]] = {"local": [], "ray": []}
    for index in range(REPEATS):
        for engine, done in runs.items():
            time.sleep(rest_s)
            short, long = (run(engine, str(it), f"{it}-{engine}-{index}", str(model)) for it in (few, many))
            done.append({**long, "start_s": short["seconds"], **_marginal(short, long)})
            print(engine, done[-1], flush=True)
    ratios = [ray["rate"] / local["rate"] for local, ray in zip(runs["local"], runs["ray"], strict=True)]
    per_cpu = [local["cpu_ms"] / ray["cpu_ms"] for local, ray in zip(runs["local"], runs["ray"], strict=True)]
    names = {"local": "this process", "ray": "two actors of Ray"}
    return [
        f"{NUM_PHOTOS:,} made-up JPEGs of a megapixel, from folder to folder, in blocks of {BLOCK}, with the default",
        f"student of 128 px; medians of {REPEATS} runs in turns. Photos/s and CPU time are of what",
        f"{NUM_PHOTOS:,} photos take more than {NUM_AT_START}; these {NUM_AT_START} are the start.",
        "",
        "| engine | photos/s | CPU ms per photo | start, s | processes | peak memory, MB |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {names[engine]} | " + " | ".join(_cells(done)) + " |" for engine, done in runs.items()),
        "",
        f"Ray came to {median(ratios):.2f} of the local engine's photos/s ({_listed(ratios)}), and to "
        f"{median(per_cpu):.2f} of its photos per CPU time",
        f"({_listed(per_cpu)}).",
    ]


def _marginal(short: dict[str, float], long: dict[str, float]) -> dict[str, float]:
    more = {name: long[name] - short[name] for name in ("done", "seconds", "cpu_s")}
    return {"rate": more["done"] / more["seconds"], "cpu_ms": 1e3 * more["cpu_s"] / more["done"]}


def _cells(runs: list[dict[str, float]]) -> list[str]:
    formats = {"rate": ".1f", "cpu_ms": ".2f", "start_s": ".1f", "processes": ".0f", "memory_mb": ".0f"}
    return [format(median(one[name] for one in runs), how) for name, how in formats.items()]


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def bucket_rows(folder: Path, model: Path) -> list[str]:
    photos = many_photos(folder / "few", NUM_IN_BUCKET)
    with s3_server(folder / "log"):
        import s3fs

        s3 = s3fs.S3FileSystem()
        for bucket in ("photos", "masks"):
            s3.mkdir(bucket)
        for path in photos.iterdir():
            s3.pipe_file(f"photos/{path.name}", path.read_bytes())
        there = run("cpu", "s3://photos", "s3://masks/out", str(model))
    here = run("cpu", str(photos), str(folder / "here"), str(model))
    print(here, there, flush=True)
    return [
        f"The same student on {NUM_IN_BUCKET} of the photos, CPU time of the whole process without the server: "
        f"{here['cpu_ms']:.1f} ms per",
        f"photo from folder to folder, {there['cpu_ms']:.1f} ms from bucket to bucket (S3 by moto on localhost). "
        f"The difference of {there['cpu_ms'] - here['cpu_ms']:.1f} ms is",
        "s3fs at work for one GET and one PUT, and Python's lock is held for most of it.",
    ]


def process_cpu(source: str, out: str, model: str) -> dict[str, float]:
    with Segmenter.load(model, "cpu") as segmenter:
        start_s = time.process_time()
        report = segmenter.segment_remote(source, out)
        return {"cpu_ms": 1e3 * (time.process_time() - start_s) / report.done}


def listing_rows(folder: Path) -> list[str]:
    rows = ["| keys | seconds | peak memory, MB |", "|---:|---:|---:|"]
    found = []
    for count in NUM_KEYS:
        with listed_keys(count):
            found.append(run("list", "s3://listed"))
        print(found[-1], flush=True)
        rows.append(f"| {count:,} | {found[-1]['seconds']:.1f} | {found[-1]['peak_kb'] / 1e3:.1f} |")
    per_thousand = (found[-1]["peak_kb"] - found[0]["peak_kb"]) / (NUM_KEYS[-1] - NUM_KEYS[0]) * 1e3
    parts = parts_of(folder / "parts", NUM_KEYS[-1])
    done = run("parts", str(parts))
    print(done, flush=True)
    return [
        "Listing keys of a server that makes them up (in pages of 1,000), and taking them in blocks:",
        "",
        *rows,
        "",
        f"That is {per_thousand:.2f} KB for each thousand keys more. To resume, the {NUM_KEYS[-1]:,} rows of "
        f"{NUM_KEYS[-1] // BLOCK + 1:,} parts on disk",
        f"were read in {done['seconds']:.0f} s; at their peak they took {done['more_kb'] / 1e3:.0f} MB more, and "
        f"{16 * NUM_KEYS[-1] / 1e6:.0f} MB stay.",
    ]


def parts_of(folder: Path, count: int) -> Path:
    store = open_store(str(folder))
    folder.mkdir()
    for start in range(0, count, BLOCK):
        items = (Item(KEY.format(index), etag=f"{index:032x}") for index in range(start, min(count, start + BLOCK)))
        write_part(store, (Row(item.key, item.stamp, "done") for item in items))
    return folder


def many_photos(folder: Path, count: int) -> Path:
    """Links to a few."""
    few = made_up_photos(folder.with_name(f"{folder.name}-few"), NUM_FILES)
    folder.mkdir()
    for index in range(count):
        (folder / f"{index:06d}.jpg").hardlink_to(few[index % NUM_FILES])
    return folder


# Servers.


@contextmanager
def s3_server(log: Path) -> Iterator[None]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            time.sleep(3)
            with asked_at(port):
                yield
        finally:
            process.kill()


@contextmanager
def asked_at(port: int) -> Iterator[None]:
    """The environment of clients."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    yield


@contextmanager
def listed_keys(count: int) -> Iterator[None]:
    """One that only lists, by list_objects_v2."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            start = int(parse_qs(urlsplit(self.path).query).get("continuation-token", ["0"])[0])
            end = min(count, start + PAGE)
            more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < count else ""
            text = "".join(map(_content, range(start, end)))
            is_cut = str(end < count).lower()
            body = f"<ListBucketResult><IsTruncated>{is_cut}</IsTruncated>{more}{text}</ListBucketResult>".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with asked_at(server.server_port):
        yield
    server.shutdown()


def _content(index: int) -> str:
    told = f"<LastModified>2026-11-28T00:00:00.000Z</LastModified><ETag>&quot;{index:032x}&quot;</ETag>"
    return f"<Contents><Key>{KEY.format(index)}</Key>{told}<Size>250000</Size></Contents>"


RUNS: dict[str, Callable[..., dict[str, float]]] = {
    "local": partial(segment, "local"),
    "ray": partial(segment, "ray"),
    "cpu": process_cpu,
    "list": list_keys,
    "parts": read_parts,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rest", type=float, default=0.0, help="seconds between runs that others may use the machine")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        print(json.dumps(RUNS[given.run[0]](*given.run[1:])))
        return
    from benchmarks.cells import ROOT, made
    from benchmarks.segment import make_student

    about, command = made(), "python -m benchmarks.scale"
    if given.rest:  # the machine is shared: ahead of all others for seconds, then out of their way
        command = f"chrt --rr 5 {command} --rest {given.rest:g}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = make_student(folder, "default", 128)
        parts = [engine_rows(folder, model, given.rest), bucket_rows(folder, model), listing_rows(folder)]
    lines = [
        "# Past one machine", "", f"Made by `{command}`, commit {about['commit']}, {about['date']}, "
        f"{about['hardware']}, no GPU.",
    ]  # fmt: skip
    for part in parts:
        lines += ["", *part]
    (ROOT / "scale.md").write_text("\n".join([*lines, "", (ROOT / "scale_notes.md").read_text()]))


if __name__ == "__main__":
    main()
