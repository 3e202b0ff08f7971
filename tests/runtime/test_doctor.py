"""Each broken installation is found, and the command that mends it is named."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gseg_runtime.backends import choose
from gseg_runtime.doctor import Finding, check
from gseg_runtime.driver import Gpu
from gseg_runtime.installation import Facts, Probe, look

H100 = Gpu("NVIDIA H100", "9.0", "CUDA 13.2")
NO_DRIVER = "no NVIDIA driver"
CPU_WHEEL = Probe("1.32.0", providers=["CPUExecutionProvider"])
GPU_PROVIDERS = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
GPU_WHEEL = Probe("1.31.1", providers=GPU_PROVIDERS, cuda="13.0")
HOLLOW = Probe(problem="its folder holds no engine")


def errors(facts: Facts) -> list[Finding]:
    return [finding for finding in check(facts) if finding.level == "error"]


@pytest.mark.parametrize(
    "facts",
    [
        Facts({"onnxruntime": "1.32.0"}, {"onnxruntime": CPU_WHEEL}, None, NO_DRIVER),
        Facts({"onnxruntime-gpu": "1.31.1"}, {"onnxruntime": GPU_WHEEL}, H100),
        Facts({"onnxruntime": "1.32.0", "tensorrt-cu13-libs": "11.4"}, {"onnxruntime": CPU_WHEEL}, None, NO_DRIVER),
        Facts(
            {"onnxruntime-gpu": "1.31.1", "tensorrt-cu13-libs": "10.16"},
            {"onnxruntime": GPU_WHEEL, "tensorrt": Probe("10.16")},
            H100,
        ),
        Facts({"openvino": "2026.4"}, {"openvino": Probe("2026.4")}, None, NO_DRIVER),
    ],
)
def test_what_works_is_left_alone(facts: Facts) -> None:
    assert errors(facts) == []
    assert all(finding.fix == "" for finding in check(facts))


@pytest.mark.parametrize(
    ("facts", "what", "fix"),
    [
        (
            Facts({"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}, {"onnxruntime": CPU_WHEEL}, H100),
            "onnxruntime and onnxruntime-gpu are installed together",
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'",
        ),
        (
            Facts({"onnxruntime-gpu": "1.31.1"}, {"onnxruntime": HOLLOW}, None, NO_DRIVER),
            "onnxruntime-gpu 1.31.1 cannot be used: its folder holds no engine",
            "pip uninstall -y onnxruntime-gpu && pip install onnxruntime",
        ),
        (
            Facts({}, {"onnxruntime": HOLLOW}, None, NO_DRIVER),
            "onnxruntime, which no wheel accounts for, cannot be used",
            "pip install onnxruntime",
        ),
        (Facts({}, {}, None, NO_DRIVER), "nothing is installed that runs models", "pip install onnxruntime"),
        (
            Facts({}, {}, H100),
            "nothing is installed that runs models",
            "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'",
        ),
        (
            Facts(
                {"onnxruntime-gpu": "1.31.1"},
                {"onnxruntime": Probe("1.31.1", "", GPU_PROVIDERS, "13.0", ["libcublas.so.13"])},
                None,
                NO_DRIVER,
            ),
            "onnxruntime-gpu is installed, but no NVIDIA driver",
            "pip uninstall -y onnxruntime-gpu && pip install onnxruntime",
        ),
        (
            Facts(
                {"onnxruntime-gpu": "1.31.1"},
                {"onnxruntime": Probe("1.31.1", "", GPU_PROVIDERS, "13.0", ["libcublas.so.13", "libcudnn.so.9"])},
                H100,
            ),
            "GPU support lacks libcublas.so.13, libcudnn.so.9",
            "pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'",
        ),
        (
            Facts({"onnxruntime-gpu": "1.31.1"}, {"onnxruntime": GPU_WHEEL}, Gpu("NVIDIA A100", "8.0", "CUDA 12.4")),
            "built for CUDA 13.0, and the driver knows CUDA 12.4",
            "pip install 'onnxruntime-gpu[cuda,cudnn]<1.27'",
        ),
        (
            Facts({"onnxruntime-gpu": "1.31.1"}, {"onnxruntime": GPU_WHEEL}, Gpu("GTX 1080", "6.1", "CUDA 13.0")),
            "built for CUDA 13.0, which has no kernels for GTX 1080 (compute capability 6.1)",
            "pip install 'onnxruntime-gpu[cuda,cudnn]<1.27'",
        ),
        (
            Facts(
                {"onnxruntime-gpu": "1.31.1"},
                {"onnxruntime": GPU_WHEEL},
                H100,
                trials={"cpu": "", "cuda": "device cuda: CUDA failure 2: out of memory"},
            ),
            "out of memory",
            "end what uses the GPU: nvidia-smi lists it",
        ),
        (
            Facts(
                {"onnxruntime-gpu": "1.31.1"},
                {"onnxruntime": GPU_WHEEL},
                Gpu("NVIDIA Next", "15.0", "CUDA 14.0"),
                trials={"cuda": "device cuda: no kernel image is available for execution on the device"},
            ),
            "no kernel image",
            "pip install --upgrade 'onnxruntime-gpu[cuda,cudnn]'",
        ),
        (
            Facts({"onnxruntime": "1.32.0", "tensorrt-cu13-bindings": "11.4"}, {"onnxruntime": CPU_WHEEL}, H100),
            "only the bindings are installed",
            "pip install --extra-index-url https://pypi.nvidia.com tensorrt-cu13",
        ),
        (
            Facts({}, {"onnxruntime": CPU_WHEEL, "tensorrt": Probe(problem="ImportError: libnvinfer.so.11")}, H100),
            "tensorrt is installed, but cannot be imported: ImportError: libnvinfer.so.11",
            "pip install --extra-index-url https://pypi.nvidia.com tensorrt-cu13",
        ),
    ],
)
def test_what_is_broken_is_an_error_with_the_command_that_mends_it(facts: Facts, what: str, fix: str) -> None:
    found = errors(facts)
    assert len(found) == 1 or found[1].what == "nothing is installed that runs models"
    assert what in found[0].what
    assert found[0].fix == fix
    assert check(facts)[0] == found[0]  # the worst comes first


def test_a_gpu_that_lies_idle_is_a_warning() -> None:
    facts = Facts({"onnxruntime": "1.32.0", "torch": "2.13.0+cpu"}, {"onnxruntime": CPU_WHEEL}, H100)
    warnings = [finding for finding in check(facts) if finding.level == "warning"]
    assert errors(facts) == []
    assert [finding.fix for finding in warnings] == [
        "pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'",
        "pip install --force-reinstall torch",
    ]


def test_tensorrt_11_is_a_warning_because_all_but_one_provider_works() -> None:
    packages = {"onnxruntime-gpu": "1.31.1", "tensorrt-cu13-libs": "11.4.0.106"}
    facts = Facts(packages, {"onnxruntime": GPU_WHEEL, "tensorrt": Probe("11.4.0.106")}, H100)
    assert errors(facts) == []
    (warning,) = (finding for finding in check(facts) if finding.level == "warning")
    assert (
        "TensorRT 11.4.0.106 is installed, but ONNX Runtime's TensorRT provider is built for TensorRT 10"
        in warning.what
    )
    assert warning.fix == "pip install --extra-index-url https://pypi.nvidia.com 'tensorrt-cu13>=10.13,<11'"


STUB = """
#include <stdlib.h>
#include <string.h>
static int number(const char *name, int otherwise) { return getenv(name) ? atoi(getenv(name)) : otherwise; }
int cuInit(unsigned flags) { return number("STUB_INIT", 0); }
int cuDeviceGetCount(int *count) { *count = number("STUB_COUNT", 1); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "NVIDIA H100", length); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 9 : 0; return 0; }
int cuDriverGetVersion(int *version) { *version = number("STUB_CUDA", 13000); return 0; }
int cuGetErrorString(int status, const char **text) { *text = "what the driver says"; return 0; }
"""


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> str:
    """NVIDIA's driver as a library that answers with environment variables."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "cuda.c").write_text(STUB)
    library = str(folder / "libcuda.so.1")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, str(folder / "cuda.c")], check=True)
    return library


