"""The live teacher: after each stroke a ridge classifier at once, then the MLP; the newest stroke wins.

All of PyTorch's work is done in one thread; what it finds stands on a shelf, for any thread to take.
"""

import time
from collections.abc import Callable, Generator, Iterator
from itertools import count
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from gseg_cli.label.classifier import Classifier
from gseg_cli.label.features import SampleFeatures
from gseg_cli.label.pixels import PixelChoice, Pixels
from gseg_cli.label.prediction import Picture, Prediction
from gseg_cli.label.refine import Refiner
from gseg_cli.label.ridge import fit_ridge
from gseg_cli.label.shelf import Shelf
from gseg_cli.label.subject import Subject
from gseg_cli.label.table import Table
from gseg_cli.label.worker import Worker
from gseg_runtime.label_map import LabelMap

PIXELS = 1500  # that it learns from, of all samples together
_ENOUGH = 10  # samples to know mean and deviation of each channel from

T = TypeVar("T")
Tell = Callable[[str, dict[str, Any]], None]  # an event's name and data


class LiveTeacher:
    """labels: of a sample, as they are now. tell: is called from the teacher's thread.

    Events: `learning` {on}, whether the sample in view waits for an answer; `fit` {stage, seconds, pixels};
    `prediction` {seed, id, stage, doubt}, id None when there is none any more; `next` {} after all samples were
    predicted.
    """

    def __init__(
        self,
        subject: Subject,
        labels: Callable[[int], LabelMap],
        tell: Tell,
        pixels: int = PIXELS,
    ) -> None:
        self.shelf = Shelf()
        self.is_learning = False
        self._subject = subject
        self._features = SampleFeatures(subject)
        self._refiner = Refiner(subject.feature_channels, subject.size)
        self._labels, self._tell, self._choice = labels, tell, PixelChoice(pixels)
        self._table: Table | None = None
        self._gathered: dict[int, tuple[Tensor, Tensor]] = {}  # by sample: places, and their hypercolumns
        self._num_measured = 0  # samples that the table's statistics come from
        self._view = subject.seeds[0]
        self._quick: Classifier | None = None  # ridge, which answers sooner than the refined one on large samples
        self._current: Classifier | None = None
        self._maps: dict[int, LabelMap] = {}  # the labels that both come from
        self._behind: set[int] = set()  # samples whose newest prediction is not its
        self._ids = count(time.time_ns())  # a page outlives the server, and knows its predictions by their ids
        self._wanted, self._learnt = 1, 0  # numbers of strokes
        self._worker = Worker("gseg label teacher")

    def look_at(self, seed: int) -> None:
        """The page turns to this sample: its prediction is wanted whole."""
        if seed != self._view or not self.shelf.has_whole(seed):
            self._view = seed
            self._worker.submit(self._work)

    def follow(self, seed: int) -> None:
        """The labels of this sample, which is in view, have changed."""
        self._view = seed
        self._wanted += 1
        self._worker.submit(self._work)

    def know(self, subject: Subject) -> None:
        """Go on with more pictures, or with another network."""
        self._subject = subject
        self._worker.submit(self._work)

    def call(self, function: Callable[[], T]) -> T:
        """Run something else that needs PyTorch in the thread that has it; wait for what comes out."""
        return self._worker.call(function)

    def close(self) -> None:
        self._worker.close()

    def _work(self) -> Iterator[None]:
        """All there is to do, the most urgent first; pauses where a newer stroke may take over."""
        yield from self._look()
        if self._learnt != self._wanted:
            yield from self._learn()
        elif self._quick and self._current:
            for classifier in (self._quick, self._current):
                yield from self._predict(self._view, classifier)
            if self._behind:
                yield from self._catch_up(self._current)
        yield from self._prepare()

    def _look(self) -> Iterator[None]:
        """At the picture in view; at all of them where the network is new."""
        subject, seen = self._subject, self._features.subject
        if is_new := subject.network is not seen.network:
            self._features = SampleFeatures(subject)
            self._refiner = Refiner(subject.feature_channels, subject.size)
            self._table, self._num_measured, self._learnt = None, 0, 0
            self._gathered.clear()
        self._features.subject = subject
        for seed in subject.seeds if is_new else ():
            self._features.small(seed)
            yield
        self._features.whole(self._view)
        yield

    def _learn(self) -> Iterator[None]:
        wanted, begin = self._wanted, time.perf_counter()
        maps = {seed: self._labels(seed) for seed in self._features.subject.seeds}
        pixels = self._choice.of(maps)
        if len(np.unique(pixels.labels)) < 2:  # nothing to tell apart
            self._forget()
        else:
            self._set_learning(True)  # takes seconds where hundreds of pictures are labelled
            table = yield from self._filled(pixels)
            self._quick, self._maps = (ridge := fit_ridge(table)), maps
            yield from self._announce(ridge, begin, len(pixels))
            begin = time.perf_counter()
            refined = yield from self._refiner.fit(table, ridge)
            self._learnt = wanted  # whoever turns the page from now on need not learn again
            yield from self._announce(refined, begin, len(pixels))
        self._learnt = wanted

    def _filled(self, pixels: Pixels) -> Generator[None, None, Table]:
        """The table of those pixels; pauses where a newer stroke may take over."""
        known = len(self._features.known())
        if self._table is None:
            self._table = Table(*self._features.statistics())
        elif self._num_measured < min(known, _ENOUGH):
            self._table.rescale(*self._features.statistics())
        self._num_measured = known
        yield from self._table.follow(pixels, self._gather)
        self._gathered.clear()
        return self._table

    def _gather(self, seed: int, places: Tensor) -> Tensor:
        """Hypercolumns of these places. They are kept until the table is filled: where more samples are labelled than
        their features are kept of, strokes in quick succession would each begin it anew, and none be answered."""
        known, rows = self._gathered.get(seed, (places[:0], None))
        found = places[:, None] == known
        if rows is None or not found.any(dim=1).all():
            rows = self._features.whole(seed).at(places)
            self._gathered[seed] = places, rows
            return rows
        return rows[found.int().argmax(dim=1).to(rows.device)]

    def _announce(self, classifier: Classifier, begin: float, num_pixels: int) -> Iterator[None]:
        """Predict every sample, the one in view first."""
        self._current, self._behind = classifier, set(self._features.known())
        seconds = round(time.perf_counter() - begin, 4)
        self._tell("fit", {"stage": classifier.stage, "seconds": seconds, "pixels": num_pixels})
        yield from self._predict(self._view, classifier)
        self._set_learning(False)
        yield from self._catch_up(classifier)

    def _catch_up(self, classifier: Classifier) -> Iterator[None]:
        """Predict those samples that this classifier has not predicted yet."""
        for seed in sorted(self._behind):
            yield from self._predict(seed, classifier)
        self._tell("next", {})

    def _prepare(self) -> Iterator[None]:
        """Look at the samples that nobody has looked at yet."""
        for seed in self._features.subject.seeds:
            if seed not in self._features.known():
                self._features.small(seed)
                yield
                if self._current:
                    yield from self._predict(seed, self._current)

    def _predict(self, seed: int, classifier: Classifier) -> Iterator[None]:
        is_whole = seed == self._view
        small = self._inside(seed, (yield from classifier.predict(self._features.small(seed))))
        whole = None
        if is_whole:
            whole = self._inside(seed, (yield from classifier.predict(self._features.whole(seed))))
        made = Prediction(seed, str(next(self._ids)), classifier.stage, small, whole, self._maps.get(seed))
        self.shelf.put(made)
        (self._behind.discard if classifier is self._current else self._behind.add)(seed)
        self._tell("prediction", {"seed": seed, "id": made.id, "stage": made.stage, "doubt": small.doubt})

    def _inside(self, seed: int, picture: Picture) -> Picture:
        """Nothing is predicted beside a picture that does not fill its square."""
        return picture.within(self._features.subject.window(seed, picture.size))

    def _set_learning(self, on: bool) -> None:
        if on != self.is_learning:
            self.is_learning = on
            self._tell("learning", {"on": on})

    def _forget(self) -> None:
        self._quick, self._current, self._behind = None, None, set()
        for seed in self.shelf.clear():
            self._tell("prediction", {"seed": seed, "id": None, "stage": None, "doubt": None})
        self._set_learning(False)
