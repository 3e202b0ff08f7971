"""What the folder pipeline asks of an inference engine."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from gseg_runtime.model_card import ModelCard


class Backend(Protocol):
    """A loaded model. `run` may be called from several threads at once.

    name: engine and device obtained ("ONNX Runtime, CPU"); why: the reason it is not a faster one, or "".
    """

    name: str
    why: str
    card: ModelCard

    def run(self, batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Label maps uint8 [N, S, S] of images uint8 [N, S, S, 3], RGB; S is the card's input_size."""
        ...

    def close(self) -> None:
        """Free the engine."""
        ...