@pytest.mark.parametrize(
    ("variables", "visible", "what", "fix"),
    [
        ({"STUB_INIT": "100"}, None, "(100)", "a container needs --gpus all"),
        ({"STUB_INIT": "100"}, "-1", "CUDA_VISIBLE_DEVICES is '-1' and hides every GPU", "unset CUDA_VISIBLE_DEVICES"),
        ({"STUB_COUNT": "0"}, "", "CUDA_VISIBLE_DEVICES is '' and hides every GPU", "unset CUDA_VISIBLE_DEVICES"),
        ({"STUB_INIT": "46"}, None, "(46)", "another process has the GPU for itself"),
        ({"STUB_INIT": "803"}, None, "(803)", "of different versions: restart the machine"),
        ({"STUB_INIT": "999"}, None, "(999)", "the driver hangs"),
        ({"STUB_CUDA": "12040"}, None, "the driver knows CUDA 12.4 at most", "'onnxruntime-gpu[cuda,cudnn]<1.27'"),
    ],
)
def test_what_the_driver_says_is_one_cause_with_one_mend(
    stub: str, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], visible: str | None, what: str, fix: str
) -> None:
    monkeypatch.setattr("gseg_runtime.driver._LIBRARY", stub)
    monkeypatch.setattr("gseg_runtime.installation.trial", lambda device: "")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    seen = look(visible)
    facts = replace(seen, packages={"onnxruntime-gpu": "1.31.1"}, probes={"onnxruntime": GPU_WHEEL})
    (error,) = errors(facts)
    assert what in error.what and fix in error.fix
    without_engine = replace(seen, packages={"onnxruntime": "1.32.0"}, probes={"onnxruntime": CPU_WHEEL})
    assert errors(without_engine) == []


