"""A Python file as what it defines: at its top, which statements make which name, and what it imports."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

EFFECTS = "<effects>"  # in the place of a name: the statements that only do something
# A bound name -> the module that it stands for, or a module and a name in it.
Imports = dict[str, tuple[str, ...]]


class SourceModule:
    """statements: by the name that they define; a name may be made by several. name: of the module, with dots."""

    def __init__(self, name: str, file: Path, tree: ast.Module) -> None:
        self.name, self.file = name, file
        self.imports = imports_of(tree.body)
        self.statements: dict[str, list[ast.stmt]] = {EFFECTS: []}
        for statement in tree.body:
            for bound in _bound(statement):
                self.statements.setdefault(bound, []).append(statement)


def imports_of(statements: Iterable[ast.stmt], *, everywhere: bool = False) -> Imports:
    """What these statements import, those under `if` and `try` included. everywhere: inside functions too."""
    found: Imports = {}
    for statement in statements:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                module = alias.name if alias.asname else alias.name.split(".")[0]
                found[alias.asname or module] = (module,)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            found |= {alias.asname or alias.name: (statement.module, alias.name) for alias in statement.names}
        elif everywhere or isinstance(statement, ast.If | ast.Try):
            found |= imports_of(_within(statement), everywhere=everywhere)
    return found


def _within(statement: ast.AST) -> Iterator[ast.stmt]:
    """The statements directly inside another one; of `except` and `case`, which are none themselves, those in them."""
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.stmt):
            yield node
        elif isinstance(node, ast.ExceptHandler | ast.match_case):
            yield from node.body


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines; EFFECTS if it only does something.

    A docstring does nothing, nor does what is there for a main program.
    """
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    is_main = isinstance(statement, ast.If) and ast.unparse(statement.test).startswith("__name__")
    return [] if is_docstring or is_main else [EFFECTS]
