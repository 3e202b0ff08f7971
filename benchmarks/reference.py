"""The reference annotator: a UNet trained on exactly labelled toy faces, to label generated samples for measurement.

    python -m benchmarks.reference [--builtin toy-faces]

It is shipped (half precision) because every figure on generated samples is measured against it. One comes with each
GAN, at its size.
"""

import argparse
from dataclasses import asdict

import torch

from benchmarks.cells import made
from benchmarks.toy_data import toy_pairs
from gseg_cli.builtin import BY_SIZE, DEFAULT, Builtin
from gseg_cli.datasets.splits import REFERENCE_SEEDS, TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.device import pick_device
from gseg_cli.distill.config import AugmentConfig, DistillConfig
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import save_student
from gseg_cli.distill.train import fit_student
from gseg_cli.distill.unet import UNet
from gseg_cli.progress import progress
from gseg_runtime.metrics import confusion_matrix, iou_per_class, mean_iou

STEPS = {64: 3000, 128: 1500}  # half an hour on two cores, at 128 px
SIZE_OF = {name: size for size, name in BY_SIZE.items()}


def make_reference(shipped: Builtin) -> None:
    size = SIZE_OF[shipped.name]
    config = DistillConfig(steps=STEPS[size], augment=AugmentConfig(colour=0.3))
    pairs = toy_pairs(REFERENCE_SEEDS, size)
    with progress("reference annotator", "steps") as on_step:
        net = fit_student(pairs, CLASSES, config, pick_device(), on_step=on_step).cpu()
    net = net.half().float()  # what is measured is what is shipped
    quality = measure(net)
    meta = {"trained": {**asdict(config), "faces": len(pairs)}, "quality": quality, **made()}
    save_student(shipped.reference, net.half(), CLASSES, meta)  # type: ignore[arg-type]
    print(f"{shipped.reference}: mean IoU {quality['mean_iou']:.3f} on {len(TEST_SEEDS)} fresh faces")


def measure(net: UNet) -> dict[str, float]:
    test = toy_pairs(TEST_SEEDS, net.config.input_size)
    matrix = confusion_matrix(predict_labels(net, test.images), test.first.numpy(), len(CLASSES))
    per_class = dict(zip(CLASSES.names, (float(v) for v in iou_per_class(matrix)), strict=True))
    return {"mean_iou": mean_iou(matrix), **{f"iou_{name}": value for name, value in per_class.items()}}


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--builtin", choices=sorted(SIZE_OF), default=DEFAULT)
    make_reference(Builtin(parser.parse_args().builtin))
