"""The key of the code that computes a figure, so that a figure is computed again when that code changes.

From the functions at its root, every definition that one of them names is followed: functions, classes and constants at
the top of modules, through imports, annotations too. A definition counts by what it does. Where it stands, what it is
called, comments, docstrings, imports and the words of its errors do not.
"""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gseg_cli.evaluate.source_module import EFFECTS, Imports, SourceModule, imports_of

# Modules that decide no figure, and all below them: what is shown while one is computed, the keeping of files and of
# figures, and the readers of other programs' GANs (a figure's key holds the SHA-256 of its GAN).
LEFT_OUT = (
    "benchmarks.cells",
    "gseg_cli.charts",
    "gseg_cli.evaluate.code_key",
    "gseg_cli.evaluate.result_cache",
    "gseg_cli.folder_description",
    "gseg_cli.gan.foreign",
    "gseg_cli.picture_files",
    "gseg_cli.progress",
    "gseg_cli.runs",
    "gseg_runtime.errors",
    "gseg_runtime.files",
)
PACKAGES = ("gseg_cli", "gseg_export", "gseg_runtime")

Read = Callable[[Path], str]


@dataclass(frozen=True)
class Definition:
    """name: at the top of its module; EFFECTS stands for what runs when the module is imported."""

    module: str
    name: str


def code_key(*roots: Any) -> str:
    """Twelve hexadecimal digits. roots: functions and classes, local ones and `partial`s among them.

    What a root is given, or holds, is not followed: a function that decides the figures is a root of its own.
    ValueError for a root that no file defines.
    """
    return _key_of(*map(_definition_of, roots))


@cache
def _key_of(*definitions: Definition) -> str:
    return Code(definitions).key


def _definition_of(root: Any) -> Definition:
    """The one at the top of a module that a function or class stands in."""
    if isinstance(root, partial):
        return _definition_of(root.func)
    module = root.__module__
    if module == "__main__" and (spec := sys.modules["__main__"].__spec__) is not None:
        module = spec.name
    return Definition(module, root.__qualname__.split(".")[0])


# Definitions, and how many parts of a dotted name they take.
Resolved = tuple[tuple[Definition, ...], int]
# A word of a syntax tree, or the definitions that a name in it means.
Piece = str | tuple[Definition, ...]
Resolve = Callable[[tuple[str, ...], Imports], Resolved]


@cache
def _parsed(name: str, file: Path, text: str) -> SourceModule:
    return SourceModule(name, file, ast.parse(text))


class _Content:
    """What a definition does. references: the definitions that it names."""

    def __init__(self, statements: list[ast.stmt], resolve: Resolve) -> None:
        local = imports_of(statements, everywhere=True)
        self._resolve = lambda path: resolve(path, local)
        self._statements = [s for s in statements if not isinstance(s, ast.Import | ast.ImportFrom)]

    @cached_property
    def _pieces(self) -> list[Piece]:
        """The text of the syntax tree, with references to other definitions in place of their names."""
        pieces: list[Piece] = []
        for statement in self._statements:
            self._add(statement, pieces, is_top=True)
        return pieces

    @property
    def references(self) -> Iterator[Definition]:
        return (definition for piece in self._pieces if isinstance(piece, tuple) for definition in piece)

    def digest(self, name_of: Callable[[Definition], str]) -> str:
        words = [piece if isinstance(piece, str) else "|".join(sorted(map(name_of, piece))) for piece in self._pieces]
        return hashlib.sha256("\0".join(words).encode()).hexdigest()

    def _add(self, node: Any, pieces: list[Piece], is_top: bool = False) -> None:
        if isinstance(node, list):
            pieces.append("[")
            for item in node:
                self._add(item, pieces)
            pieces.append("]")
        elif not isinstance(node, ast.AST):
            pieces.append(repr(node))
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            self._add_node(node, pieces, is_top)

    def _add_node(self, node: ast.AST, pieces: list[Piece], is_top: bool) -> None:
        path = _dotted(node)
        definitions, parts = self._resolve(path) if path else ((), 0)
        if definitions:
            pieces += [definitions, *path[parts:]]
            return
        pieces.append(type(node).__name__)
        for field, value in ast.iter_fields(node):
            if field in ("type_comment", "ctx", "kind") or (is_top and field == "name") or isinstance(node, ast.Raise):
                continue
            self._add(_without_docstring(node, value) if field == "body" else value, pieces)


