"""The project's annotations/ while somebody paints: one file per stroke, and all of them when their list changes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gseg_cli import latents
from gseg_cli.annotate.annotation_set import FILE, PREVIEWS, AnnotationSet, as_named
from gseg_cli.annotate.preview import SHEET, write_previews
from gseg_cli.checkpoint import is_ours
from gseg_cli.folder_description import claim
from gseg_cli.gan.sample_set import SampleSet, sample_name
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import TEMPORARY_PREFIX, finish_folder
from gseg_runtime.label_map import LabelMap, write_label_png

SOURCE = "gseg label"  # what annotations.json says of where they come from


class AnnotationFolder:
    """Holds the labelled samples as `annotate-import` would have written them; one without any label is not in it.

    Annotations of photos, and of samples that are not among those painted on, stay as they are. Each stroke rewrites
    its label map alone; what annotations.json counts and the previews follow when a sample comes or goes, and by
    `refresh`.
    """

    def __init__(self, folder: Path, samples: SampleSet, classes: ClassMap) -> None:
        """GsegError when the annotations that are there do not belong to these samples and classes."""
        self.folder, self.samples, self.classes = folder, samples, classes
        has_some = (folder / FILE).is_file()
        if not has_some:
            self._remove_rest()
        claim(folder, "annotations", overwrite=False, extend=has_some, owned=lambda file: False)
        there = as_named(AnnotationSet.load(folder), classes) if has_some else None
        finish_folder(folder)
        self.maps: dict[int, LabelMap] = {}  # of the samples that are labelled
        self.others: AnnotationSet | None = None
        if there:
            self._take_over(there)
        self._listed = set(there.seeds) if there else set()  # in annotations.json; maps may be ahead on a full disk

    @property
    def elsewhere(self) -> list[LabelMap]:
        return list(self.others.labels) if self.others else []

    def file(self, seed: int) -> Path:
        """What says how a sample is labelled: its label map, or the list that lacks it."""
        return self.folder / (sample_name(seed) if seed in self.maps else FILE)

    def write(self, seed: int, labels: LabelMap) -> None:
        """The labels of a sample as they are now."""
        is_labelled = bool((labels != IGNORE).any())
        if is_labelled:
            self.maps[seed] = labels
        else:
            self.maps.pop(seed, None)
        if is_labelled != (seed in self._listed):
            self._write_all()
        elif is_labelled:
            write_label_png(self.folder / sample_name(seed), labels, self.classes)

    def recolour(self, classes: ClassMap) -> None:
        """Write them with other names or colours, or more classes."""
        self.classes = classes
        self._write_all()

    def follow(self, subject: Any) -> None:
        """subject: a `GanSamples`."""
        self.samples = subject.samples
        if self.others:  # some of them may be among the new samples
            self._divide(self.others)

    def refresh(self) -> None:
        """Bring up to date what lags behind."""
        if now := self._all():
            self._write_all()
            write_previews(now, self.samples, self.folder)

    def _take_over(self, there: AnnotationSet) -> None:
        self._divide(there)
        side, blank = self.samples.resolution, self.samples.seeds[:1]
        try:
            there.joined(self._set({seed: np.full((side, side), IGNORE, np.uint8) for seed in blank}))
        except GsegError as error:
            hint = "gseg annotate-import --overwrite replaces them; or label in a new project"
            if there.classes.names != self.classes.names:
                hint = "put these names back into gseg.toml, and rename classes on the page; or label in a new project"
            raise GsegError(f"{self.folder}: {error.message}", hint) from error

    def _divide(self, there: AnnotationSet) -> None:
        """Into those of samples that are painted on, and others."""
        rows: Mapping[bool, list[int]] = {True: [], False: []}
        for row, seed in enumerate(there.seeds):
            rows[seed in self.samples.seeds].append(row)
        self.maps |= {there.seeds[row]: there.labels[row] for row in rows[True]}
        self.others = there.rows(rows[False]) if rows[False] else None

    def _set(self, maps: Mapping[int, LabelMap]) -> AnnotationSet:
        made = (self.samples.gan_sha256, self.samples.truncation_psi, self.samples.class_index)
        seeds = tuple(sorted(maps))
        return AnnotationSet(
            np.stack([maps[seed] for seed in seeds]), self.samples.ws_of(seeds), seeds, self.classes, *made
        )

    def _all(self) -> AnnotationSet | None:
        others = self.others and replace(self.others, classes=self.classes)
        if not self.maps:
            return others
        return others.joined(self._set(self.maps)) if others else self._set(self.maps)

    def _write_all(self) -> None:
        now = self._all()
        if now is None:
            (self.folder / FILE).unlink(missing_ok=True)
            self._remove_rest()
        else:
            now.write(self.folder, SOURCE)
        self._listed = set(now.seeds) if now else set()
        for seed in self.samples.seeds:
            if seed not in self._listed:
                (self.folder / sample_name(seed)).unlink(missing_ok=True)

    def _remove_rest(self) -> None:
        """What stands beside annotations.json, and means nothing without it; an empty folder can be used again."""
        rest = self.folder / latents.FILE
        if rest.is_file() and is_ours(rest):
            rest.unlink()
        for half_written in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
            half_written.unlink()
        previews = self.folder / PREVIEWS
        for name in (SHEET, *map(sample_name, self.samples.seeds)):
            (previews / name).unlink(missing_ok=True)
        if previews.is_dir() and not any(previews.iterdir()):
            previews.rmdir()
