"""Whether what a step starts from is still what the step before it took: a warning if it is not, else None."""

from pathlib import Path

from gseg_cli.annotate.annotation_set import FILE, AnnotationSet
from gseg_cli.checkpoint import read_meta
from gseg_cli.fewshot.model import load_annotated
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError


def about_teacher(teacher: Path, annotations: Path) -> str | None:
    """When the folder `annotations` says something else than it taught this teacher."""
    if not (annotations / FILE).is_file():
        return None
    try:
        is_same = _taught(teacher, AnnotationSet.load(annotations))
    except GsegError:  # unreadable: fewshot-train says what is wrong there
        is_same = False
    if is_same:
        return None
    return f"{teacher}: did not learn from {annotations} as it is now; gseg fewshot-train makes a teacher that does"


def about_classes(annotations: Path, classes: ClassMap) -> str | None:
    """When annotations have other classes than the project, whose are `classes`."""
    if not (annotations / FILE).is_file():
        return None
    known = AnnotationSet.load(annotations).classes.names
    lacking = [f"without {name}" for name in classes.names if name not in known]
    besides = [f"with {name}" for name in known if name not in classes.names]
    if not lacking and not besides:
        return None
    differences = ", ".join(lacking + besides)
    return (
        f"{annotations}: the teacher learns its classes, which are not those of gseg.toml ({differences}); "
        "gseg annotate-import --overwrite takes those of gseg.toml"
    )


def _taught(teacher: Path, now: AnnotationSet) -> bool:
    """Whether a teacher was taught these label maps, as far as its file says it."""
    taught, meta = load_annotated(teacher), read_meta(teacher)
    if taught is None:
        return True
    names = ClassMap.from_json(meta["config"]["classes"]).names
    if names != now.classes.names or meta["trained"]["seeds"] != list(now.seeds):
        return False
    before = taught.labels.numpy()
    is_taught = (before != IGNORE).any(axis=0)  # not the bars of a rectangular GAN
    return not (is_taught & (now.labels != IGNORE) & (now.labels != before)).any()
