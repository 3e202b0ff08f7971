"""What comes with gseg: GANs of toy faces, each with its annotations and the annotator that can label its samples."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

PREFIX = "builtin:"  # of a GAN's name wherever a checkpoint's path can stand
DEFAULT = "toy-faces"
DEFAULT_GAN = PREFIX + DEFAULT
SMALL = "toy-faces-64"  # for tests, and for experiments that have to be many
BY_SIZE = {64: SMALL, 128: "toy-faces"}  # side of the pictures in pixels


@dataclass(frozen=True)
class Builtin:
    """The files of one GAN that comes along."""

    name: str

    @property
    def dir(self) -> Path:
        return assets() / self.name

    @property
    def gan(self) -> Path:
        return self.dir / "gan.safetensors"

    @property
    def start(self) -> Path:
        """What `gan-train` goes on from on a CPU: of the small one another GAN with half as many channels."""
        return self.dir / "start.safetensors" if self.name == SMALL else self.gan

    @property
    def reference(self) -> Path:
        """The reference annotator at this GAN's size (benchmarks/reference.py)."""
        return self.dir / "reference.safetensors"

    @property
    def annotations(self) -> list[Path]:
        """Label maps of samples as indexed PNGs, named by seed."""
        return sorted((self.dir / "annotations").glob("*.png"))

    @property
    def gan_sha256(self) -> str:
        return _sha256(self.gan)

    @property
    def reference_sha256(self) -> str:
        return _sha256(self.reference)


def assets() -> Path:
    """The package's data."""
    return Path(str(resources.files("gseg_cli") / "assets"))


def _sha256(path: Path) -> str:
    from gseg_runtime.files import sha256_file  # not at the top: --help needs no more than names

    return sha256_file(path)


def builtin_names() -> list[str]:
    return sorted(path.parent.name for path in assets().glob("*/gan.safetensors"))