def test_a_gpu_behind_the_driver_is_named(stub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gseg_runtime.driver._LIBRARY", stub)
    monkeypatch.setattr("gseg_runtime.installation.trial", lambda device: "")
    assert look().gpu == Gpu("NVIDIA H100", "9.0", "CUDA 13.0")


def test_openvino_alone_is_enough_and_auto_takes_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    backend = choose(model, "auto")
    assert backend.name == "OpenVINO, CPU"
    assert "ONNX Runtime cannot be imported" in backend.why
    backend.close()


def test_engines_that_break_python_are_looked_at_without_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of these names stand before the installed ones, and fail as real ones do."""
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").touch()
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvonnxparser.so.11: cannot open shared object file')")
    (tmp_path / "openvino.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    problems = {name: probe.problem for name, probe in look().probes.items()}
    assert "its folder holds no engine" in problems["onnxruntime"]
    assert problems["tensorrt"] == "ImportError: libnvonnxparser.so.11: cannot open shared object file"
    assert "ends the process (code " in problems["openvino"]


def test_this_installation_is_in_order_for_the_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    from gseg_cli.app import main

    code = main(["doctor", "--json"])
    answer = json.loads(capsys.readouterr().out)
    levels = [finding["level"] for finding in answer["data"]["findings"]]
    assert code == (1 if "error" in levels else 0)
    assert any("ONNX Runtime" in finding["what"] for finding in answer["data"]["findings"])
    assert [error["message"] for error in answer["errors"]] == [
        finding["what"] for finding in answer["data"]["findings"] if finding["level"] == "error"
    ]
