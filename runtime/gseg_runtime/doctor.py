"""What is wrong with an installation, and the command that mends it.

`installation.look` gathers the facts and `check` judges them, so that every broken installation can be put before it in
a test.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from gseg_runtime.installation import CUDA, ORT, Facts, major, mismatch

Level = Literal["error", "warning", "ok"]
LEVELS = ("error", "warning", "ok")
ORT_GPU = "onnxruntime-gpu"
# Wheels that all write the folder onnxruntime/: installed together they break each other.
ORT_WHEELS = (ORT, ORT_GPU, "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-rocm", "onnxruntime-qnn")
PROVIDER_TENSORRT = 10  # the TensorRT that ONNX Runtime's wheels are linked with, up to 1.32 at least
CPU = f"pip install {ORT}"
NVIDIA_INDEX = "pip install --extra-index-url https://pypi.nvidia.com"  # PyPI holds TensorRT's names, not its libraries
NATIVE = f"{NVIDIA_INDEX} tensorrt-cu13"
GPU = f"pip install '{ORT_GPU}[cuda,cudnn]>=1.28'"
CUDA_12 = f"pip install '{ORT_GPU}[cuda,cudnn]<1.27'"


class Finding(NamedTuple):
    """level: "error" when something that is installed cannot work; fix: a command, "" when there is nothing to do."""

    level: Level
    what: str
    fix: str = ""


def check(facts: Facts) -> list[Finding]:
    """Everything there is to say, the worst first."""
    findings = [
        *_gpu(facts),
        *_wheels(facts),
        *_onnxruntime(facts),
        *_tensorrt(facts),
        *_openvino(facts),
        *_trials(facts),
        *_torch(facts),
    ]
    if not any(probe.works for probe in facts.probes.values()):
        fix = GPU if facts.gpu else CPU
        findings.append(Finding("error", "nothing is installed that runs models", "" if _has_fix(findings) else fix))
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def _has_fix(findings: list[Finding]) -> bool:
    return any(finding.level == "error" and finding.fix for finding in findings)


def _gpu(facts: Facts) -> Iterator[Finding]:
    if facts.gpu:
        gpu = facts.gpu
        yield Finding("ok", f"GPU: {gpu.name}, compute capability {gpu.compute_capability}, driver for {gpu.driver}")
    elif facts.driver_fix:
        is_wanted = ORT_GPU in facts.packages or _versions(facts, "(-libs)?")
        yield Finding("error" if is_wanted else "warning", facts.driver_problem, facts.driver_fix)
    else:
        yield Finding("ok", f"GPU: none ({facts.driver_problem})")


def _wheels(facts: Facts) -> Iterator[Finding]:
    """Which wheels write onnxruntime/; the same folder serves whichever was installed last."""
    wheels = _ort_wheels(facts)
    again = GPU if facts.gpu and (ORT_GPU in wheels or not wheels) else CPU
    if len(wheels) > 1:
        what = f"{' and '.join(wheels)} are installed together, and overwrite each other's files"
        yield Finding("error", what, f"pip uninstall -y {' '.join(wheels)} && {again}")
    elif ORT in facts.probes and facts.probes[ORT].problem:
        remains = f"{wheels[0]} {facts.packages[wheels[0]]}" if wheels else "onnxruntime, which no wheel accounts for,"
        fix = f"pip uninstall -y {' '.join(wheels)} && {again}" if wheels else again
        yield Finding("error", f"{remains} cannot be used: {facts.probes[ORT].problem}", fix)


def _ort_wheels(facts: Facts) -> list[str]:
    return [name for name in ORT_WHEELS if name in facts.packages]


def _onnxruntime(facts: Facts) -> Iterator[Finding]:
    probe = facts.probes.get(ORT)
    if probe is None or not probe.works or len(_ort_wheels(facts)) > 1:  # of several one must go first
        return
    has_cuda = CUDA in probe.providers
    kind = f"for CUDA {probe.cuda}" if has_cuda else "for the CPU"
    yield Finding("ok", f"ONNX Runtime {probe.version}, built {kind}")
    if has_cuda and facts.gpu is None and not facts.driver_fix:
        what = f"{ORT_GPU} is installed, but {facts.driver_problem}; install NVIDIA's driver, or the wheel for CPUs"
        yield Finding("error", what, f"pip uninstall -y {ORT_GPU} && {CPU}")
    elif has_cuda and facts.gpu and (why := mismatch(probe, facts.gpu)):
        yield Finding("error", why, CUDA_12)
    elif facts.gpu and not has_cuda:
        what = "a GPU is there, but ONNX Runtime was built without support for it"
        yield Finding("warning", what, f"pip uninstall -y {ORT} && {GPU}")
    elif probe.missing and facts.gpu:  # without one the wheel itself is the wrong one
        what = f"ONNX Runtime's GPU support lacks {', '.join(probe.missing)}"
        # In 1.27 the extra names packages that do not exist.
        version = ">=1.28" if probe.version.startswith("1.27.") else f"=={probe.version}"
        yield Finding("error", what, f"pip install '{ORT_GPU}[cuda,cudnn]{version}'")


def _tensorrt(facts: Facts) -> Iterator[Finding]:
    for module, fix in (("tensorrt", NATIVE), ("tensorrt_rtx", "pip install --force-reinstall tensorrt-rtx")):
        probe = facts.probes.get(module)
        if probe and probe.works:
            yield Finding("ok", f"{module} {probe.version}")
        elif probe:
            yield Finding("error", f"the module {module} is installed, but cannot be imported: {probe.problem}", fix)
    if _versions(facts, "-bindings") and "tensorrt" not in facts.probes:
        yield Finding("error", "of TensorRT only the bindings are installed, not the libraries", NATIVE)
    versions = _versions(facts, "(-libs)?")
    providers = facts.probes[ORT].providers if ORT in facts.probes else ()
    if versions and "TensorrtExecutionProvider" in providers and major(versions[0]) != PROVIDER_TENSORRT:
        what = (
            f"TensorRT {versions[0]} is installed, but ONNX Runtime's TensorRT provider is built for TensorRT "
            f"{PROVIDER_TENSORRT} and cannot start; engines of gseg export --trt do not need the provider"
        )
        yield Finding("warning", what, f"{NVIDIA_INDEX} 'tensorrt-cu13>=10.13,<{PROVIDER_TENSORRT + 1}'")


def _versions(facts: Facts, part: str) -> list[str]:
    return [version for name, version in facts.packages.items() if re.fullmatch(rf"tensorrt(-cu\d+)?{part}", name)]


def _openvino(facts: Facts) -> Iterator[Finding]:
    if probe := facts.probes.get("openvino"):
        if probe.works:
            yield Finding("ok", f"OpenVINO {probe.version}")
        else:
            what = f"OpenVINO is installed, but cannot be imported: {probe.problem}"
            yield Finding("error", what, "pip install --force-reinstall openvino")


def _trials(facts: Facts) -> Iterator[Finding]:
    for device, problem in facts.trials.items():
        if problem:
            yield Finding("error", problem, _mend(problem, facts))
        else:
            yield Finding("ok", f"device {device}: runs models")


def _mend(problem: str, facts: Facts) -> str:
    """Of a device that should work and does not."""
    if re.search("out of memory|busy or unavailable", problem):
        return "end what uses the GPU: nvidia-smi lists it"
    if "no kernel image" in problem:  # the card is newer than the wheel
        return f"pip install --upgrade '{ORT_GPU}[cuda,cudnn]'"
    wheels = _ort_wheels(facts)
    return f"pip install --force-reinstall {wheels[0]}=={facts.packages[wheels[0]]}" if wheels else ""


def _torch(facts: Facts) -> Iterator[Finding]:
    """By its version alone: importing it takes seconds, and only training needs it."""
    version = facts.packages.get("torch")
    if version is None:
        return
    if facts.gpu and version.endswith("+cpu"):
        what = f"a GPU is there, but PyTorch {version} was built without support for it: training runs on the CPU"
        yield Finding("warning", what, "pip install --force-reinstall torch")
    else:
        yield Finding("ok", f"PyTorch {version}")
