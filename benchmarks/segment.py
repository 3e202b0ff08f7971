"""How fast `gseg segment` is: stages, bare engine, whole folder, a serial loop beside; memory, start, 8 bits.

python -m benchmarks.segment [--trained model.onnx --int8 model-int8.onnx]

The students are untrained: speed does not depend on the weights. The two files are of one trained student, in float32
and exported with --int8; their mean IoU is measured on toy faces.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from benchmarks.cells import ROOT, made
from gseg_cli.datasets.splits import TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES, render
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.unet import UNet
from gseg_export.graph import finish
from gseg_export.to_onnx import trace
from gseg_runtime.bench import Bench, made_up_photos, run_bench
from gseg_runtime.geometry import Letterbox
from gseg_runtime.metrics import confusion_matrix, mean_iou
from gseg_runtime.model_card import ModelCard
from gseg_runtime.segmenter import Segmenter
from gseg_runtime.telemetry import no_telemetry

STUDENTS = (("tiny", 128), ("default", 128), ("default", 256), ("paper", 128))
REPEATS = 4  # the best of them counts: whatever else the machine does can only slow a run down
SECONDS = 2.5
NUM_PHOTOS = 24
NUM_FACES = 300


def make_student(folder: Path, size: str, pixels: int) -> Path:
    torch.manual_seed(0)
    net = UNet(NetConfig(size=size, num_classes=len(CLASSES), input_size=pixels)).eval()
    path = folder / f"{size}-{pixels}.onnx"
    path.write_bytes(finish(trace(net, pixels), ModelCard(classes=CLASSES, input_size=pixels)).onnx)
    return path


def serial_loop(model: Path, photos: list[Path], out: Path, seconds: float) -> float:
    """Photos per second in the manner of rembg's folder command: Pillow, the engine's defaults, one after the other."""
    no_telemetry()
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    size, palette = session.get_inputs()[0].shape[1], CLASSES.palette()
    out.mkdir(exist_ok=True)
    num_done, start_s = 0, time.perf_counter()
    while time.perf_counter() - start_s < seconds:
        photo = photos[num_done % len(photos)]
        pixels = np.asarray(Image.open(photo).convert("RGB"))
        letterbox = Letterbox(*pixels.shape[:2], size)
        (labels,) = session.run(["labels"], {"images": letterbox.apply(pixels)[None]})
        mask = Image.fromarray(labels[0][letterbox.window], "P")
        mask = mask.resize((letterbox.width, letterbox.height), Image.Resampling.NEAREST)
        mask.putpalette(palette)
        mask.save(out / f"{photo.stem}.png")
        num_done += 1
    return num_done / (time.perf_counter() - start_s)


def measure(model: Path, photos: list[Path], folder: Path, rest_s: float) -> tuple[Bench, float]:
    """The best of each figure: the least time of a stage, the most photos per second."""
    with Segmenter.load(model, "cpu") as segmenter:
        runs, serial = [], []
        for _ in range(REPEATS):
            time.sleep(rest_s)
            runs.append(run_bench(segmenter, photos[0].parent, len(photos), seconds=SECONDS))
            time.sleep(rest_s)
            serial.append(serial_loop(model, photos, folder / "serial", SECONDS))
    least = {name: min(getattr(run, name) for run in runs) for name in ("decode_ms", "infer_ms", "encode_ms", "cpu_ms")}
    most = {name: max(getattr(run, name) for run in runs) for name in ("bare", "end_to_end")}
    stages_ms = least["decode_ms"] + least["infer_ms"] + least["encode_ms"]
    return replace(runs[0], **least, **most, ceiling=1e3 * runs[0].workers / stages_ms), max(serial)


def speed_rows(folder: Path, rest_s: float) -> list[str]:
    photos = made_up_photos(folder / "photos", NUM_PHOTOS)
    rows = []
    for size, pixels in STUDENTS:
        run, serial = measure(make_student(folder, size, pixels), photos, folder, rest_s)
        stages_ms = run.decode_ms + run.infer_ms + run.encode_ms
        cells = [
            f"{size}, {pixels} px", f"{run.decode_ms:.2f}", f"{run.infer_ms:.2f}", f"{run.encode_ms:.2f}",
            f"{run.end_to_end:.1f}", f"{run.of_ceiling:.2f}", f"{stages_ms / run.cpu_ms:.2f}", f"{run.bare:.1f}",
            f"{run.of_bare:.2f}", f"{serial:.1f}", f"{run.end_to_end / serial:.2f}", f"{run.ceiling / serial:.2f}",
        ]  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    kilobytes = sum(photo.stat().st_size for photo in photos) / len(photos) / 1e3
    return [
        f"Photos: {NUM_PHOTOS} made-up JPEGs of a megapixel, {kilobytes:.0f} kB each, masks at full size. Stages in",
        f"CPU milliseconds per photo; the best of {REPEATS} interleaved runs of {SECONDS} s. The students have no",
        "logits, so that labels are enlarged (`--edges nearest`); [edges.md](edges.md) tells what smooth edges cost.",
        "",
        "| student | decode | infer | encode | folder, photos/s | of the ceiling | stages / CPU time | bare engine | "
        "folder / bare | serial loop | folder / serial | ceiling / serial |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *rows,
    ]


def run_gseg(*args: object) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory in MB of a whole process."""
    start_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    # The peak that getrusage tells of would be inherited from this process.
    code = "import sys; from gseg_cli.app import main; code = main(sys.argv[1:]); "
    code += "print([line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line][0]); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start_s, cpu_s, int(done.stdout.split()[-1]) / 1024


