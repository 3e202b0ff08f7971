"""The samples to paint on: those of the project, or new ones as `gseg sample --count` picks them."""

from collections.abc import Sequence
from pathlib import Path

from gseg_cli.fewshot.pick import pick_seeds
from gseg_cli.fewshot.pick_config import PickConfig
from gseg_cli.gan.load import GanModule
from gseg_cli.gan.sample import write_samples
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.steps import OnStep, ignore_step
from gseg_runtime.errors import ProjectError
from gseg_runtime.files import sha256_file

_CANDIDATES = 500  # the seeds that `gseg sample` picks from


def first_samples(
    generator: GanModule,
    gan: Path,
    folder: Path,
    seeds: Sequence[int] | None,
    count: int,
    on_step: OnStep = ignore_step,
) -> SampleSet:
    """Write them to the folder, which holds none. seeds: None picks `count` of them."""
    seeds = seeds or _picked(generator, (), count)
    return write_samples(generator, gan, seeds, PickConfig.truncation_psi, folder, on_step=on_step)


def more_samples(generator: GanModule, gan: Path, samples: SampleSet, count: int) -> SampleSet:
    """Add so many to the folder; all that it then holds."""
    seeds = _picked(generator, samples.seeds, count)
    return write_samples(generator, gan, seeds, samples.truncation_psi, samples.dir)


def missing_samples(generator: GanModule, gan: Path, samples: SampleSet, on_step: OnStep = ignore_step) -> SampleSet:
    """Make those whose pictures are not there."""
    return write_samples(generator, gan, samples.seeds, samples.truncation_psi, samples.dir, on_step=on_step)


def _picked(generator: GanModule, known: Sequence[int], count: int) -> list[int]:
    config = PickConfig(count=count)
    return pick_seeds(generator, range(_CANDIDATES + len(known) + count), config, labelled=known)


def check_samples(samples: SampleSet, gan: Path) -> SampleSet:
    """The samples; ProjectError when there are none in the folder, or they are not this GAN's."""
    if not samples.seeds:
        raise ProjectError(f"{samples.dir}: holds no samples", "gseg sample makes some")
    if samples.gan_sha256 != sha256_file(gan):
        message = f"{samples.dir}: its samples come from GAN {samples.gan_sha256[:12]}, not from {gan}"
        raise ProjectError(message, "gseg sample --overwrite makes them anew")
    return samples
