"""Imports run one way: runtime <- export <- commands, and runtime <- training library <- commands."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import gseg_cli
import gseg_export
import gseg_runtime

CLI, EXPORT, RUNTIME = (Path(package.__file__).parent for package in (gseg_cli, gseg_export, gseg_runtime))
SHELL = (
    "__main__.py",
    "app.py",
    "options.py",
    "output.py",
    "progress.py",
)  # these and commands/ may use Typer and Rich
SHELL_MODULES = ("typer", "rich", "gseg_cli.commands", "gseg_cli.app", "gseg_cli.options", "gseg_cli.output")
NEVER_IN_RUNTIME = ("torch", "onnx", "onnxscript", "safetensors", "typer", "rich", "gseg_cli", "gseg_export")
SERVING_NEEDS = ("starlette", "uvicorn", "prometheus_client")
REMOTE_NEEDS = ("fsspec", "s3fs")
RAY_NEEDS = ("ray",)

# Refuses modules by name, as if they were not installed.
REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ImportError(f"{name} is refused")
sys.meta_path.insert(0, Refuse())
"""


def python(code: str, *args: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_names(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden(paths: list[Path], modules: tuple[str, ...]) -> list[str]:
    assert paths
    return [
        f"{path}: {name}"
        for path in paths
        for name in imported_names(path)
        if any(name == module or name.startswith(module + ".") for module in modules)
    ]


def test_the_command_line_starts_without_heavy_imports():
    heavy = "torch numpy PIL onnx onnxruntime onnxscript tensorrt safetensors simplejpeg pydantic matplotlib"
    code = f"import sys, gseg_cli.app; print([name for name in {heavy.split()} if name in sys.modules])"
    assert python(code).strip() == "[]"


def test_the_training_library_knows_nothing_of_the_command_line():
    library = [path for path in CLI.rglob("*.py") if path.parent != CLI / "commands" and path not in shell_files()]
    assert forbidden(library, SHELL_MODULES) == []


def shell_files() -> list[Path]:
    return [CLI / name for name in SHELL]


def test_export_knows_nothing_of_gseg_cli():
    assert forbidden(list(EXPORT.rglob("*.py")), ("gseg_cli", "typer", "rich")) == []


def test_runtime_imports_neither_torch_nor_the_rest_of_gseg():
    files = list(RUNTIME.rglob("*.py"))
    assert forbidden(files, NEVER_IN_RUNTIME) == []
    outside_backends = [path for path in files if path.parent != RUNTIME / "backends"]
    assert forbidden(outside_backends, ("onnxruntime", "tensorrt")) == []
    outside_serving = [path for path in files if path.parent != RUNTIME / "serving"]
    assert forbidden(outside_serving, SERVING_NEEDS) == []
    outside_remote = [path for path in files if path.parent != RUNTIME / "remote"]
    assert forbidden(outside_remote, REMOTE_NEEDS) == []
    outside_ray = [path for path in files if path.parent != RUNTIME / "on_ray"]
    assert forbidden(outside_ray, RAY_NEEDS) == []


def test_every_runtime_module_is_importable_where_only_its_own_needs_are_installed():
    has_extra = all(find_spec(name) for name in SERVING_NEEDS)
    paths = [path for path in RUNTIME.rglob("*.py") if has_extra or path.parent != RUNTIME / "serving"]
    modules = [path.relative_to(RUNTIME.parent).with_suffix("").as_posix().replace("/", ".") for path in paths]
    imports = "\n".join(f"import {name.removesuffix('.__init__')}" for name in modules)
    python(f"REFUSED = {(*NEVER_IN_RUNTIME, *REMOTE_NEEDS, *RAY_NEEDS, 'onnxruntime')}{REFUSE}{imports}")


def test_info_needs_no_torch(tmp_path):
    torch = pytest.importorskip("torch")
    from gseg_cli.checkpoint import save_checkpoint

    save_checkpoint(tmp_path / "gan.safetensors", {"a": torch.zeros(2)}, {"kind": "test"})
    refused = "REFUSED = ('torch', 'safetensors', 'onnx', 'onnxruntime')"
    code = f"{refused}{REFUSE}from gseg_cli.app import main; sys.exit(main(['info', sys.argv[1]]))"
    assert "num_parameters" in python(code, str(tmp_path / "gan.safetensors"))
