"""What the pipeline asks of an inference engine."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gseg_runtime.enlarged import Plane
from gseg_runtime.errors import ModelCardError
from gseg_runtime.label_map import Pixels
from gseg_runtime.model_card import ModelCard

INPUT, LABELS, CONFIDENCE, LOGITS = "images", "labels", "confidence", "logits"  # the graph's names
OUTPUTS = (LABELS, CONFIDENCE, LOGITS)  # those that the runtime can ask for
Answer = npt.NDArray[Any]  # labels and confidence uint8 [N, S, S], logits float32 [N, C, S, S]


class Backend(ABC):
    """A loaded model. `infer` may be called from several threads at once.

    name: engine and device obtained ("ONNX Runtime, CPU"); why: the reason it is not a faster one, or "".
    outputs: what it can be asked for, LABELS and perhaps others of OUTPUTS. batch: how many images at once suit it;
    is_batch_fixed: whether it takes no other number.
    """

    name: str
    card: ModelCard
    why: str = ""
    outputs: Sequence[str] = (LABELS,)
    batch: int = 1
    is_batch_fixed: bool = False

    @abstractmethod
    def infer(self, images: Pixels, outputs: Sequence[str]) -> list[Answer]:
        """An answer for each name in `outputs`, of images uint8 [N, S, S, 3], RGB; S is the card's input_size."""

    @abstractmethod
    def close(self) -> None:
        """Free the engine."""

    def run(self, images: Pixels) -> Plane:
        """Label maps uint8 [N, S, S] of images uint8 [N, S, S, 3]."""
        return self.infer(images, [LABELS])[0]


def check_card(model: Path | str, card: ModelCard, shapes: Mapping[str, Sequence[Any]]) -> None:
    """ModelCardError when the card tells of another size, or of other classes, than the graph has.

    shapes: of INPUT and perhaps LOGITS; a side that is no number, or -1, may have any length.
    """
    height, width, *_ = shapes[INPUT][1:]
    count = shapes.get(LOGITS, [None, None])[1]
    size, num_classes = card.input_size, len(card.classes)
    for what, told, found in (("pixels", size, height), ("pixels", size, width), ("classes", num_classes, count)):
        if isinstance(found, int) and found not in (told, -1):
            message = f"{model}: the model card tells of {told} {what}, but the network has {found}"
            raise ModelCardError(message, "export it again with gseg export")
