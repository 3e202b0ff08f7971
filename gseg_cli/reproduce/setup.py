"""What a run of `gseg reproduce` works with: a subject, a size, and the folder of its figures."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gseg_cli.evaluate.result_cache import ResultCache
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.reproduce.size import Size
from gseg_cli.reproduce.subject import ScoredPhotos, Subject


@dataclass(frozen=True)
class Setup:
    subject: Subject
    size: Size
    folder: Path

    @cached_property
    def store(self) -> ResultCache:
        return ResultCache(self.folder / "cells", self.subject.device)

    @cached_property
    def inverter(self) -> Inverter:
        """Takes a while to make: it draws hundreds of samples to compare photos with."""
        subject = self.subject
        return Inverter.load(subject.gan, self.size.invert(), subject.device, class_index=subject.class_index)

    @cached_property
    def test(self) -> ScoredPhotos:
        return self.subject.test(self.size.num_photos)

    @cached_property
    def views(self) -> dict[str, ScoredPhotos]:
        return self.subject.views(self.size.num_viewed)

    @property
    def shots(self) -> list[int]:
        """Those of the size for which there are annotations."""
        return [shots for shots in self.size.shots if shots <= self.subject.num_annotations]

    @property
    def labels(self) -> list[int]:
        """Those of the size for which there are labelled photos."""
        return [count for count in self.size.labels if count <= self.subject.num_labelled]

    def key(self, **config: Any) -> dict[str, Any]:
        """A job's config with what the subject adds to it."""
        return {**self.subject.key, **config}
