"""The one object that Python users need: a loaded model that turns photos into label maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from gseg_runtime.backends import choose
from gseg_runtime.backends.base import Backend
from gseg_runtime.errors import GsegError
from gseg_runtime.files import sha256_file
from gseg_runtime.folder import FolderReport, OnImage, segment_into
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, Pixels
from gseg_runtime.model_card import ModelCard


class Segmenter:
    """A model and the engine that runs it; may be used from several threads.

    with Segmenter.load(Path("model.onnx")) as segmenter:
        label_map, = segmenter.segment([pixels])
    """

    def __init__(self, backend: Backend, model_sha256: str) -> None:
        self._backend = backend
        self.model_sha256 = model_sha256

    @classmethod
    def load(cls, model: Path | str, device: str = "auto") -> Self:
        """Open an exported model. device: auto, cpu, cuda or cuda:N.

        Raises GsegError: the file is missing or not a gseg model, the engine or the device is not to be had.
        """
        return cls(choose(Path(model), device), sha256_file(Path(model)))

    @property
    def card(self) -> ModelCard:
        return self._backend.card

    @property
    def device(self) -> str:
        """Engine and device obtained, in words."""
        return self._backend.name

    @property
    def why(self) -> str:
        """Why `device` is not a faster one; empty when there is nothing to say."""
        return self._backend.why

    def segment(self, images: Sequence[Pixels]) -> list[LabelMap]:
        """Label maps, uint8 [H, W], of images of any sizes, uint8 [H, W, 3] RGB, each at its image's own size."""
        return [self._segment(_check_pixels(image), image.shape[0], image.shape[1]) for image in images]

    def segment_file(self, path: Path) -> LabelMap:
        """The label map of a picture, as large as it is displayed. ImageError when the picture cannot be read."""
        photo = read_image(path, min_size=self.card.input_size)
        return self._segment(photo.pixels, photo.height, photo.width)

    def segment_folder(
        self,
        source: Path | str,
        out: Path | str,
        *,
        on_image: OnImage | None = None,
        overwrite: bool = False,
        resume: bool = False,
        full_names: bool = False,
        workers: int | None = None,
    ) -> FolderReport:
        """Write one indexed PNG per picture below `source` into the same tree below `out`, x.jpg as x.png.

        Beside them come gseg-manifest.jsonl, one line per picture, and gseg-report.json. A picture that cannot be
        read is reported and the rest is done.

        on_image: called after each picture, in the calling thread. overwrite: empty `out` first, if only gseg wrote
        in it. resume: do what an earlier run into `out` with the same model left undone, and pictures changed
        since. full_names: x.jpg as x.jpg.png. workers: threads; None is one per core.
        Raises GsegError before anything is written: no picture, two that would write the same mask, `out` inside
        `source` or in use.
        """
        return self.segment_files(
            [source],
            out,
            on_image=on_image,
            overwrite=overwrite,
            resume=resume,
            full_names=full_names,
            workers=workers,
        )

    def segment_files(
        self,
        sources: Sequence[Path | str],
        out: Path | str,
        *,
        on_image: OnImage | None = None,
        overwrite: bool = False,
        resume: bool = False,
        full_names: bool = False,
        workers: int | None = None,
    ) -> FolderReport:
        """`segment_folder` for any mix of folders and files; a file's mask lies at the top of `out`."""
        return segment_into(
            Path(out),
            self,
            [Path(source) for source in sources],
            on_image=on_image,
            overwrite=overwrite,
            resume=resume,
            full_names=full_names,
            workers=workers,
        )

    def close(self) -> None:
        """Free the engine; the segmenter cannot be used any more."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _segment(self, pixels: Pixels, height: int, width: int) -> LabelMap:
        letterbox = Letterbox(height, width, self.card.input_size)
        batch = letterbox.apply(pixels, self.card.fill)[None]  # [1, S, S, 3]
        return letterbox.undo_labels(self._backend.run(batch)[0])


def _check_pixels(image: Pixels) -> Pixels:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise GsegError(f"expected an image uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
    return image
