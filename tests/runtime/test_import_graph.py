"""Modules of the runtime stand in layers: none needs another that needs it, not even for its types."""

from graphlib import TopologicalSorter
from pathlib import Path

import gseg_runtime
from tests.test_imports import imported_names

FOLDER = Path(gseg_runtime.__file__).parent


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts).removesuffix(".__init__")


def test_no_module_imports_one_that_imports_it() -> None:
    modules = {module_name(path): path for path in FOLDER.rglob("*.py")}
    graph = {name: {used for used in imported_names(path) if used in modules} for name, path in modules.items()}
    assert graph["gseg_runtime.segmenter"] and graph["gseg_runtime"]  # those for types alone are seen, too
    TopologicalSorter(graph).prepare()  # CycleError tells the modules of a circle
