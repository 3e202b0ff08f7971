"""The predictions that can be asked for. Needs no PyTorch."""

import threading
from collections import deque
from dataclasses import replace

from gseg_cli.label.errors import NotThereError
from gseg_cli.label.prediction import Picture, Prediction
from gseg_runtime.label_map import LabelMap

_WHOLE, _SMALL = 6, 512  # how many are kept: a page may still be asking for the one before


class Shelf:
    """For any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._newest: dict[int, Prediction] = {}
        self._whole: deque[Prediction] = deque(maxlen=_WHOLE)
        self._small: deque[Prediction] = deque(maxlen=_SMALL)

    def put(self, made: Prediction) -> None:
        """It is the newest of its sample."""
        small = replace(made, whole=None, learnt=None)  # many are kept
        with self._mutex:
            self._newest[made.seed] = small
            self._small.append(small)
            if made.whole:
                self._whole.append(made)

    def newest(self, seed: int) -> Prediction | None:
        """Without the whole picture."""
        return self._newest.get(seed)

    def has_whole(self, seed: int) -> bool:
        """Whether the newest of the sample can be had whole."""
        with self._mutex:
            return seed in self._newest and any(made.id == self._newest[seed].id for made in self._whole)

    def whole(self, seed: int, name: str) -> Picture:
        """NotThereError when it is gone, or was never made whole."""
        found = self._find(self._whole, seed, name).whole
        assert found
        return found

    def learnt(self, seed: int, name: str) -> LabelMap | None:
        """The labels that a whole one comes from."""
        return self._find(self._whole, seed, name).learnt

    def small(self, seed: int, name: str) -> Picture:
        """NotThereError when it is gone."""
        return self._find(self._small, seed, name).small

    def clear(self) -> list[int]:
        """Predict nothing any more; the seeds of which something was predicted."""
        with self._mutex:
            seeds = list(self._newest)
            self._newest.clear()
            return seeds

    def _find(self, shelf: deque[Prediction], seed: int, name: str) -> Prediction:
        with self._mutex:
            found = [made for made in shelf if (made.seed, made.id) == (seed, name)]
        if not found:
            raise NotThereError("that prediction is gone", "take the newest")
        return found[0]
