"""Hints name a command that works wherever gseg came from."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from gseg_runtime.pip_hint import install

ROOT = Path(__file__).parents[2]
METADATA = [
    "numpy>=1.26",
    "onnxruntime-gpu[cuda,cudnn]>=1.28; extra == 'gpu'",
    "starlette>=0.40; extra == 'serve'",
    "uvicorn>=0.30; extra == 'serve'",
    "onnx>=1.17 ; extra == 'tensorrt'",
    'tensorrt-rtx>=1.2; (sys_platform == "linux") and extra == "dev"',
]


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("gpu", "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'"),
        ("serve", "pip install 'starlette>=0.40' 'uvicorn>=0.30'"),
        ("tensorrt", "pip install --extra-index-url https://pypi.nvidia.com 'onnx>=1.17'"),
        ("dev", "pip install 'tensorrt-rtx>=1.2'"),
    ],
)
def test_the_packages_of_an_extra_are_named(monkeypatch: pytest.MonkeyPatch, extra: str, command: str) -> None:
    monkeypatch.setattr("gseg_runtime.pip_hint.requires", lambda name: METADATA)
    assert install(extra) == command


def test_a_gseg_that_was_not_installed_is_installed_from_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("gseg_runtime.pip_hint.requires", missing)
    assert install("cpu") == "pip install '.[cpu]' in gseg's folder"


def test_every_extra_that_is_asked_for_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("gseg_cli", "export/gseg_export", "runtime/gseg_runtime")
        for path in (ROOT / folder).rglob("*.py")
    )
    asked = set(re.findall(r"""\binstall\(['"]([\w-]+)['"]""", code))
    assert {"cpu", "gpu", "train", "heic"} <= asked <= set(extras)
    assert not re.search(r"gseg\[", code)  # gseg is on no index
