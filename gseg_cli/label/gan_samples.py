"""Samples of a GAN as what is labelled: the GAN's own activations, and the project's annotations/."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from gseg_cli.annotate.annotation_set import FILE
from gseg_cli.gan import bars
from gseg_cli.gan.load import GanModule
from gseg_cli.gan.sample import device_of
from gseg_cli.gan.sample_set import SampleSet, sample_name
from gseg_cli.label.annotations import AnnotationFolder
from gseg_cli.label.samples import more_samples
from gseg_cli.project import Project
from gseg_runtime.files import read_json


@dataclass(frozen=True, eq=False)
class GanSamples:
    """gan: the generator's file."""

    gan: Path
    generator: GanModule
    samples: SampleSet
    noun = "sample"
    train = ("fewshot-train",)

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.samples.seeds

    @property
    def size(self) -> int:
        return self.samples.resolution

    @property
    def network(self) -> GanModule:
        return self.generator

    @property
    def feature_channels(self) -> tuple[int, ...]:
        return self.generator.feature_channels

    def title(self, seed: int) -> str:
        return f"Sample {seed:06d}"

    def image_path(self, seed: int) -> Path:
        return self.samples.image_path(seed)

    def making(self, seed: int) -> str:
        samples = self.samples
        facts = f"{samples.gan_sha256} {samples.truncation_psi} {samples.class_index}"
        return sha256(facts.encode()).hexdigest()[:12]

    def window(self, seed: int, size: int) -> tuple[slice, slice]:
        return bars.window(self.generator, size)

    @torch.no_grad()
    def activations(self, seed: int, keep: Callable[[Tensor], None]) -> None:
        ws = torch.from_numpy(self.samples.ws_of([seed])).to(device_of(self.generator))
        self.generator.synthesis(ws, keep)

    def more(self, count: int) -> "GanSamples":
        return replace(self, samples=more_samples(self.generator, self.gan, self.samples, count))

    def half_listed(self, project: Project) -> Iterator[tuple[int, Path]]:
        """Samples with a label map that annotations.json does not know."""
        folder = project.annotations_dir
        data = read_json(folder / FILE) if (folder / FILE).is_file() else {}
        listed = (data.get("seeds") if isinstance(data, dict) else None) or ()
        found = ((seed, folder / sample_name(seed)) for seed in self.seeds if seed not in listed)
        return ((seed, path) for seed, path in found if path.is_file())

    def open_labels(self, project: Project) -> AnnotationFolder:
        return AnnotationFolder(project.annotations_dir, self.samples, project.classes)
