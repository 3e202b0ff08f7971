"""Figures are keyed by the code that computes them: by what it does, wherever it stands and whatever it is called."""

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from gseg_cli.evaluate.code_key import LEFT_OUT, Code, Definition, code_key
from gseg_cli.reproduce.jobs import student
from gseg_cli.reproduce.toy import ToyFaces

MAIN = """
from {package}.steps import count as number
from {package} import shared

SCALE = 2

def figures(n):
    from {package}.lazy import late

    return number(n) * SCALE + shared.rest(n) + late(n)
"""
STEPS = """
from {package}.shared import Base

LIMIT = 9

class Counter(Base):
    def count(self, n):
        return min(n, LIMIT)

def count(n):
    if n < 0:
        raise ValueError("negative")
    return Counter().count(n)

def unused(n):
    return n
"""
SHARED = """
class Base:
    STEP = 1

def rest(n):
    return n % 3

def other(n):
    return n % 4
"""
LAZY = """
def late(n):
    return n + 1
"""
NUMBERS = count()
FILES = {"main": MAIN, "steps": STEPS, "shared": SHARED, "lazy": LAZY}


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The key of a package's `figures`; each call writes the package anew, with other content where it is given."""
    monkeypatch.syspath_prepend(tmp_path)
    packages: list[str] = []

    def key_of(function: str = "figures", **files: str) -> str:
        package = f"package{next(NUMBERS)}"  # keys are kept for the life of the process
        packages.append(package)
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        for name, text in {**FILES, **files}.items():
            (tmp_path / package / f"{name}.py").write_text(text.replace("{package}", package))
        importlib.invalidate_caches()
        return code_key(getattr(importlib.import_module(f"{package}.main"), function))

    yield key_of
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("main", "SCALE = 2", "SCALE = 3"),
        ("main", "* SCALE", "+ SCALE"),
        ("main", "shared.rest", "shared.other"),
        ("steps", "min(n, LIMIT)", "max(n, LIMIT)"),
        ("steps", "LIMIT = 9", "LIMIT = 8"),
        ("shared", "STEP = 1", "STEP = 2"),
        ("shared", "n % 3", "n % 5"),
        ("lazy", "n + 1", "n + 2"),
        ("lazy", "\ndef", "\nprint('imported')\n\ndef"),
    ],
)
def test_whatever_is_reached_from_the_function_changes_the_key(key, file: str, old: str, new: str) -> None:
    assert old in FILES[file]
    assert key() != key(**{file: FILES[file].replace(old, new)})


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("steps", "    return n\n", "    return n + 1\n"),  # of a function that nobody calls
        ("shared", "n % 4", "n % 5"),
        ("steps", '"negative"', '"expected a number from 0"'),
        ("steps", "def count(n):\n", 'def count(n):\n    """Up to the limit."""  # nine\n'),
        ("lazy", "\ndef", '"""What is imported late."""\n\ndef'),
        ("main", "SCALE = 2", "SCALE   =   2  # why"),
        ("main", "SCALE = 2", 'SCALE = 2\nif __name__ == "__main__":\n    print(figures(1))'),
    ],
)
def test_what_decides_nothing_leaves_the_key(key, file: str, old: str, new: str) -> None:
    assert old in FILES[file]
    assert key() == key(**{file: FILES[file].replace(old, new)})


def test_a_pure_move_leaves_the_key(key) -> None:
    there = key()
    renamed = MAIN.replace("{package}.lazy", "{package}.deeper")
    assert key(main=renamed, deeper=LAZY, lazy="") == there
    moved = MAIN.replace("shared.rest", "rest").replace("import shared", "lazy\nfrom {package}.lazy import rest")
    moved = moved.replace("from {package} lazy", "import {package}.lazy")
    assert key(main=moved, lazy=LAZY + "\ndef rest(n):\n    return n % 3\n") == there


def test_another_name_leaves_the_key(key) -> None:
    there = key()
    assert key(steps=STEPS.replace("LIMIT", "MOST").replace("Counter", "Meter")) == there
    assert key(function="found", main=MAIN.replace("figures", "found").replace("SCALE", "FACTOR")) == there


STUDENT = (Definition(student.__module__, student.__name__), Definition(ToyFaces.__module__, ToyFaces.__name__))


@pytest.fixture(scope="module")
def code() -> Code:
    return Code(STUDENT)


def test_the_code_of_a_student_holds_all_that_decides_its_figures(code: Code) -> None:
    files = {path.as_posix() for path in code.files}
    for name in (
        "gseg_cli/gan/networks/mapping.py", "gseg_cli/gan/generator.py", "gseg_cli/device.py",
        "gseg_runtime/metrics.py", "gseg_cli/distill/unet.py", "gseg_cli/datasets/toy_faces/canvas.py",
    ):  # fmt: skip
        assert any(file.endswith(name) for file in files), name


def test_a_change_in_any_file_of_that_code_changes_its_key(code: Code) -> None:
    reached = {code.file_of(definition): definition for definition in code.reached if definition.name.isidentifier()}
    assert set(reached) == code.files

    def changed(path: Path) -> str:
        """As the file would be if a definition in it that is reached were another."""
        name = reached[path].name
        return Code(STUDENT, lambda p: p.read_text() + (f"\n{name} = [{name}]\n" if p == path else "")).key

    assert [path for path in reached if changed(path) == code.key] == []


def test_a_function_without_a_file_has_no_key() -> None:
    made: dict = {"__name__": "nowhere"}
    exec("def figures():\n    return 1", made)
    with pytest.raises(ValueError, match="no file defines"):
        code_key(made["figures"])


def test_what_is_left_out_of_keys_is_there() -> None:
    root = Path(__file__).parents[2]
    folders = {"gseg_runtime": root / "runtime", "gseg_export": root / "export"}
    for name in LEFT_OUT:
        package, *rest = name.split(".")
        path = folders.get(package, root).joinpath(package, *rest)
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
