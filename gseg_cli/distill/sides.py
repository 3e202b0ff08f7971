"""Classes that differ in their side alone: where a picture is mirrored, its left door is a right door.

Their names tell. Two classes are a pair if one's name becomes the other's where its words for the sides are exchanged.
"""

import re
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from gseg_cli.counted import counted
from gseg_runtime.class_map import ClassMap

# Where a word begins, or else wherever in a name: English, German, French, Spanish, Portuguese, Italian, Chinese and
# Japanese.
WORDS = (
    ("left", "right"), ("link", "recht"), ("gauche", "droite"), ("gauche", "droit"), ("izquierd", "derech"),
    ("esquerd", "direit"), ("sinistr", "destr"), ("左", "右"),
)  # fmt: skip
# Between other characters than letters: front, rear and back as well.
ABBREVIATIONS = (
    ("l", "r"), ("fl", "fr"), ("rl", "rr"), ("bl", "br"), ("lf", "rf"), ("lr", "rr"), ("lb", "rb"), ("lh", "rh"),
)  # fmt: skip
_BEGINNING = r"(?<![^\W\d_])({})"  # of a word: in the German Klinke links the second link alone
_APART = _BEGINNING + r"(?![^\W\d_])"
_HUMP = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # as in ArmL and FLWheel
_TELLING = re.compile(_APART.format("left|right"))  # enough to warn of a class without a counterpart

Pair = tuple[int, int]


def sides_of(classes: ClassMap) -> tuple[Pair, ...]:
    """Indices of the classes that mirroring exchanges, two by two, the smaller first."""
    names = [_HUMP.sub("_", name).lower() for name in classes.names]
    found: dict[int, int] = {}
    for index, name in enumerate(names):
        other = next((names.index(other) for other in _other_sides(name) if other in names and other != name), index)
        if other != index and not {index, other} & found.keys():
            found |= {index: other, other: index}
    return tuple((one, other) for one, other in sorted(found.items()) if one < other)


def about_sides(classes: ClassMap) -> Iterator[str]:
    """Lines to say of classes whose pictures are mirrored."""
    if pairs := sides_of(classes):
        first, second = (classes.names[index] for index in pairs[0])
        more = f", and {counted(len(pairs) - 1, 'more pair')} of classes" if len(pairs) > 1 else ""
        yield f"mirrored pictures exchange {first} and {second}{more}"
    paired = {index for pair in pairs for index in pair}
    names = [name for index, name in enumerate(classes.names) if index not in paired]
    if alone := [name for name in names if _TELLING.search(_HUMP.sub("_", name).lower())]:
        yield (
            f"warning: {', '.join(alone)}: no class of the other side to exchange with in mirrored pictures; "
            "use --no-mirror if they tell sides"
        )


def exchange_table(pairs: tuple[Pair, ...]) -> Tensor:
    """uint8 [256]: what each label becomes in a mirrored picture."""
    table = torch.arange(256, dtype=torch.uint8)
    for one, other in pairs:
        table[one], table[other] = other, one
    return table


def _other_sides(name: str) -> Iterator[str]:
    """What the counterpart of a name in small letters may be called."""
    for where, sides in ((_BEGINNING, WORDS), ("{}", WORDS), (_APART, ABBREVIATIONS)):
        for one, other in sides:
            yield re.sub(where.format(f"{one}|{other}"), partial(_exchanged, one, other), name)


def _exchanged(one: str, other: str, match: re.Match[str]) -> str:
    return other if match[0] == one else one
