"""Engines are built by TensorRT-RTX, which has the same module and needs no GPU; only running them takes one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from gseg_export.graph import Model, finish
from gseg_export.precision import to_fp16, to_int8
from gseg_export.source import Source
from gseg_export.to_engine import build_engine, make_portable
from gseg_export.verification_images import clouds
from gseg_runtime.errors import GsegError
from tests.export.student import SIZE, plain_card

trt = pytest.importorskip("tensorrt_rtx", reason="no wheel for this platform")
# In TensorRT-RTX a timing cache does nothing, and it says so; in TensorRT it does.
pytestmark = pytest.mark.filterwarnings("ignore:.*Timing cache:DeprecationWarning")


def test_every_exported_graph_becomes_an_engine(full_source: Source, model: Path) -> None:
    graph, pictures = full_source.graph, clouds(size=SIZE, count=4).images
    plain = model.read_bytes()
    engines = {"labels alone": build_engine(trt, plain, batch=8).engine}
    variants = {"fp32": graph, "fp16": to_fp16(graph), "int8": to_int8(graph, pictures, for_tensorrt=True)}
    for name, variant in variants.items():
        engines[name] = build_engine(trt, finish(variant, plain_card()).onnx, batch=8).engine
    assert {engine[:4] for engine in engines.values()} == {next(iter(engines.values()))[:4]}
    assert len(engines["fp16"]) < len(engines["fp32"])


def test_progress_rises_to_the_end_and_the_kernel_times_are_taken_over(full_model: Model) -> None:
    seen: list[int] = []
    built = build_engine(trt, full_model.onnx, batch=4, on_step=seen.append)
    assert seen == sorted(seen) and seen[-1] == 100 and len(seen) > 10
    assert built.timing_cache
    assert build_engine(trt, full_model.onnx, batch=4, timing_cache=built.timing_cache).timing_cache
    # A file that is no cache, or another version's, is begun anew.
    assert build_engine(trt, full_model.onnx, batch=4, timing_cache=b"nonsense").timing_cache


def test_what_tensorrt_does_not_take_is_said_in_its_own_words(full_source: Source) -> None:
    for_cpus = finish(to_int8(full_source.graph, clouds(size=SIZE, count=2).images), plain_card())
    with pytest.raises(GsegError, match=r"does not accept the graph: .*DequantizeLinear") as caught:
        build_engine(trt, for_cpus.onnx, batch=4)
    assert "\n" not in caught.value.message
    with pytest.raises(GsegError, match="does not accept the graph"):
        build_engine(trt, b"no model", batch=4)


def test_a_portable_engine_is_asked_for_by_version_and_by_hardware() -> None:
    """TensorRT-RTX has the words of both, but takes the first alone; the second is seen by what stands in for it."""
    config = trt.Builder(trt.Logger()).create_builder_config()
    make_portable(trt, config)
    assert config.get_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    seen = SimpleNamespace(set_flag=lambda flag: None)
    make_portable(trt, seen)
    assert seen.hardware_compatibility_level == trt.HardwareCompatibilityLevel.AMPERE_PLUS


def test_ctrl_c_ends_a_build(full_model: Model) -> None:
    def interrupt(percent: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(trt, full_model.onnx, batch=4, on_step=interrupt)
