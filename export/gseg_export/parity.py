"""An export is done when it labels pictures as PyTorch does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from gseg_export.to_onnx import LabelNetwork, to_onnx, write_card
from gseg_runtime.backends.ort import OrtBackend
from gseg_runtime.errors import GsegError
from gseg_runtime.files import atomic_path
from gseg_runtime.model_card import ModelCard

# Two float32 engines add in different orders, so a pixel between two classes may fall to either.
MIN_AGREEMENT = 0.9999
QUALITY_KEY = "label_agreement"
BATCH = 8

Images = npt.NDArray[np.uint8]


def export_verified(
    model: nn.Module, card: ModelCard, out: Path, images: Images, *, min_agreement: float = MIN_AGREEMENT
) -> ModelCard:
    """Write `model` to `out`, but only when it agrees with PyTorch; the card as written, with the agreement.

    model: as for `to_onnx`. images: uint8 [N, S, S, 3], RGB. GsegError below `min_agreement`; `out` is then untouched.
    """
    with atomic_path(out) as unverified:
        to_onnx(model, card, unverified)
        agreement = check_parity(model, unverified, images)
        if agreement < min_agreement:
            raise GsegError(
                f"{out}: not written: ONNX Runtime and PyTorch agree on {agreement:.6f} of the pixels, "
                f"expected at least {min_agreement}",
                hint="a network unsure of its classes flips with rounding: train it longer, or verify on photos",
            )
        card = replace(card, quality={**card.quality, QUALITY_KEY: agreement})
        write_card(unverified, card)
    return card


def check_parity(model: nn.Module, onnx_path: Path, images: Images) -> float:
    """The share of pixels that the ONNX file, run by ONNX Runtime on the CPU, labels as `model` does.

    images: uint8 [N, S, S, 3]. The model is evaluated in evaluation mode, in float32 on the CPU, and left as it is.
    """
    if not len(images):
        raise GsegError(f"{onnx_path}: no pictures to verify it on")
    network, backend = LabelNetwork(model), OrtBackend(onnx_path)
    num_equal = 0
    for start in range(0, len(images), BATCH):
        chunk = images[start : start + BATCH]
        num_equal += int((backend.run(chunk) == network(torch.tensor(chunk)).numpy()).sum())
    backend.close()
    return num_equal / images[..., 0].size


def smooth_images(count: int, *, size: int, seed: int = 0) -> Images:
    """Coloured clouds, uint8 [count, size, size, 3]: something to verify on where no photos are at hand."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    clouds = [Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC) for grid in coarse]
    return np.stack([np.asarray(cloud) for cloud in clouds])
