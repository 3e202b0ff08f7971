"""What half precision and 8 bits cost and bring: quality against the truth, agreement, size, and time on one CPU core.

python -m benchmarks.precision

Writes this processor's section of precision.md. A student of each kind is trained first, in about ten minutes.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.by_processor import write_page
from benchmarks.cells import ROOT, made
from benchmarks.toy_data import toy_pairs
from gseg_cli.datasets.splits import SUPERVISED_SEED, TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.distill.config import DistillConfig, configure_supervised
from gseg_cli.distill.net_config import PRETRAINED
from gseg_cli.distill.student import load_student, save_student
from gseg_cli.distill.train import fit_student
from gseg_cli.progress import progress
from gseg_export.graph import finish
from gseg_export.precision import to_fp16, to_int8
from gseg_export.to_onnx import from_network
from gseg_runtime.backends.ort import EXACT_INT8
from gseg_runtime.metrics import confusion_matrix, mean_iou
from gseg_runtime.model_card import ModelCard
from gseg_runtime.telemetry import no_telemetry

no_telemetry()
import onnxruntime  # noqa: E402

INEXACT = "int8-trt, overflowing"
SIZE, NUM_TRAIN, NUM_CALIBRATE, ROUNDS = 128, 400, 128, 40
FIRST = SUPERVISED_SEED + 500_000  # seeds of no other training set


CONFIGS = {
    "default": DistillConfig(steps=350, batch=12),
    PRETRAINED: configure_supervised({"student": PRETRAINED, "geometry": "aligned", "input_size": SIZE}).train,
}


def trained_student(size: str, out: Path) -> Path:
    config = CONFIGS[size]
    faces = toy_pairs(range(FIRST, FIRST + NUM_TRAIN), SIZE)
    with progress(f"{size} of {SIZE} px", "steps") as on_step:
        net = fit_student(faces, CLASSES, config, torch.device("cpu"), on_step=on_step)
    save_student(out, net, CLASSES)
    return out


def variants(student: Path) -> dict[str, bytes]:
    """Name -> ONNX file."""
    net, classes, _ = load_student(student)
    source = from_network(net, ModelCard(classes=classes, input_size=net.config.input_size))
    first = FIRST + 100_000
    photos = toy_pairs(range(first, first + NUM_CALIBRATE), net.config.input_size).images.numpy()
    graphs = {
        "fp32": source.graph,
        "fp16": to_fp16(source.graph),
        "int8": to_int8(source.graph, photos),
        "int8-trt": to_int8(source.graph, photos, for_tensorrt=True),
    }
    return {name: finish(graph, source.card).onnx for name, graph in graphs.items()}


def open_session(model: bytes, *, exact: bool = True) -> onnxruntime.InferenceSession:
    """exact: as gseg opens models, without overflow on processors that have no VNNI instructions."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if exact:
        options.add_session_config_entry(*EXACT_INT8)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def milliseconds(sessions: dict[str, onnxruntime.InferenceSession], image: np.ndarray) -> dict[str, float]:
    """CPU time per image, median; the models take turns, so that whatever disturbs them disturbs all."""
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            start = time.process_time()
            session.run(["labels"], {"images": image})
            times[name].append(1000 * (time.process_time() - start))
    return {name: median(values) for name, values in times.items()}


def rows(size_name: str, student: Path) -> list[str]:
    models = variants(student)
    models[INEXACT] = models["int8-trt"]
    sessions = {name: open_session(model, exact=name != INEXACT) for name, model in models.items()}
    size = load_student(student)[0].config.input_size
    test = toy_pairs(TEST_SEEDS, size)
    images, truth = test.images.numpy(), test.first.numpy()
    labels = {
        name: np.concatenate([session.run(["labels"], {"images": image[None]})[0] for image in images])
        for name, session in sessions.items()
    }
    cost = milliseconds(sessions, images[:1])
    lines = []
    for name, model in models.items():
        miou = mean_iou(confusion_matrix(labels[name], truth, len(CLASSES)))
        agreement = (labels[name] == labels["fp32"]).mean()
        figures = f"{miou:.4f} | {agreement:.5f} | {len(model) / 1e6:.1f} | {cost[name]:.1f}"
        lines.append(f"| {size_name} | {name} | {figures} | {cost['fp32'] / cost[name]:.2f} |")
    return lines


HEAD = f"""# Half precision and 8 bits

Students of {SIZE} px, trained on {NUM_TRAIN} exactly labelled toy faces, in ONNX Runtime: mean IoU on
{len(TEST_SEEDS)} fresh faces, agreement with full precision there, and CPU time per image on one core. 8 bits are
calibrated on {NUM_CALIBRATE} other faces. `int8-trt` is the graph that TensorRT engines are built from. It and half
precision are made for GPUs; their times on a CPU stand here to show it. Its weights have eight bits, those of `int8`
seven: on processors without VNNI instructions eight overflow, unless ONNX Runtime is told to be exact, as gseg does.
Overflowing: it is not. Sections that name no student are of the default one.

Photos are harder than toy faces: in 8 bits a `lite0` of five portraits agreed on 0.936 of the pixels, and on 0.985
since its first eight convolutions stay in float (with the first four 0.973, with sixteen 0.986); one of ten game
characters on 0.988, and on 0.996. It takes 5.1 ms in place of 4.6, and 9.6 in full precision. By a script that is not
kept, on the EPYC with avx512_bf16.
"""
SECTION = """Made by `python -m benchmarks.precision`, commit {commit}, {date}, ONNX Runtime {version}.

| student | precision | mean IoU | agreement | MB | ms per image | times as fast as fp32 |
|---|---|---:|---:|---:|---:|---:|
{rows}
"""


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        lines = [line for size in CONFIGS for line in rows(size, trained_student(size, Path(folder) / size))]
    section = SECTION.format(**made(), version=onnxruntime.__version__, rows="\n".join(lines))
    print(write_page(ROOT / "precision.md", HEAD, section))


if __name__ == "__main__":
    main()
