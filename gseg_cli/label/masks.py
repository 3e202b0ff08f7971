"""labelled/ while somebody paints: a mask for each photo that has labels, as student-train reads them."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gseg_cli.distill.labelled_photos import check_shape, classes_of
from gseg_cli.gan.framing import frame_labels
from gseg_cli.label.palette import are_same
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.label_map import LabelMap, check_label_map, has_shape, read_label_png, resize_labels, write_label_png

if TYPE_CHECKING:
    from gseg_cli.label.photos import Photos


class MaskFolder:
    """Masks have the size that their photos have in the squares, or a larger one where rounding would change the shape.

    One that was drawn elsewhere keeps its size until somebody paints on its photo.
    """

    def __init__(self, photos: "Photos", classes: ClassMap) -> None:
        """GsegError when the masks that are there have other classes or shapes, or cannot be read."""
        self.folder, self.photos, self.classes = photos.dir, photos, classes
        own = classes_of(self.folder)
        if own and not are_same(own.names, classes.names):
            message = f"{self.folder}: its masks have the classes {', '.join(own.names)}"
            hint = f"the project's are {', '.join(classes.names)}: correct gseg.toml, or label in another project"
            raise GsegError(message, hint)
        self.maps: dict[int, LabelMap] = {}
        self._read(photos)
        photos.describe(classes)

    @property
    def elsewhere(self) -> list[LabelMap]:
        return []

    def file(self, seed: int) -> Path:
        return self.photos.mask(seed)

    def write(self, seed: int, labels: LabelMap) -> None:
        path = self.photos.mask(seed)
        if (labels != IGNORE).any():
            self.maps[seed] = labels
            write_label_png(path, _of_photo(labels, self.photos.letterbox(seed)), self.classes)
        else:
            self.maps.pop(seed, None)
            path.unlink(missing_ok=True)

    def recolour(self, classes: ClassMap) -> None:
        """The pixels stay what they are."""
        self.classes = classes
        self.photos.describe(classes)
        for seed in self.maps:
            path = self.photos.mask(seed)
            write_label_png(path, read_label_png(path), classes)

    def follow(self, subject: Any) -> None:
        """subject: the `Photos`."""
        self.photos = subject
        self._read(subject)
        subject.describe(self.classes)

    def refresh(self) -> None:
        """Every stroke has written all there is."""

    def _read(self, photos: "Photos") -> None:
        for seed in photos.seeds:
            path = photos.mask(seed)
            if seed not in self.maps and path.is_file():
                labels, letterbox = read_label_png(path), photos.letterbox(seed)
                check_shape(labels.shape, path, (letterbox.height, letterbox.width), photos.photo(seed))
                self.maps[seed] = frame_labels(check_label_map(labels, len(self.classes), str(path)), letterbox)


def _of_photo(labels: LabelMap, letterbox: Letterbox) -> LabelMap:
    shown = np.ascontiguousarray(labels[letterbox.window])
    height, width = letterbox.height, letterbox.width
    if has_shape(shown.shape, (height, width)):
        return shown
    times = math.ceil(letterbox.size / max(height, width))  # no smaller, so that every pixel comes back
    return resize_labels(shown, (height * times, width * times))
