"""labelled/ while somebody paints: a mask for each photo that has labels, as student-train reads them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gseg_cli.evaluate.compare import said_classes
from gseg_cli.gan.framing import frame_labels
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.label_map import LabelMap, check_label_map, read_label_png, write_label_png

if TYPE_CHECKING:
    from gseg_cli.label.photos import Photos

MOST_STRETCH = 0.01  # by which a mask's shape may differ from its photo's, through rounding


class MaskFolder:
    """Masks have the size that their photos have in the squares, or that of the photos where rounding would tell.

    One that was drawn elsewhere is replaced when somebody paints on its photo.
    """

    def __init__(self, photos: "Photos", classes: ClassMap) -> None:
        """GsegError when the masks that are there have other classes, or cannot be read."""
        self.folder, self.photos, self.classes = photos.dir, photos, classes
        own = said_classes(self.folder / "masks")
        if own and own.names != classes.names[: len(own.names)]:
            message = f"{self.folder}: its masks have the classes {', '.join(own.names)}"
            raise GsegError(message, f"the project's are {', '.join(classes.names)}; label in a project with theirs")
        self.maps: dict[int, LabelMap] = {}
        self._read(photos)
        photos.describe(classes)

    def write(self, seed: int, labels: LabelMap) -> None:
        path = self.photos.mask(seed)
        if (labels != IGNORE).any():
            self.maps[seed] = labels
            write_label_png(path, _of_photo(labels, self.photos.letterbox(seed)), self.classes)
        else:
            self.maps.pop(seed, None)
            path.unlink(missing_ok=True)

    def recolour(self, classes: ClassMap) -> None:
        self.classes = classes
        for seed, labels in self.maps.items():
            self.write(seed, labels)
        self.photos.describe(classes)

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
                labels = check_label_map(read_label_png(path), len(self.classes), str(path))
                self.maps[seed] = frame_labels(labels, photos.letterbox(seed))


def _of_photo(labels: LabelMap, letterbox: Letterbox) -> LabelMap:
    shown = np.ascontiguousarray(labels[letterbox.window])
    height, width = shown.shape
    is_alike = abs(height * letterbox.width / (width * letterbox.height) - 1) < MOST_STRETCH
    return shown if is_alike else letterbox.undo_labels(labels)
