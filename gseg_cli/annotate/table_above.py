"""The class table of a data set of which only the folder of the masks was given, or one of them."""

from pathlib import Path

from gseg_cli.annotate.class_table import NAMES, OWN, is_own
from gseg_cli.annotate.formats.voc import FOLDERS, TABLES
from gseg_cli.annotate.source_files import Files, base_name

_DOCUMENTS = (".json", ".geojson", ".xml")  # they name their classes themselves
_KNOWN = frozenset((*NAMES, *TABLES))
# Folders within data sets: what is above one of them belongs to the same.
_PARTS = {"masks", "labels", "annotations", "train", "trainval", "val", "valid", "validation", "test"}


def with_table(files: Files) -> Files:
    """The files, and the nearest tables above those that hold none: they are found as in the whole data set."""
    own = [name for name in files.names if base_name(name) in OWN and is_own(files.read(name))]
    is_complete = files.is_zip or own or any(base_name(name) in _KNOWN for name in files.names)
    if is_complete or all(name.lower().endswith(_DOCUMENTS) for name in files.names):
        return files
    for folder in _folders(files.root.resolve()):
        tables = [name for name in sorted({*_KNOWN, *OWN}) if _is_table(folder / name)]
        if tables:
            return files.seen_from(folder, tables)
    return files


def _is_table(path: Path) -> bool:
    if path.name in _KNOWN or not path.is_file():
        return path.is_file()
    with path.open("rb") as file:
        return is_own(file.read(100))


def _folders(masks: Path) -> list[Path]:
    """The folder of the masks, the one above, and one more where that is surely the same data set."""
    above = masks.parent
    is_part = above.name.lower() in _PARTS or above.name in FOLDERS
    return [masks, above, above.parent] if is_part else [masks, above]
