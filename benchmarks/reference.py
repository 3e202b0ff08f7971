"""The reference annotator: a UNet trained on exactly labelled toy faces, to label generated samples for measurement.

    python -m benchmarks.reference

It is shipped (half precision) because every figure on generated samples is measured against it.
"""

from dataclasses import asdict

import torch

from benchmarks.cells import made
from benchmarks.toy_data import toy_pairs
from gseg_cli.datasets.splits import REFERENCE_SEEDS, TEST_SEEDS
from gseg_cli.datasets.toy_faces import CLASSES
from gseg_cli.device import pick_device
from gseg_cli.distill.augment import AugmentConfig
from gseg_cli.distill.train import DistillConfig, fit_student, predict_labels
from gseg_cli.distill.unet import UNet, save_unet
from gseg_cli.evaluate.reference import reference_path
from gseg_cli.progress import progress
from gseg_runtime.metrics import confusion_matrix, iou_per_class, mean_iou

OUT = reference_path()
CONFIG = DistillConfig(steps=3000, augment=AugmentConfig(colour=0.3))


def main() -> None:
    pairs = toy_pairs(REFERENCE_SEEDS)
    with progress("reference annotator", "steps") as on_step:
        net = fit_student(pairs, len(CLASSES), CONFIG, pick_device(), on_step=on_step).cpu()
    net = net.half().float()  # what is measured is what is shipped
    quality = measure(net)
    meta = {"trained": {**asdict(CONFIG), "faces": len(pairs)}, "quality": quality, **made()}
    save_unet(OUT, net.half(), CLASSES, meta)  # type: ignore[arg-type]
    print(f"{OUT.name}: mean IoU {quality['mean_iou']:.3f} on {len(TEST_SEEDS)} fresh faces")


def measure(net: UNet) -> dict[str, float]:
    test = toy_pairs(TEST_SEEDS)
    matrix = confusion_matrix(predict_labels(net, test.images), test.first.numpy(), len(CLASSES))
    per_class = dict(zip(CLASSES.names, (float(v) for v in iou_per_class(matrix)), strict=True))
    return {"mean_iou": mean_iou(matrix), **{f"iou_{name}": value for name, value in per_class.items()}}


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    main()
