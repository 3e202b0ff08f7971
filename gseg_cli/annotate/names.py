"""From the names people gave their shapes to class indices."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from gseg_cli.annotate.drawing import BACKGROUND, Drawing
from gseg_cli.project_file import BACKGROUND_WORDS, IGNORED_WORD, lines_of, with_default_colors
from gseg_runtime.class_map import IGNORE, IGNORED, ClassMap, composed
from gseg_runtime.errors import GsegError, UsageError

LEAVE_OUT = "-"  # --map "person=-"
MAX_TOLD = 20  # unknown labels
ANY = "*"  # --map "*=-": every name that is no class, and for which there is no other entry
_IGNORED = {IGNORED, "void", "unlabeled", "unlabelled", IGNORED_WORD}
_BACKGROUND = {BACKGROUND, *BACKGROUND_WORDS}


@dataclass(frozen=True)
class Names:
    """mapping: label in the annotations, or "*" -> class name, "ignore", or "-" to leave such shapes out."""

    classes: ClassMap
    mapping: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def entry(self, label: str) -> str | None:
        """Which label of the mapping is meant: the same, the only one that differs in case and blanks alone, or "*"."""
        if label in self.mapping:
            return label
        alike = [known for known in self.mapping if _folded(known) == _folded(label)]
        if alike:
            return alike[0] if len(alike) == 1 else None
        return ANY if ANY in self.mapping and self._known(label) is None else None

    def is_left_out(self, label: str) -> bool:
        entry = self.entry(label)
        return entry is not None and self.mapping[entry] == LEAVE_OUT

    def index(self, label: str) -> int | None:
        """The class index, 255 for what is to be ignored, None for an unknown name and for what is left out.

        Upper and lower case are alike, and so are one blank and several.
        """
        return self._known(self.class_name(label))

    def _known(self, name: str) -> int | None:
        if name in self.classes.names:
            return self.classes.names.index(name)
        folded = [_folded(known) for known in self.classes.names]
        if folded.count(_folded(name)) == 1:
            return folded.index(_folded(name))
        if _folded(name) in _IGNORED:
            return IGNORE
        return 0 if _folded(name) in _BACKGROUND else None

    def class_name(self, label: str) -> str:
        """What an unknown label would be called as a class."""
        entry = self.entry(label)
        return (label if entry is None else self.mapping[entry]).strip()


def _folded(name: str) -> str:
    return composed(" ".join(name.split()).casefold())


def parse_mapping(entries: Iterable[str]) -> dict[str, str]:
    """The options --map "NAME=CLASS", and files of such lines; UsageError for anything else, ConfigError for a file
    that is no text."""
    mapping: dict[str, str] = {}
    for where, entry in chain.from_iterable(map(_lines, entries)):
        label, equals, name = (part.strip() for part in entry.rpartition("="))
        if not equals or not label or not name:
            hint = "for instance --map 'hair_1=hair'; --map takes a file of such lines, too"
            raise UsageError(f"{where} {entry!r}: expected NAME=CLASS", hint)
        if mapping.setdefault(label, name) != name:
            raise UsageError(f"{where} {label}: given twice, for {mapping[label]} and {name}", "give it once")
    return mapping


def _lines(entry: str) -> list[tuple[str, str]]:
    """Where they stand, and themselves: those of a file, if the entry is the name of one; else itself."""
    path = Path(entry)
    if "=" in entry or not path.is_file():
        return [("--map", entry)]
    return [(f"{path}:", line) for line in map(str.strip, lines_of(path)) if line and not line.startswith("#")]


def labels_in(drawings: Sequence[Drawing]) -> Counter[str]:
    """How many shapes have each label, in the order of their first appearance."""
    return Counter(layer.label for drawing in drawings for layer in drawing.layers)


def unknown_labels(drawings: Sequence[Drawing], names: Names) -> list[str]:
    """Those that mean no class, in order of appearance."""
    return [label for label in labels_in(drawings) if not names.is_left_out(label) and names.index(label) is None]


def new_classes(drawings: Sequence[Drawing], names: Names, listed: Sequence[str] = ()) -> list[str]:
    """What the unknown labels would be called as classes; of those that differ in case and blanks alone the first.

    In the order in which the tool lists them, so that the indices are those of other exports; others follow as drawn.
    """
    found: dict[str, str] = {}
    place = {label: number for number, label in reversed([*enumerate(listed)])}
    unknown = sorted(unknown_labels(drawings, names), key=lambda label: place.get(label, len(listed)))
    for name in map(names.class_name, unknown):
        found.setdefault(_folded(name), name)
    return [name for folded, name in found.items() if folded not in map(_folded, names.classes.names)]


def unused_mappings(drawings: Sequence[Drawing], names: Names) -> list[str]:
    """A warning about --map options that met no shape, if any: most likely a slip."""
    found = labels_in(drawings)
    used = {names.entry(label) for label in found}
    if not (unused := [label for label in names.mapping if label not in used and label != ANY]):
        return []
    called, known = _listed(unused), _listed(found) or "none"
    return [f"--map: no shape is called {called} (found: {known})"]


def _listed(labels: Iterable[str]) -> str:
    labels = list(labels)
    return ", ".join(labels[:MAX_TOLD] + ["..."] * (len(labels) > MAX_TOLD))


def nearest_class(name: str, known: Sequence[str]) -> str | None:
    """The class that somebody may have meant; None when none is near."""
    folded = {_folded(other): other for other in known}
    close = difflib.get_close_matches(_folded(name), folded, n=1)
    return folded[close[0]] if close else None


def with_classes(classes: ClassMap, new: Iterable[str]) -> ClassMap:
    """The classes, and new ones behind them: indices of earlier annotations and models stay."""
    added = [name for name in dict.fromkeys(map(composed, new)) if name not in classes.names]
    if len(classes) + len(added) > IGNORE:
        message = f"{len(added)} names are not classes yet, and there can be at most {IGNORE} classes"
        raise GsegError(message, "--map merges several names into one class: --map 'hair_1=hair'")
    return ClassMap((*classes.names, *added), with_default_colors([*classes.colors, *(None for _ in added)]))


def unknown_classes(places: Mapping[str, Sequence[str]], names: Names) -> Iterator[GsegError]:
    """The errors for labels that are no class: one for each that may be a slip, one for all others.

    places: the drawings in which each stands.
    """
    near = {label: _near(label, names) for label in places}
    slips = [label for label, close in near.items() if close][:MAX_TOLD]
    for label in slips:
        take = f"{label}={near[label]}"
        hint = f"did you mean {near[label]}? --map {take!r} says so"
        yield _unknown([label], places, names, hint)
    if others := [label for label in places if label not in slips]:
        take = f"{others[0]}=CLASS"
        hint = f"the classes are {', '.join(names.classes.names)}; --map {take!r} gives one of them"
        yield _unknown(others, places, names, hint)


def _near(label: str, names: Names) -> str | None:
    """The class that a label's name, or a word of it, may have meant."""
    name = names.class_name(label)
    return next(filter(None, (nearest_class(part, names.classes.names) for part in (name, *name.split()))), None)


def _unknown(labels: Sequence[str], places: Mapping[str, Sequence[str]], names: Names, hint: str) -> GsegError:
    where = list(dict.fromkeys(place for label in labels for place in places[label]))
    others = f" and {len(where) - 1:,} more" if len(where) > 1 else ""
    called = _listed(_called(label, names) for label in labels)
    if len(labels) == 1:
        what, leave = f"unknown class {called}", f"{labels[0]}={LEAVE_OUT}"
        or_else = f"--map {leave!r} leaves it out, --yes adds it to gseg.toml"
    else:
        what = f"{len(labels):,} unknown classes, {called}"
        or_else = f"--map '{ANY}={LEAVE_OUT}' leaves out all without an entry, --yes adds all to gseg.toml"
    return GsegError(f"{where[0]}{others}: {what}", f"{hint}, {or_else}")


def _called(label: str, names: Names) -> str:
    name = names.class_name(label)
    return f"{label!r} (mapped to {name!r})" if name != label else f"{label!r}"
