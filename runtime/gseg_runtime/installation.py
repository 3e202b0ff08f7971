"""What is installed here that has to do with running models: packages, engines that can be imported, and the GPU."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import distributions
from typing import Any

from gseg_runtime.driver import NO_GPU, DriverError, Gpu, describe_gpu
from gseg_runtime.trial import trial

ORT = "onnxruntime"
MODULES = (ORT, "tensorrt", "tensorrt_rtx", "openvino")
CUDA = "CUDAExecutionProvider"
OLDEST_FOR_CUDA_13 = 7.5  # compute capability
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

    gpu: the first that can be used, None for none; driver_problem: why there is none; driver_fix: what mends a driver
    that is there, "" where there is none. trials: for each device that should work why it does not, "" when it does.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    gpu: Gpu | None = None
    driver_problem: str = ""
    driver_fix: str = ""
    trials: Mapping[str, str] = field(default_factory=dict)


def look(visible: str | None = None) -> Facts:
    """The facts of the running Python. Takes seconds: every engine is imported and tried in a process of its own.

    visible: what CUDA_VISIBLE_DEVICES is set to, None when it is not.
    """
    packages = {_normal(item.metadata["Name"] or ""): item.version for item in distributions()}
    probes = {name: _probe(name) for name in MODULES if importlib.util.find_spec(name)}
    facts = Facts(packages, probes, **_gpu(visible))
    return replace(facts, trials={device: trial(device) for device in _devices(facts)})


def _gpu(visible: str | None) -> dict[str, Any]:
    try:
        return {"gpu": describe_gpu()}
    except DriverError as error:
        if error.status in NO_GPU and visible is not None:
            problem = f"CUDA_VISIBLE_DEVICES is {visible!r} and hides every GPU from this process"
            return {"driver_problem": problem, "driver_fix": "unset CUDA_VISIBLE_DEVICES"}
        return {"driver_problem": error.message, "driver_fix": "" if error.status is None else error.hint or ""}


def _devices(facts: Facts) -> Iterator[str]:
    """Those that should work by all that is known without trying."""
    ort = facts.probes.get(ORT)
    if ort and ort.works:
        yield "cpu"
        if facts.gpu and CUDA in ort.providers and not ort.missing and not mismatch(ort, facts.gpu):
            yield "cuda"
            if any(re.fullmatch(r"tensorrt-cu\d+-libs 10\..*", f"{name} {it}") for name, it in facts.packages.items()):
                yield "trt"  # the provider is built for TensorRT 10
    if (openvino := facts.probes.get("openvino")) and openvino.works:
        yield "openvino"


def mismatch(ort: Probe, gpu: Gpu) -> str:
    """Why an ONNX Runtime for NVIDIA GPUs cannot use this one, as far as versions tell; "" when it can."""
    built_for = f"ONNX Runtime {ort.version} is built for CUDA {ort.cuda}"
    if major(gpu.driver) < major(ort.cuda):
        return f"{built_for}, and the driver knows {gpu.driver} at most"
    if major(ort.cuda) >= 13 and float(gpu.compute_capability) < OLDEST_FOR_CUDA_13:
        return f"{built_for}, which has no kernels for {gpu.name} (compute capability {gpu.compute_capability})"
    return ""


def major(version: str) -> int:
    """13 of "CUDA 13.0" and of "13.0.1"; 0 of nothing."""
    match = re.search(r"\d+", version)
    return int(match[0]) if match else 0


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