def _dotted(node: ast.AST) -> tuple[str, ...]:
    """("a", "b", "c") of the expression a.b.c, () of others."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return (*before, node.attr)
    return ()


def _without_docstring(node: ast.AST, body: Any) -> Any:
    documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    has_docstring = isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
    return body[1:] if has_docstring else body


class Code:
    """All definitions that are reached from some."""

    def __init__(self, roots: Iterable[Definition], read: Read = Path.read_text) -> None:
        self._roots = list(roots)
        self._packages = {*PACKAGES, *(root.module.split(".")[0] for root in self._roots)}
        self._read = read
        self._modules: dict[str, SourceModule | None] = {}

    @cached_property
    def reached(self) -> dict[Definition, _Content]:
        found: dict[Definition, _Content] = {}
        waiting = [self._checked(root) for root in self._roots]
        while waiting:
            if (definition := waiting.pop()) not in found:
                found[definition] = content = self._content(definition)
                waiting += [*content.references, Definition(definition.module, EFFECTS)]
        return found

    @property
    def key(self) -> str:
        """In two rounds: each definition with the names of others blank, then with their hashes of the first round."""
        blank = {definition: content.digest(lambda _: "") for definition, content in self.reached.items()}
        whole = {content.digest(blank.__getitem__) for content in self.reached.values()}
        return hashlib.sha256("".join(sorted(whole)).encode()).hexdigest()[:12]

    @property
    def files(self) -> set[Path]:
        return {self.file_of(definition) for definition in self.reached if definition.name != EFFECTS}

    def file_of(self, definition: Definition) -> Path:
        return self._loaded(definition.module).file

    def _checked(self, root: Definition) -> Definition:
        if (module := self._module(root.module)) is None or root.name not in module.statements:
            raise ValueError(f"{root.module}.{root.name}: no file defines this, so its figures have no key")
        return root

    def _content(self, definition: Definition) -> _Content:
        module = self._loaded(definition.module)
        return _Content(module.statements.get(definition.name, []), partial(self._resolve, module))

    def _resolve(self, module: SourceModule, path: tuple[str, ...], local: Imports) -> Resolved:
        """What a dotted name means: definitions, and how many of its parts they take."""
        first, *rest = path
        if first in (imports := {**module.imports, **local}):
            return self._follow(imports[first], tuple(rest))
        return ((Definition(module.name, first),), 1) if first in module.statements else ((), 0)

    def _follow(self, target: tuple[str, ...], rest: tuple[str, ...]) -> Resolved:
        """target: an imported module, or a module and a name in it; rest: the attributes behind it."""
        where, *names = target
        if names == ["__version__"]:  # a release alone changes no figure
            return (), 0
        if names and (inner := self._module(f"{where}.{names[0]}")) is not None:
            where, names = inner.name, []
        if (module := self._module(where)) is None:
            return (), 0
        if names:
            return self._resolve(module, (names[0],), {})[0], 1
        if rest and (inner := self._module(f"{where}.{rest[0]}")) is not None:
            definitions, parts = self._follow((inner.name,), rest[1:])
            return definitions, parts + 1
        if rest:
            return self._resolve(module, rest[:1], {})[0], 2
        return tuple(Definition(module.name, name) for name in module.statements), 1

    def _loaded(self, name: str) -> SourceModule:
        module = self._module(name)
        assert module is not None, name
        return module

    def _module(self, name: str) -> SourceModule | None:
        """None for what is not ours, for what decides nothing, and for what is no module."""
        if name not in self._modules:
            file = None if any(f"{name}.".startswith(f"{left}.") for left in LEFT_OUT) else self._file(name)
            self._modules[name] = None if file is None else _parsed(name, file, self._read(file))
        return self._modules[name]

    def _file(self, name: str) -> Path | None:
        package, *rest = name.split(".")
        if package not in self._packages or (spec := find_spec(package)) is None or spec.origin is None:
            return None
        path = Path(spec.origin).parent.joinpath(*rest)
        return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
