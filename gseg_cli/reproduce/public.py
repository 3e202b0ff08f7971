"""CelebAMask-HQ or PASCAL-Part as a subject, with a GAN of that kind and annotated samples of it."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.datasets.celebamask import CELEBAMASK_3, CELEBAMASK_10
from gseg_cli.datasets.protocol import Example, Protocol
from gseg_cli.datasets.protocols import PROTOCOLS
from gseg_cli.distill.pairs import PairSet
from gseg_cli.fewshot.train import check_labels
from gseg_cli.gan.framing import frame_labels
from gseg_cli.reproduce.subject import Photo, ScoredPhotos, Subject, Task
from gseg_runtime.errors import GsegError, ProjectError

TRAIN = "train"  # the split of the supervised networks, in every protocol


class PublicData(Subject):
    """The protocol is the one with the classes of the annotations."""

    def __init__(self, data: Path, gan: Path, annotations: Path, device: torch.device) -> None:
        """GsegError when the annotations are those of another GAN, or their classes those of no protocol."""
        super().__init__(gan, device)
        self._data, self._annotations = data, AnnotationSet.load(annotations)
        if self._annotations.gan_sha256 != self.gan_sha256:
            message = f"{annotations}: its samples come from GAN {self._annotations.gan_sha256[:12]}, not from {gan}"
            raise ProjectError(message, "use the GAN that made the samples, or annotate samples of this one")
        check_labels(self._annotations)
        self.class_index = self._annotations.class_index
        protocol = _protocol_of(self._annotations, annotations)
        self.name, self.suffix = protocol.name, f"-{protocol.name}"
        self._protocols = {_task(p): p for p in _merges_of(protocol)}
        self.tasks = tuple(self._protocols)
        self.num_annotations = len(self._annotations.seeds)
        self.title = f"{protocol.name}, GAN of {self.size} px"

    @cached_property
    def num_labelled(self) -> int:  # type: ignore[override]
        return len(self._finest.photos(self._data, TRAIN))

    @property
    def _finest(self) -> Protocol:
        return self._protocols[self.tasks[0]]

    @cached_property
    def key(self) -> dict[str, Any]:
        digest = hashlib.sha256(self._annotations.labels.tobytes() + self._annotations.ws.tobytes())
        return {"subject": self.name, "size": self.size, "annotations": digest.hexdigest()[:12]}

    def annotations(self, task: Task, shots: int, draw: int) -> AnnotationSet:
        """Each draw goes on where the one before ended, and round again; where all are taken only seeds differ."""
        count = self.num_annotations
        return task.merged(self._annotations.rows([(draw * shots + i) % count for i in range(shots)]))

    def test(self, count: int | None) -> ScoredPhotos:
        photos = self._finest.photos(self._data)[:count]
        key = {"photos": "test", "names": _digest(photos), "count": len(photos)}
        return ScoredPhotos("test", key, len(photos), partial(self._read, photos))

    def _read(self, photos: Sequence[str], task: Task) -> Iterator[Photo]:
        protocol = self._protocols[task]
        for photo in photos:
            for example in protocol.examples_in(self._data, photo):
                if isinstance(example, Example):
                    yield Photo.of(*example.load(), self.size)

    def labelled(self, count: int, draw: int) -> PairSet:
        photos = self._finest.photos(self._data, TRAIN)
        order = np.random.default_rng(draw).permutation(len(photos))
        images, labels = [], []
        for photo in self._read([photos[i] for i in order], self.tasks[0]):
            images.append(photo.square)
            labels.append(frame_labels(photo.truth, photo.framing))
            if len(images) == count:
                return PairSet.exact(np.stack(images), np.stack(labels))
        raise GsegError(f"{self._data}: only {len(images)} of {count} labelled photos in {TRAIN}")


def _protocol_of(annotations: AnnotationSet, folder: Path) -> Protocol:
    names = set(annotations.classes.names)
    for protocol in PROTOCOLS.values():
        if set(protocol.classes.names) == names:
            return protocol
    known = "; ".join(f"{p.name}: {', '.join(p.classes.names)}" for p in PROTOCOLS.values())
    message = f"{folder}: expected the classes of a protocol, got {', '.join(annotations.classes.names)}"
    raise GsegError(message, f"gseg init --classes PROTOCOL starts a project with them; {known}")


def _merges_of(protocol: Protocol) -> list[Protocol]:
    """Ten classes hold the three."""
    return [CELEBAMASK_10, CELEBAMASK_3] if protocol is CELEBAMASK_10 else [protocol]


def _task(protocol: Protocol) -> Task:
    """The paper counts the ten classes with the background and the three without."""
    count = 3 if protocol is CELEBAMASK_3 else len(protocol.classes)
    return Task(f"{count} classes", protocol.classes)


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
