"""Engines as files: what builds them here, what stands beside them, and the proof on the GPU. Needs no torch."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from gseg_export.graph import Model
from gseg_export.parity import Check, precision_of
from gseg_export.source import Label
from gseg_export.to_engine import OnPercent, build_engine
from gseg_runtime.driver import Gpu, describe_gpu, driver_problem
from gseg_runtime.engine_file import MODULES, RTX, EngineFacts, sidecar_of
from gseg_runtime.errors import BackendUnavailable, UsageError
from gseg_runtime.files import atomic_path, write_bytes, write_json
from gseg_runtime.model_card import ModelCard
from gseg_runtime.pip_hint import install


@dataclass(frozen=True)
class Toolchain:
    """trt: the module that builds; gpu: what the engine is built for and verified on, None for no GPU at hand.

    portable: see `to_engine.make_portable`.
    """

    trt: Any
    gpu: Gpu | None
    on_step: OnPercent | None = None
    portable: bool = False

    def __post_init__(self) -> None:
        if self.portable and self.trt.__name__ == RTX:
            message = "--portable is for TensorRT: engines of TensorRT-RTX run on all of its GPUs as they are"
            raise UsageError(message, "leave out --portable")


def find_toolchain(*, unverified: bool = False, portable: bool = False, on_step: OnPercent | None = None) -> Toolchain:
    """The installed TensorRT and GPU 0; BackendUnavailable when either is missing.

    unverified: do without a GPU where TensorRT-RTX is installed, which builds without one.
    """
    problem = driver_problem()  # before TensorRT, which would end the process
    if not problem:
        return Toolchain(_import(MODULES), describe_gpu(), on_step, portable)
    if unverified:
        return Toolchain(_import((RTX,)), None, on_step, portable)
    hint = "export to .onnx here, then run gseg export MODEL.onnx --trt where the GPU is; it needs no PyTorch"
    raise BackendUnavailable(f"an engine is built for a GPU and verified on it, but {problem}", hint)


def write_engine(out: Path, model: Model, toolchain: Toolchain, check: Check, *, batch: int) -> ModelCard:
    """Build the engine of a model, verify it on the GPU and write it; the card, with the engine's own agreement.

    Beside it come x.engine.json and TensorRT's timing cache. Without a GPU the card keeps the agreement of the model,
    and "verified" is false. GsegError when the engine cannot be built, or labels otherwise than expected; nothing is
    then written.
    """
    cache = out.with_name(f"{toolchain.trt.__name__}.timing-cache")
    old_times = cache.read_bytes() if cache.is_file() else b""
    built = build_engine(
        toolchain.trt, model.onnx,
        batch=batch, portable=toolchain.portable, timing_cache=old_times, on_step=toolchain.on_step,
    )  # fmt: skip
    facts, card = _facts(model, built.engine, toolchain, batch), model.card
    with atomic_path(out) as temporary:
        temporary.write_bytes(built.engine)
        if toolchain.gpu is not None:
            with _labels_of(temporary, facts) as got:
                card = check.passed(got, card, out)
        write_json(sidecar_of(out), replace(facts, card=card).to_json())
    if toolchain.trt.__name__ != RTX:  # which has none
        write_bytes(cache, built.timing_cache)
    return card


def _import(names: tuple[str, ...]) -> Any:
    problems, hint = [], f"{install('tensorrt')}; or pip install tensorrt-rtx, for GPUs of the RTX kind"
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            problems.append(str(error))
    raise BackendUnavailable(f"TensorRT cannot be imported: {'; '.join(problems)}", hint)


def _facts(model: Model, engine: bytes, toolchain: Toolchain, batch: int) -> EngineFacts:
    gpu = toolchain.gpu
    return EngineFacts(
        tensorrt=toolchain.trt.__name__,
        tensorrt_version=toolchain.trt.__version__,
        gpu=gpu.name if gpu else None,
        compute_capability=gpu.compute_capability if gpu else None,
        driver=gpu.driver if gpu else None,
        onnx_sha256=model.sha256,
        engine_sha256=sha256(engine).hexdigest(),
        batch=batch,
        precision=precision_of(model.card),
        outputs=tuple(model.outputs),
        verified=gpu is not None,
        card=model.card,
        portable=toolchain.portable,
    )


@contextmanager
def _labels_of(engine: Path, facts: EngineFacts) -> Iterator[Label]:
    """The engine on the GPU, by the runtime that will run it later."""
    from gseg_runtime.backends import choose

    beside = sidecar_of(engine)
    try:
        write_json(beside, facts.to_json())
        backend = choose(engine, "trt")
        try:
            yield backend.run
        finally:
            backend.close()
    finally:
        beside.unlink(missing_ok=True)
