"""Step `segment`: photos a second through ONNX Runtime, on the GPU and on the CPU beside it; what TensorRT says."""

from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.setting import Figures, Setting, seconds_of
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.student import make_student
from gseg_export.graph import finish
from gseg_export.precision import to_fp16
from gseg_export.to_onnx import trace
from gseg_runtime.backends import choose
from gseg_runtime.bench import run_bench
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import Pixels
from gseg_runtime.model_card import ModelCard
from gseg_runtime.segmenter import Segmenter

STUDENTS = (("tiny", 128), ("default", 128), ("lite0", 128), ("default", 256), ("default", 512), ("paper", 256))
SMALL, LARGE = 1, 32  # batches that take turns
NUM_PHOTOS, SECONDS = 64, 4.0


def measure(s: Setting) -> None:
    students = STUDENTS[:1] if s.dry_run else STUDENTS
    devices = ("cuda", "cpu") if s.device.type == "cuda" else ("cpu",)
    for size, pixels in students:
        for precision, device in [(p, d) for d in devices for p in ("fp32", "fp16") if (p, d) != ("fp16", "cpu")]:
            config = {"student": size, "pixels": pixels, "precision": precision, "device": device}
            s.cell("segment", config, lambda c=config: throughput(s, **c))  # type: ignore[misc]
    for precision in ("fp32", "fp16") if devices[0] == "cuda" else ("fp32",):
        config = {"precision": precision, "device": devices[0]}
        s.cell("batches", config, lambda c=config: changing_batches(s, **c))  # type: ignore[misc]


def changing_batches(s: Setting, *, precision: str, device: str) -> Figures:
    """Milliseconds of a pair of inferences: of equal batches, and of a single picture and a full batch by turns.

    cuDNN plans for a shape, and ONNX Runtime keeps the plan of the last one only (microsoft/onnxruntime#23006).
    """
    model = make_model(s.work / "models", "default", 128, precision)
    times = 1 if s.dry_run else 20
    backend = choose(model, device, batch=LARGE)
    small, large = (np.zeros((count, 128, 128, 3), np.uint8) for count in (SMALL, LARGE))

    def ms(*batches: Pixels) -> float:
        def work() -> None:
            for _ in range(times):
                for batch in batches:
                    backend.run(batch)

        work()
        return seconds_of(work, s.device) / times * 1e3

    return {"small": ms(small, small), "large": ms(large, large), "by_turns": ms(small, large)}


def throughput(s: Setting, *, student: str, pixels: int, precision: str, device: str) -> Figures:
    """Of `gseg bench`, on made-up photos of a megapixel; speed does not depend on the weights."""
    model = make_model(s.work / "models", student, pixels, precision)
    count, seconds = (2, 0.2) if s.dry_run else (NUM_PHOTOS, SECONDS)
    with Segmenter.load(model, device) as segmenter:
        return run_bench(segmenter, None, count, seconds=seconds).to_json()


def make_model(folder: Path, student: str, pixels: int, precision: str) -> Path:
    path = folder / f"{student}-{pixels}-{precision}.onnx"
    if not path.is_file():
        torch.manual_seed(0)
        net = make_student(NetConfig(size=student, num_classes=len(CLASSES), input_size=pixels)).eval()
        graph = trace(net, pixels)
        graph = to_fp16(graph) if precision == "fp16" else graph
        card = ModelCard(classes=CLASSES, input_size=pixels, precision=precision)
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finish(graph, card).onnx)
    return path


def measure_tensorrt(s: Setting) -> None:
    s.cell("tensorrt", {"device": "trt"}, lambda: tensorrt(s))


def tensorrt(s: Setting) -> Figures:
    """Photos a second, or the words in which TensorRT is refused."""
    model = make_model(s.work / "models", "default", 256, "fp16")
    try:
        with Segmenter.load(model, "trt", cache=s.work / "engines") as segmenter:
            return {"refusal": None, **run_bench(segmenter, None, NUM_PHOTOS, seconds=SECONDS).to_json()}
    except GsegError as error:
        return {"refusal": error.message, "hint": error.hint}
