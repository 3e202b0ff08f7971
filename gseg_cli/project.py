"""A project: a folder with gseg.toml, and where each stage keeps its files in it."""

from dataclasses import dataclass
from pathlib import Path

from gseg_cli.builtin import DEFAULT_GAN, PREFIX, Builtin, builtin_names
from gseg_cli.checkpoint import is_ours, read_meta
from gseg_cli.project_file import FILE, extended_project, format_project, nearest, read_project
from gseg_cli.runs import CHECKPOINT, list_runs
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import CheckpointError, ProjectError, UsageError
from gseg_runtime.files import write_text

FOLDERS = ("samples", "annotations", "runs", "exports")
# And those that some commands make. Others may lie beside them that gseg knows nothing of.
PARTS = (*FOLDERS, "templates", "enlarged", "labels", "predictions", "labelled", "label")


@dataclass(frozen=True)
class Project:
    """What gseg.toml says. `gan` is the text in the file; `gan_path` is the checkpoint it means."""

    dir: Path
    name: str
    resolution: int
    gan: str
    classes: ClassMap

    @classmethod
    def open(cls, folder: Path) -> "Project":
        """The project in `folder`; ProjectError when it holds none, or its gseg.toml is wrong."""
        data, classes = read_project(folder / FILE)
        return cls(folder, data["project"]["name"], data["project"]["resolution"], data["gan"]["path"], classes)

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        classes: ClassMap,
        name: str | None = None,
        resolution: int | None = None,
        gan: str = DEFAULT_GAN,
        overwrite: bool = False,
    ) -> "Project":
        """Write gseg.toml and make the folders of the stages; files already in those stay.

        name: None takes the folder's. resolution: None takes the GAN's. gan: "builtin:NAME" or a checkpoint's path.
        ProjectError when there is a gseg.toml already, unless `overwrite`; CheckpointError when `gan` is not a GAN,
        UsageError when it is one of another resolution.
        """
        path = folder / FILE
        if path.exists() and not overwrite:
            raise ProjectError(
                f"{path}: exists already", hint="use --overwrite to replace it, or choose another folder"
            )
        if not gan.startswith(PREFIX):
            gan = _portable(Path(gan), folder)
        side = gan_resolution(locate_gan(gan, folder, source="--gan"))
        if resolution not in (None, side):
            message = f"--resolution: {resolution} was asked for, and the images of {gan} have {side} pixels"
            raise UsageError(message, "leave out --resolution, or name another --gan")
        name = name or folder.resolve().name
        write_text(path, format_project(name=name, resolution=side, gan=gan, classes=classes))
        for stage in FOLDERS:
            (folder / stage).mkdir(exist_ok=True)
        return cls.open(folder)

    def path(self, name: str) -> Path:
        """A path in the project."""
        return self.dir / name

    @property
    def samples_dir(self) -> Path:
        return self.path("samples")

    @property
    def enlarged_dir(self) -> Path:
        """Samples to draw on, larger; made by `gseg sample --scale`."""
        return self.path("enlarged")

    @property
    def labels_dir(self) -> Path:
        """The classes as other programs read them; made by `gseg sample --labels-for`."""
        return self.path("labels")

    @property
    def predictions_dir(self) -> Path:
        """What a teacher says of samples, to be corrected; made by `gseg predict`."""
        return self.path("predictions")

    @property
    def annotations_dir(self) -> Path:
        return self.path("annotations")

    @property
    def labelled_dir(self) -> Path:
        """Labelled photos as they are; made by `gseg label --photos` and `gseg annotate-import --no-invert`."""
        return self.path("labelled")

    @property
    def label_dir(self) -> Path:
        """What gseg label remembers."""
        return self.path("label")

    @property
    def runs_dir(self) -> Path:
        return self.path("runs")

    @property
    def exports_dir(self) -> Path:
        return self.path("exports")

    @property
    def gan_path(self) -> Path:
        """The GAN's checkpoint; ProjectError when it is not there."""
        return locate_gan(self.gan, self.dir, source=f"{self.path(FILE)}: [gan] path")

    def extended(self, classes: ClassMap) -> str:
        """The text of gseg.toml with those of `classes` added that it lacks; `write_toml` writes it."""
        return extended_project(self.path(FILE), classes)

    def write_toml(self, text: str) -> None:
        """Write gseg.toml, unless that is what it says already."""
        if self.path(FILE).read_text(encoding="utf-8") != text:
            write_text(self.path(FILE), text)

    def latest_checkpoint(self, *kinds: str) -> Path:
        """That of the newest run of one of these kinds which has one; ProjectError when there is none."""
        of_kinds = sorted(run for kind in kinds for run in list_runs(self.runs_dir, kind))
        done = [run / CHECKPOINT for run in of_kinds if (run / CHECKPOINT).is_file()]
        if not done:
            commands = {"fewshot": "fewshot-train", "student": "student-train"}
            what, how = " or ".join(kinds), " or ".join(commands.get(kind, kind) for kind in kinds)
            raise ProjectError(f"{self.runs_dir}: no {what} run with a checkpoint", hint=f"run gseg {how} first")
        return done[-1]


def locate_gan(gan: str, folder: Path, *, source: str) -> Path:
    """The checkpoint that `gan` ("builtin:NAME", or a path relative to `folder`) means; ProjectError if missing."""
    if gan.startswith(PREFIX):
        return _builtin_gan(gan.removeprefix(PREFIX), source=source)
    path = folder / gan  # an absolute path stays what it is
    if not path.is_file():
        hint = f"train one with gseg gan-train; {DEFAULT_GAN} is included with gseg"
        raise _no_gan(source, path, hint)
    return path


def _no_gan(source: str, path: Path, hint: str) -> ProjectError:
    """hint: where there is nothing."""
    if not path.is_dir():
        return ProjectError(f"{source}: no such file: {path}", hint)
    inside = path / CHECKPOINT
    hint = f"name the file in it: {inside}" if inside.is_file() else "name a file in it"
    return ProjectError(f"{source}: expected a checkpoint, got a folder: {path}", hint)


def gan_resolution(path: Path) -> int:
    """The side in pixels of the images of a GAN checkpoint; CheckpointError when it is no GAN."""
    if not is_ours(path):
        from gseg_cli.gan.load import read_gan

        return read_gan(path).config.img_resolution
    meta = read_meta(path)
    if "img_resolution" not in meta["config"]:
        hint = "use a checkpoint of gseg gan-train, or convert one of another program with gseg convert"
        raise CheckpointError(f"{path}: expected a GAN checkpoint, got a {meta['kind']} checkpoint", hint=hint)
    return meta["config"]["img_resolution"]


def _builtin_gan(name: str, *, source: str) -> Path:
    if name not in builtin_names():
        raise ProjectError(
            f"{source}: gseg does not include a GAN called {name!r}", hint=nearest(name, builtin_names(), "GANs")
        )
    return Builtin(name).gan


def _portable(path: Path, folder: Path) -> str:
    """Relative inside the project, so that the project can be moved; absolute elsewhere."""
    path, folder = path.resolve(), folder.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
