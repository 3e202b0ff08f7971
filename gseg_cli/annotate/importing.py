"""The whole import: read an export, agree on classes, match and paint; then write it into the project."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.annotate.names import Names, unknown_labels, with_classes
from gseg_cli.annotate.paint import Import, tie
from gseg_cli.annotate.preview import write_previews
from gseg_cli.annotate.recognise import read_source
from gseg_cli.annotate.shapes import LINE_WIDTH
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap


def import_source(
    source: Path,
    samples: SampleSet,
    classes: ClassMap,
    *,
    mapping: Mapping[str, str],
    unlabelled: int = 0,
    line_width: float = LINE_WIDTH,
    may_add: Callable[[Sequence[str]], bool] = lambda names: False,
) -> tuple[str, Import]:
    """The format's name, and the annotations. Writes nothing; GsegError when nothing can be read at all.

    unlabelled: what pixels become that no shape covers, 0 or 255. may_add: asked once, with the names that are no
    classes yet; on True they become classes behind the others, else each is a failure.
    """
    names = Names(classes, mapping)
    kind, reading = read_source(source, names)
    new = [names.class_name(label) for label in unknown_labels(reading.drawings, names)]
    if new and may_add(list(dict.fromkeys(new))):
        names = Names(with_classes(classes, new), mapping)
    return kind, tie(reading, samples, names, unlabelled=unlabelled, line_width=line_width)


def write_import(
    annotations: AnnotationSet, samples: SampleSet, project: Project, folder: Path, *, source: Path, overwrite: bool
) -> Path:
    """Write annotations and previews to `folder`, and new classes to gseg.toml; returns the sheet of all previews."""
    toml = project.extended(annotations.classes)  # before anything is written, since it may not be possible
    annotations.save(folder, source=str(source), overwrite=overwrite)
    project.write_toml(toml)
    return write_previews(annotations, samples, folder)
