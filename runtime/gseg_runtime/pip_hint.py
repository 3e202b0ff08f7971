"""What to type for a package that is missing, wherever gseg itself came from: a clone, a wheel, an index."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

# PyPI holds TensorRT's names, but not its libraries.
_INDEX = dict.fromkeys(("tensorrt", "ort-trt"), "--extra-index-url https://pypi.nvidia.com ")


def install(extra: str) -> str:
    """The pip command that installs what an extra of gseg brings."""
    packages = " ".join(f"'{package}'" for package in _packages(extra))
    if not packages:
        return f"pip install '.[{extra}]' in gseg's folder"
    return f"pip install {_INDEX.get(extra, '')}{packages}"


def _packages(extra: str) -> Iterator[str]:
    try:
        lines = requires("gseg") or []
    except PackageNotFoundError:  # run from a folder, without being installed
        return
    for line in lines:
        package, _, marker = line.partition(";")
        if re.search(rf"""\bextra == ['"]{re.escape(extra)}['"]""", marker):
            yield package.strip()
