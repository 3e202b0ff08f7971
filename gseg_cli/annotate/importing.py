"""The whole import: read an export, agree on classes, match and paint; then write it into the project."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from gseg_cli.annotate.annotation_set import FILE, AnnotationSet, annotated_names, as_named
from gseg_cli.annotate.drawing import SAMPLES, Bounds, Reading
from gseg_cli.annotate.names import Names, new_classes, with_classes
from gseg_cli.annotate.paint import Import, tie
from gseg_cli.annotate.preview import write_previews
from gseg_cli.annotate.recognise import read_source
from gseg_cli.annotate.shapes import LINE_WIDTH
from gseg_cli.counted import counted
from gseg_cli.gan import sample_set
from gseg_cli.gan.sample_set import SampleSet, sample_name
from gseg_cli.label.lock import locked
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError


def import_source(
    source: Path,
    samples: SampleSet,
    classes: ClassMap,
    *,
    mapping: Mapping[str, str],
    unlabelled: int = 0,
    line_width: float = LINE_WIDTH,
    scale: int = 1,
    may_add: Callable[[Sequence[str]], bool] = lambda names: False,
) -> tuple[str, Import]:
    """The format's name, and the annotations. Writes nothing; GsegError when nothing can be read at all.

    unlabelled: what pixels become that no shape covers, 0 or 255. scale: as of `tie`. may_add: asked once, with the
    names that are no classes yet; on True they become classes behind the others, else each is a failure.
    """
    kind, reading, names = read_drawings(source, classes, mapping, may_add)
    return kind, tie(reading, samples, names, unlabelled=unlabelled, line_width=line_width, scale=scale)


def read_drawings(
    source: Path,
    classes: ClassMap,
    mapping: Mapping[str, str],
    may_add: Callable[[Sequence[str]], bool],
    bounds: Bounds = SAMPLES,
) -> tuple[str, Reading, Names]:
    """The format's name, what was drawn, and the classes with those that may be added."""
    names = Names(classes, mapping)
    kind, reading = read_source(source, names, bounds)
    new = new_classes(reading.drawings, names, reading.listed)
    if new and may_add(new):
        names = Names(with_classes(classes, new), mapping)
    return kind, reading, names


def check_free(folder: Path, *, overwrite: bool, add: bool) -> None:
    """GsegError when `folder` holds annotations, and nothing says what is to become of them."""
    names = [] if overwrite or add else annotated_names(folder)
    if names:
        hint = f"--add keeps those that are not imported anew; --overwrite loses all {len(names)} ({_some(names)})"
        raise GsegError(f"{folder}: holds {counted(len(names), 'annotation')} already", hint)


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"


def lost_by_overwriting(before: Sequence[str], annotations: AnnotationSet) -> list[str]:
    """A warning about the annotations of samples and photos, by name, that the new ones do not cover."""
    kept = {annotations.photos.get(seed) or sample_name(seed) for seed in annotations.seeds}
    lost = [name for name in before if name not in kept]
    if not lost:
        return []
    are = "is" if len(lost) == 1 else "are"
    gone = f"{counted(len(lost), 'annotation')} {are} gone that this import lacks ({_some(lost)})"
    return [f"--overwrite: {gone}; --add would keep them"]


def replaced_photos(before: Sequence[str], annotations: AnnotationSet) -> list[str]:
    """A warning about photos that --add took the annotations of away: cameras name different photos alike."""
    names = [name for name in annotations.photos.values() if name in before]
    if not names:
        return []
    return [f"--add: replaced the annotations of {counted(len(names), 'photo')} of the same name ({_some(names)})"]


@contextmanager
def unpainted(project: Project, folder: Path) -> Iterator[None]:
    """Keep gseg label away while `folder` is written, if that is what it writes to; GsegError while it runs."""
    if folder.resolve() in (project.annotations_dir.resolve(), project.labelled_dir.resolve()):
        with locked(project.label_dir):
            yield
    else:
        yield


def write_import(
    annotations: AnnotationSet,
    samples: SampleSet | None,
    project: Project,
    folder: Path,
    *,
    source: Path,
    overwrite: bool,
    add: bool,
) -> tuple[AnnotationSet, Path | None]:
    """Write annotations and previews to `folder`, and new classes to gseg.toml.

    add: those that are there stay, but for those of the same samples and photos. samples: None where photos were drawn
    on; then only they are shown. Returns all that `folder` then holds, and the sheet of the samples.
    """
    toml = project.extended(annotations.classes)  # before anything is written, since it may not be possible
    with unpainted(project, folder):
        if add and (folder / FILE).is_file():
            there = as_named(AnnotationSet.load(folder), annotations.classes)
            annotations, overwrite = there.joined(annotations), True
        annotations.save(folder, source=str(source), overwrite=overwrite)
        project.write_toml(toml)
    if samples is None and annotations.has_samples and (project.samples_dir / sample_set.FILE).is_file():
        samples = SampleSet.load(project.samples_dir)
    return annotations, write_previews(annotations, samples, folder) if samples else None