def memory_rows(folder: Path) -> list[str]:
    """Small photos of different shapes, links to a few files: does memory grow with their number?"""
    model = make_student(folder, "tiny", 32)
    files = [
        made_up_photos(folder / f"small-{index}", 1, (160 + 40 * index, 200 - 20 * index))[0] for index in range(6)
    ]
    peaks = []
    for count in (2_000, 20_000):
        links = folder / f"links-{count}"
        links.mkdir()
        for index in range(count):
            (links / f"{index:06d}.jpg").symlink_to(files[index % len(files)])
        peaks.append(run_gseg("segment", links, "-o", folder / f"masks-{count}", "--model", model)[2])
        print(count, peaks[-1], flush=True)
    return [
        f"Peak memory over 2,000 photos {peaks[0]:.1f} MB, over 20,000 {peaks[1]:.1f} MB: a ratio of "
        f"{peaks[1] / peaks[0]:.3f}."
    ]


def start_rows(folder: Path) -> list[str]:
    model, photo = make_student(folder, "default", 128), made_up_photos(folder / "one", 1)[0]
    args = ["segment", photo, "-o", folder / "one-mask", "--model", model, "--overwrite"]
    run_gseg(*args)
    runs = [run_gseg(*args)[:2] for _ in range(7)]
    wall_s, cpu_s = median(run[0] for run in runs), median(run[1] for run in runs)
    print(wall_s, cpu_s, flush=True)
    return [
        f"`gseg segment ONE.jpg` with the default student of 128 px, as a whole process: {cpu_s:.2f} s of CPU time, "
        f"{wall_s:.2f} s from start to end (median of 7)."
    ]


def int8_rows(fp32: Path, int8: Path) -> list[str]:
    with Segmenter.load(fp32, "cpu") as exact, Segmenter.load(int8, "cpu") as small:
        faces = [render(seed, size=exact.card.input_size) for seed in TEST_SEEDS[:NUM_FACES]]
        rows, scores, times = [], [], []
        for segmenter in (exact, small):
            matrix, least_s = 0, float("inf")
            for image, truth in faces:
                start_s = time.process_time()
                labels = segmenter.infer(image[None]).labels[0]
                least_s = min(least_s, time.process_time() - start_s)
                matrix = matrix + confusion_matrix(labels, truth, len(CLASSES))
            scores.append(mean_iou(matrix))
            times.append(least_s * 1e3)
            rows.append(f"| {segmenter.card.precision} | {times[-1]:.2f} | {scores[-1]:.4f} |")
    return [
        f"A trained default student of {exact.card.input_size} px: CPU ms of one photo (the least of {NUM_FACES}), "
        f"mean IoU on {NUM_FACES} toy faces.",
        "", "| precision | infer | mean IoU |", "|---|---:|---:|", *rows,
        "", f"8 bits are {times[0] / times[1]:.2f} times as fast; mean IoU changes by {scores[1] - scores[0]:+.4f}.",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trained", type=Path, help="model.onnx of a trained student")
    parser.add_argument("--int8", type=Path, help="the same student, exported with --int8")
    parser.add_argument("--skip-memory", action="store_true", help="leave out the 22,000 photos")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds between runs that others may use the machine")
    args = parser.parse_args()
    about = made()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        parts = [start_rows(folder), speed_rows(folder, args.rest)]
        if not args.skip_memory:
            parts.append(memory_rows(folder))
    if args.trained and args.int8:
        parts.append(int8_rows(args.trained, args.int8))
    command = "python -m benchmarks.segment" + (" --trained model.onnx --int8 model-int8.onnx" if args.int8 else "")
    if args.rest:  # the machine is shared: ahead of all others for seconds, then out of their way
        command = f"chrt --fifo 5 {command} --rest {args.rest:g}"
    lines = [
        "# Segmenting folders", "", f"Made by `{command}`, commit {about['commit']}, {about['date']}, "
        f"{about['hardware']}, no GPU.",
    ]  # fmt: skip
    for part in parts:
        lines += ["", *part]
    lines += ["", *(SHARED_NOTES if args.rest else ()), *NOTES]
    (ROOT / "segment.md").write_text("\n".join([*lines, ""]))


NOTES = (
    "- *Of the ceiling*: the folder against cores / (decode + infer + encode), what the cores could do if they did",
    "  nothing else. *Stages / CPU time*: the same three against all the CPU time of the folder run, per photo; unlike",
    "  photos per second it depends little on what else the machine was doing.",
    "- *Bare engine*: the network alone on decoded photos, one thread per core.",
    "- *Serial loop*: the same model in the manner of rembg's folder command: Pillow decodes at full size and writes",
    "  the PNG, ONNX Runtime has its defaults (a photo on all cores, spinning), one photo after the other.",
    "- *Ceiling / serial*: the most that any program with these codecs could gain over that loop on these cores. The",
    "  loop's engine has all cores busy by itself; what it leaves idle is one core while the other decodes or encodes,",
    "  15 to 30 ms per photo. 1.4 times the loop is therefore out of reach from about 100 ms of inference on: for the",
    "  student of the paper's size even the bare engine, without any photo or mask, is short of it.",
    "- A stage is measured alone, over and over, with the processor's caches full of what it needs. In a folder it",
    "  finds them full of the other stages' data; for a network of a few milliseconds this is most of what is missing.",
    "- `gseg bench --model model.onnx --photos DIR` measures a model of yours on your photos.",
)

SHARED_NOTES = (
    "- With `chrt --fifo` the machine was in use by others; Linux keeps 5 % of its time for them even then, so 0.95 is",
    "  about the most that a folder can reach of the ceiling.",
)

if __name__ == "__main__":
    main()
