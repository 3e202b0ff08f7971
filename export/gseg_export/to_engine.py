"""An ONNX graph to a TensorRT engine: one path for TensorRT 10, 11 and TensorRT-RTX, whose module is an argument.

The network is strongly typed in all three, so the precision is that of the graph. Needs neither torch nor onnx.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gseg_runtime.errors import GsegError
from gseg_runtime.tensorrt_log import quiet_logger

OnPercent = Callable[[int], None]  # how far the build is; a later step may take much longer than an earlier one


@dataclass(frozen=True)
class Built:
    """engine: as TensorRT's own tools read it; timing_cache: kernel times, which make the next build faster."""

    engine: bytes
    timing_cache: bytes


def build_engine(
    trt: Any,
    onnx: bytes,
    *,
    batch: int,
    portable: bool = False,
    timing_cache: bytes = b"",
    on_step: OnPercent | None = None,
) -> Built:
    """The engine of a graph whose inputs have one dynamic dimension, the first: any batch from 1 to `batch`.

    trt: the module tensorrt (10 or 11) or tensorrt_rtx. portable: see `make_portable`. timing_cache: of an earlier
    build; one of another TensorRT or GPU is left out. on_step: told how far it is. Raises GsegError, with TensorRT's
    own words, when the graph is not accepted or no engine can be built. Without a driver TensorRT's builder crashes, so
    that `gseg_runtime.driver.driver_problem` must be asked first; TensorRT-RTX builds without one.
    """
    log = quiet_logger(trt)
    builder = trt.Builder(log)
    # TensorRT 11 knows no other networks and ignores the flag.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, log, onnx)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # its 10 bits of mantissa are half precision, and fp32 says otherwise
    if portable:
        make_portable(trt, config)
    config.add_optimization_profile(_profile(builder, network, batch))
    cache = _set_cache(config, timing_cache)
    monitor = _monitor(trt, on_step)
    config.progress_monitor = monitor
    engine = builder.build_serialized_network(network, config)
    if monitor.error is not None:
        raise monitor.error
    if engine is None:
        raise GsegError(f"TensorRT {trt.__version__} built no engine: {log.why()}")
    if on_step:
        on_step(100)
    return Built(bytes(engine), b"" if cache is None else bytes(cache.serialize()))


def make_portable(trt: Any, config: Any) -> None:
    """For this TensorRT and later ones, and for every GPU from Ampere on; somewhat slower than one made to measure.

    https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/advanced.html#version-compatibility
    """
    config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS


def _parse(trt: Any, network: Any, log: Any, onnx: bytes) -> None:
    parser = trt.OnnxParser(network, log)
    if not parser.parse(onnx):
        errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        why = "; ".join(" ".join(errors).splitlines()) or log.why()
        raise GsegError(f"TensorRT {trt.__version__} does not accept the graph: {why}")


def _profile(builder: Any, network: Any, batch: int) -> Any:
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, (1, *shape), (batch, *shape), (batch, *shape))
    return profile


def _set_cache(config: Any, old: bytes) -> Any:
    """The cache in use. TensorRT refuses one that is not of this version and GPU; an empty one is begun then."""
    for data in (old, b""):
        cache = config.create_timing_cache(data)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None


def _monitor(trt: Any, on_step: OnPercent | None) -> Any:
    class Monitor(trt.IProgressMonitor):
        """Nested phases as one figure. No exception may pass through TensorRT: it is kept, and ends the build."""

        def __init__(self) -> None:
            super().__init__()
            self.phases: dict[str, tuple[int, int]] = {}  # the open ones from outermost to innermost: done, in all
            self.shown = 0
            self.error: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.phases[phase_name] = 0, max(1, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                self.phases[phase_name] = step + 1, self.phases[phase_name][1]
                self.shown = max(self.shown, self.percent())
                if on_step:
                    on_step(self.shown)
            except BaseException as error:  # Ctrl-C above all
                self.error = error
            return self.error is None

        def phase_finish(self, phase_name: str) -> None:
            self.phases.pop(phase_name, None)

        def percent(self) -> int:
            share = 0.0
            for done, total in reversed(list(self.phases.values())):
                share = min(1.0, (done + share) / total)
            return int(100 * share)

    return Monitor()
