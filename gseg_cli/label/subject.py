"""What is labelled: square pictures of one size by number, what a network sees in them, and where labels are kept."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from gseg_runtime.label_map import LabelMap


class LabelFolder(Protocol):
    """The label maps as other commands read them. maps: of the pictures that are labelled, by number."""

    folder: Path
    maps: dict[int, LabelMap]

    @property
    def elsewhere(self) -> list[LabelMap]:
        """Of pictures that are not among those painted on; they count, too."""

    def file(self, seed: int) -> Path:
        """Says how a picture is labelled; there need be none where it is not."""

    def write(self, seed: int, labels: LabelMap) -> None:
        """The labels of a picture as they are now."""

    def recolour(self, classes: ClassMap) -> None:
        """Write them with other names or colours, or more classes."""

    def follow(self, subject: "Subject") -> None:
        """Go on with more pictures, which hold those that there were."""

    def refresh(self) -> None:
        """Bring up to date what lags behind."""


class Subject(Protocol):
    """noun: what to call a picture. train: the arguments of gseg that train with the labels."""

    @property
    def noun(self) -> str: ...

    @property
    def train(self) -> tuple[str, ...]: ...

    @property
    def seeds(self) -> Sequence[int]: ...

    @property
    def size(self) -> int:
        """Side of every picture and label map, in pixels."""

    @property
    def network(self) -> object:
        """What the activations come from; of another one, they are others."""

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Of the activations, coarse to fine."""

    def title(self, seed: int) -> str:
        """What to call one of them."""

    def image_path(self, seed: int) -> Path: ...

    def making(self, seed: int) -> str:
        """A short name of all that the picture depends on but its number: nobody labelled another one."""

    def window(self, seed: int, size: int) -> tuple[slice, slice]:
        """Rows and columns of a square of `size` pixels that the picture takes; what fills it up is beside them."""

    def activations(self, seed: int, keep: Callable[[Tensor], None]) -> None:
        """Give `keep` one layer after the other, coarse to fine: [1, C_l, h, h]."""

    def more(self, count: int) -> "Subject":
        """With so many further pictures, or as many as there are."""

    def half_listed(self, project: Project) -> Iterator[tuple[int, Path]]:
        """Label maps that a killed process left without listing them."""

    def open_labels(self, project: Project) -> LabelFolder:
        """GsegError when what is there cannot be painted on."""
