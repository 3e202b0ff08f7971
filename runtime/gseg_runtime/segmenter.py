"""The one object that Python users need: a loaded model that turns photos into label maps."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gseg_runtime.backends import choose, connect
from gseg_runtime.backends.base import Backend
from gseg_runtime.detail import Edges
from gseg_runtime.errors import GsegError, at_least_one
from gseg_runtime.files import sha256_file
from gseg_runtime.folder import FolderOptions, FolderReport, OnImage, segment_into
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, Pixels
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.model_card import ModelCard
from gseg_runtime.prediction import Inference, Prediction
from gseg_runtime.sources import Source
from gseg_runtime.tiles import infer_photo

if TYPE_CHECKING:
    from gseg_runtime.remote.segment import Engine, OnRows


class Segmenter:
    """A model and the engine that runs it; may be used from several threads.

    with Segmenter.load("model.onnx") as segmenter:
        label_map, = segmenter.segment([pixels])
    """

    def __init__(self, backend: Backend, model_sha256: str, batch: int | None = None) -> None:
        """batch: see `load`."""
        at_least_one("batch", batch)
        self._model = LoadedModel(backend, model_sha256, batch or backend.batch)
        self._is_closed = False

    @classmethod
    def load(
        cls, model: Path | str, device: str = "auto", *, batch: int | None = None, cache: Path | None = None
    ) -> Self:
        """Open an exported model, .onnx or .engine.

        device: auto, cpu, cuda, cuda:N, trt, trt:N or openvino. batch: photos that go through the engine at once; None
        is what suits it, 1 on a CPU. cache: folder for engines that ONNX Runtime builds by TensorRT, which takes
        minutes; None builds them each time.
        Raises GsegError: the file is missing or not a gseg model, the engine or the device is not to be had.
        """
        at_least_one("batch", batch)
        return cls(choose(Path(model), device, cache, batch), sha256_file(Path(model)), batch)

    @classmethod
    def connect(cls, address: str, *, batch: int | None = None) -> Self:
        """A model on an NVIDIA Triton Inference Server, triton://HOST[:PORT]/MODEL, asked over gRPC.

        Raises GsegError: the server or the model is not to be had, or the model is not one of gseg's.
        """
        at_least_one("batch", batch)
        backend = connect(address)
        return cls(backend, backend.sha256, batch)

    @property
    def loaded(self) -> LoadedModel:
        """What `gseg serve` answers with; to be used only while the segmenter is open."""
        return self._model

    @property
    def card(self) -> ModelCard:
        return self._model.card

    @property
    def model_sha256(self) -> str:
        return self._model.sha256

    @property
    def batch(self) -> int:
        """Photos that go through the engine at once."""
        return self._model.batch

    @property
    def device(self) -> str:
        """Engine and device obtained, in words."""
        return self._model.device

    @property
    def why(self) -> str:
        """Why `device` is not a faster one; empty when there is nothing to say."""
        return self._model.backend.why

    def segment(self, images: Iterable[Pixels]) -> list[LabelMap]:
        """Label maps, uint8 [H, W], of images of any sizes, uint8 [H, W, 3] RGB, each at its image's own size."""
        return [prediction.labels for prediction in self.predict(images)]

    def predict(
        self,
        images: Iterable[Pixels],
        *,
        confidence: bool = False,
        edges: Edges | None = None,
        tile: int | None = None,
    ) -> list[Prediction]:
        """`segment` with more to ask: areas per class and, from a model with logits or --confidence, the confidence.

        edges, tile: see `Detail`, which needs logits for them; None are smooth edges where the model has logits, and
        tiles of the size that it learned from, if it did.
        """
        self._check_open()
        detail, size = self._model.detail(edges, tile), self.card.input_size
        detail.check(size)
        images = [_check_pixels(image) for image in images]
        letterboxes = [detail.frame(image.shape[0], image.shape[1], size) for image in images]
        squares = [letterbox.apply(image, self.card.fill) for letterbox, image in zip(letterboxes, images, strict=True)]
        if detail.tile is not None:
            both = zip(squares, letterboxes, strict=True)
            inferences = (infer_photo(self._model, *each, detail, confidence=confidence) for each in both)
            return [inference.prediction(0, box) for inference, box in zip(inferences, letterboxes, strict=True)]
        predictions: list[Prediction] = []
        for start in range(0, len(squares), self.batch):
            batch = self._model.batch_of(squares[start : start + self.batch])
            inference = self.infer(batch, confidence=confidence, logits=detail.needs_logits)
            for index, box in enumerate(letterboxes[start : start + self.batch]):
                guide = images[start + index] if detail.is_guided else None
                predictions.append(inference.prediction(index, box, guide))
        return predictions

    def segment_file(self, path: Path | str) -> LabelMap:
        """The label map of a picture, as large as it is displayed. ImageError when the picture cannot be read."""
        detail, size = self._model.detail(), self.card.input_size
        photo = read_image(Path(path), min_size=detail.num_needed(size))
        letterbox = detail.frame(photo.height, photo.width, size)
        square = letterbox.apply(photo.pixels, self.card.fill, photo.box)
        self._check_open()
        return infer_photo(self._model, square, letterbox, detail, confidence=False).prediction(0, letterbox).labels

    def infer(self, squares: Pixels, *, confidence: bool = False, logits: bool = False) -> Inference:
        """What the engine says of letterboxed images, uint8 [N, S, S, 3]; N is `batch` where that is fixed."""
        self._check_open()
        return self._model.infer(squares, confidence=confidence, logits=logits)

    def segment_folder(
        self, source: Path | str, out: Path | str, *, on_image: OnImage | None = None, **options: Any
    ) -> FolderReport:
        """Write one indexed PNG per picture below `source` into the same tree below `out`, x.jpg as x.png.

        Beside them come gseg-manifest.jsonl, one line per picture, and gseg-report.json. A picture that cannot be
        read is reported and the rest is done.

        on_image: called after each picture, in the calling thread. options: those of `FolderOptions`.
        Raises GsegError before anything is written: no picture, two that would write the same mask, `out` inside
        `source` or in use.
        """
        return self.segment_files([source], out, on_image=on_image, **options)

    def segment_files(
        self,
        sources: Iterable[Path | str | Source],
        out: Path | str,
        *,
        on_image: OnImage | None = None,
        **options: Any,
    ) -> FolderReport:
        """`segment_folder` for any mix of folders, glob patterns and files; a file's mask lies at the top of `out`."""
        self._check_open()
        every = [source if isinstance(source, Source) else Source(Path(source)) for source in sources]
        return segment_into(Path(out), self._model, every, FolderOptions(**options), on_image)

    def segment_remote(
        self,
        source: Path | str,
        out: Path | str,
        *,
        engine: "Engine | None" = None,
        on_rows: "OnRows | None" = None,
        warn: Callable[[str], None] | None = None,
        **options: Any,
    ) -> FolderReport:
        """`segment_folder` from one bucket to another: addresses such as s3://bucket/photos, or paths of folders.

        See `remote.segment.segment_stores`. options: those of `FolderOptions` that need no table of all photos.
        """
        from gseg_runtime.remote.segment import segment_stores

        self._check_open()
        given = FolderOptions(**options)
        return segment_stores(source, out, self._model, given, engine, on_rows=on_rows, warn=warn)

    def close(self) -> None:
        """Free the engine; the segmenter cannot be used any more, which is a GsegError."""
        if not self._is_closed:
            self._is_closed = True
            self._model.backend.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise GsegError("this segmenter is closed", "load the model again")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_pixels(image: Pixels) -> Pixels:
    hint = "give a list of arrays; that of a Pillow image is np.asarray(image.convert('RGB'))"
    if not isinstance(image, np.ndarray):
        raise GsegError(f"expected an image uint8 [H, W, 3], got {type(image).__name__}", hint)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise GsegError(f"expected an image uint8 [H, W, 3], got {image.dtype} {list(image.shape)}", hint)
    return image
