"""Large photos in overlapping tiles, each seen by the network like a photo of its own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gseg_runtime.detail import Detail
from gseg_runtime.enlarged import Enlarged, Plane
from gseg_runtime.errors import GsegError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.label_map import Pixels
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.prediction import Inference, Prediction, confidence_of, detailed_prediction, finite, mean_of
from gseg_runtime.smooth import Logits, SmoothMap, labels_of
from gseg_runtime.tiling import Tiling


def infer_photo(
    model: LoadedModel, picture: Pixels, frame: Letterbox, detail: Detail, *, confidence: bool
) -> "Inference | Tiled":
    """What the model says of one photo, of which `frame` made the picture: its prediction is that of index 0."""
    is_smooth = detail.edges == "smooth"
    if isinstance(frame, Tiling):
        return Tiled(model, picture, frame, is_smooth, confidence)
    inference = model.infer(model.batch_of([picture]), confidence=confidence, logits=detail.needs_logits)
    return replace(inference, logits=None) if detail.edges == "nearest" else inference


@dataclass(frozen=True)
class Tiled:
    """What a model says of one photo in tiles; the model is asked when the prediction is made.

    picture: the photo as by `Tiling.apply`. Of the logits no more is kept than of one row of tiles.
    """

    model: LoadedModel
    picture: Pixels
    tiling: Tiling
    is_smooth: bool
    confidence: bool

    def prediction(self, index: int, letterbox: Letterbox) -> Prediction:
        """As of `Inference`, of the one photo that there is. GsegError when the engine fails."""
        size = letterbox.height, letterbox.width
        smooth = SmoothMap(letterbox.scaled[0], *size) if self.is_smooth else None
        labels: list[Plane] = []
        confidences: list[Plane] = []
        for band in self._bands():
            if smooth:
                smooth.add(band)
            else:
                labels.append(labels_of(band))
            confidences.append(confidence_of(band, axis=0))
        confidence = np.concatenate(confidences)
        mean_confidence, wanted = mean_of(confidence), confidence if self.confidence else None
        if smooth:
            return detailed_prediction(smooth.labels, wanted, letterbox, mean_confidence)
        plane = Enlarged(np.concatenate(labels), *size)
        return Prediction(plane, None if wanted is None else Enlarged(wanted, *size), mean_confidence)

    def _bands(self) -> Iterator[Logits]:
        """The blended logits of the photo, float32 [C, rows, w], from the top as far as no tile to come reaches."""
        (tops, lefts), (height, width), size = self.tiling.places, self.tiling.outer, self.tiling.size
        rows, columns = self.tiling.window
        blend = _Blend(len(self.model.card.classes), size, width)
        for top, end in zip(tops, [*tops[1:], height], strict=True):
            for left, logits in zip(lefts, self._row(top, lefts, size), strict=True):
                blend.add(left, logits)
            band = blend.take(end - top)
            yield band[:, max(0, rows.start - top) : rows.stop - top, columns]

    def _row(self, top: int, lefts: list[int], size: int) -> Iterator[Logits]:
        """The logits of the tiles that begin in row `top`, [C, S, S] each."""
        for start in range(0, len(lefts), self.model.batch):
            squares = [self.picture[top : top + size, left : left + size] for left in lefts[start:][: self.model.batch]]
            yield from self._infer(squares)

    def _infer(self, squares: list[Pixels]) -> npt.NDArray[np.float32]:
        try:
            logits = self.model.infer(self.model.batch_of(squares), logits=True).logits
        except GsegError:
            raise
        except Exception as error:  # those of the engines share no base class; none is the photo's fault
            raise GsegError(f"{self.model.device}: {error}") from error
        assert logits is not None
        return finite(logits[: len(squares)])


class _Blend:
    """The sum of logits where tiles overlap, as many rows of it as a tile has: what lies above is taken away.

    The middle of a tile counts more than its rim, where the network sees less around a pixel.
    """

    def __init__(self, num_classes: int, size: int, width: int) -> None:
        rising = np.arange(1, size + 1, dtype=np.float32)
        rising = np.minimum(rising, rising[::-1])
        self._weight = np.outer(rising, rising)
        self._sum = np.zeros((num_classes, size, width), np.float32)
        self._weights = np.zeros((size, width), np.float32)

    def add(self, left: int, logits: Logits) -> None:
        """A tile in the rows that are held, [C, size, size]."""
        columns = slice(left, left + len(self._weight))
        self._sum[:, :, columns] += logits * self._weight
        self._weights[:, columns] += self._weight

    def take(self, count: int) -> Logits:
        """The mean in so many rows from the top, [C, count, width]; the rows below move up."""
        band = self._sum[:, :count] / self._weights[:count]
        for plane in (self._sum, self._weights):
            plane[..., : plane.shape[-2] - count, :] = plane[..., count:, :].copy()
            plane[..., plane.shape[-2] - count :, :] = 0
        return band
