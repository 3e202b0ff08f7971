"""A folder of generated samples: images named by seed, their latents, and which GAN made them. Needs no PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gseg_cli import latents
from gseg_cli.folder_description import check_seeds, read_class, read_description, write_description
from gseg_cli.latents import Latents, load_latents, save_latents
from gseg_runtime.errors import GsegError

FILE = "samples.json"
TRANSPARENT = "transparent"  # folder
HINT = "run gseg sample to make samples, with --overwrite to replace a broken folder"
_TYPES = {"gan": dict, "truncation_psi": float, "seeds": list, "resolution": int}


def sample_name(seed: int) -> str:
    """The file name of a sample, and of its label map."""
    return f"{seed:06d}.png"


@dataclass(frozen=True, eq=False)
class SampleSet:
    """The images are files in `dir`; resolution is their side in pixels."""

    dir: Path
    seeds: tuple[int, ...]
    ws: Latents  # float32 [N, num_ws, w_dim], after truncation, in the order of the seeds
    truncation_psi: float
    gan_sha256: str
    resolution: int
    class_index: int | None = None  # of a conditional GAN

    @classmethod
    def load(cls, folder: Path) -> "SampleSet":
        """The samples in `folder`; GsegError when there are none, or its files do not belong together."""
        path = folder / FILE
        data = read_description(path, "samples", _TYPES, hint=HINT)
        seeds = check_seeds(path, data["seeds"], hint=HINT)
        if data["resolution"] < 1:
            raise GsegError(f"{path}: resolution: expected 1 or more, got {data['resolution']}", HINT)
        if not isinstance(data["gan"].get("sha256"), str):
            raise GsegError(f"{path}: gan: expected its sha256, got {data['gan']!r}", HINT)
        ws = load_latents(folder / latents.FILE, seeds, hint=HINT)
        class_index = read_class(path, data, hint=HINT)
        psi, sha256 = float(data["truncation_psi"]), data["gan"]["sha256"]
        return cls(folder, seeds, ws, psi, sha256, data["resolution"], class_index)

    def image_path(self, seed: int) -> Path:
        return self.dir / sample_name(seed)

    def transparent_path(self, seed: int) -> Path:
        """The same with its alpha, of a GAN that draws one."""
        return self.dir / TRANSPARENT / sample_name(seed)

    def ws_of(self, seeds: Sequence[int]) -> Latents:
        """The latents of some of the seeds, in the order given."""
        row_of = {seed: row for row, seed in enumerate(self.seeds)}
        return self.ws[[row_of[seed] for seed in seeds]]

    def save_latents(self, gan: Path) -> None:
        """Write what stands beside the images. gan: the checkpoint, for people to find it again."""
        # The latents first: should this be interrupted between the two, samples.json still lists only what is there.
        save_latents(self.dir / latents.FILE, self.ws, self.seeds)
        facts = {
            "gan": {"path": str(gan), "sha256": self.gan_sha256},
            "truncation_psi": self.truncation_psi,
            **({} if self.class_index is None else {"class": self.class_index}),
            "seeds": list(self.seeds),
            "resolution": self.resolution,
        }
        write_description(self.dir / FILE, "samples", facts)
