"""What is installed here that has to do with running models: packages, engines that can be imported, and the GPU."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions

from gseg_runtime.driver import Gpu, describe_gpu
from gseg_runtime.errors import BackendUnavailable

ORT = "onnxruntime"
MODULES = (ORT, "tensorrt", "tensorrt_rtx", "openvino")
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Probe:
    """What importing an engine came to.

    problem: "" when it went well. providers, cuda: ONNX Runtime's, and the version of CUDA it was built for. missing:
    libraries that its GPU support needs and that cannot be loaded.
    """

    version: str = ""
    problem: str = ""
    providers: Sequence[str] = ()
    cuda: str = ""
    missing: Sequence[str] = ()

    @property
    def works(self) -> bool:
        return not self.problem


@dataclass(frozen=True)
class Facts:
    """packages: name, in lower case and with hyphens, and version. probes: of the modules that are there.

    gpu: the first that can be used, None for none; driver_problem: why there is none.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    gpu: Gpu | None = None
    driver_problem: str = ""


def look() -> Facts:
    """The facts of the running Python. Takes a second or two: every engine is imported in a process of its own."""
    packages = {_normal(item.metadata["Name"] or ""): item.version for item in distributions()}
    probes = {name: _probe(name) for name in MODULES if importlib.util.find_spec(name)}
    try:
        return Facts(packages, probes, describe_gpu())
    except BackendUnavailable as error:
        return Facts(packages, probes, None, error.message)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _probe(module: str) -> Probe:
    command = [sys.executable, "-m", "gseg_runtime.probe", module]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, errors="replace")
    except subprocess.TimeoutExpired:
        return Probe(problem=f"importing it takes more than {TIMEOUT_S:.0f} seconds")
    if done.returncode:
        return Probe(problem=f"importing it ends the process (code {done.returncode})")
    return Probe(**json.loads(done.stdout.splitlines()[-1]))
