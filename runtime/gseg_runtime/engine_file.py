"""model.engine.json: what stands beside a TensorRT engine, which itself stays as TensorRT's own tools read it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gseg_runtime.errors import GsegError, ModelCardError
from gseg_runtime.files import read_json, sha256_file
from gseg_runtime.model_card import ModelCard

FORMAT = 1
RTX = "tensorrt_rtx"
MODULES = ("tensorrt", RTX)  # in the order in which they are looked for
REBUILD = "rebuild it on this machine with gseg export --trt"


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """Where an engine runs, and what it was made from; docs/formats.md says what each is.

    tensorrt: one of MODULES. gpu, compute_capability, driver: None for one that was built without a GPU. portable:
    whether it is also for other GPUs and later versions of TensorRT.
    """

    tensorrt: str
    tensorrt_version: str
    gpu: str | None
    compute_capability: str | None
    driver: str | None
    onnx_sha256: str
    engine_sha256: str
    batch: int
    precision: str
    outputs: tuple[str, ...]
    verified: bool
    card: ModelCard
    portable: bool = False

    def to_json(self) -> dict[str, Any]:
        """The content of the file."""
        data = {**vars(self), "outputs": list(self.outputs), "card": self.card.to_json()}
        return {"format": FORMAT, "kind": "engine", **data}

    @classmethod
    def from_json(cls, data: Any) -> "EngineFacts":
        """The reverse; KeyError or TypeError when `data` is no such object, ModelCardError for the card in it."""
        if not isinstance(data, dict):
            raise TypeError(f"expected an object, got {type(data).__name__}")
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data or name != "portable"}
        _check_types(known)
        return cls(**{**known, "outputs": tuple(known["outputs"]), "card": ModelCard.from_json(known["card"])})


_OF_OTHER_TYPES: dict[str, Any] = {"batch": int, "outputs": list, "card": dict, "verified": bool, "portable": bool}
_UNKNOWN = ("gpu", "compute_capability", "driver")  # may be None


def _check_types(facts: dict[str, Any]) -> None:
    """TypeError for a fact that is not as it was written: somebody may have edited the file."""
    for name, value in facts.items():
        is_right = type(value) is _OF_OTHER_TYPES.get(name, str) or (value is None and name in _UNKNOWN)
        if not is_right or (name == "batch" and value < 1):
            raise TypeError(f"{name} is {value!r}")


def sidecar_of(engine: Path) -> Path:
    """x.engine.json."""
    return engine.with_name(engine.name + ".json")


def find_sidecar(engine: Path) -> Path:
    """GsegError when it is not there."""
    sidecar = sidecar_of(engine)
    if not sidecar.is_file():
        hint = f"copy {sidecar.name} from where the engine was built, or {REBUILD}"
        raise GsegError(f"{engine}: lacks {sidecar.name}, which describes the engine, beside it", hint)
    return sidecar


def read_facts(engine: Path) -> EngineFacts:
    """What stands beside an engine; GsegError when either file is missing, damaged, or of the other's making."""
    if not engine.is_file():
        raise GsegError(f"{engine}: no such engine")
    sidecar = find_sidecar(engine)
    data = read_json(sidecar)
    try:
        facts = EngineFacts.from_json(data)
    except KeyError as error:
        raise GsegError(f"{sidecar}: no description of an engine: lacks {error}", REBUILD) from error
    except TypeError as error:
        raise GsegError(f"{sidecar}: not as it was written with the engine: {error}", REBUILD) from error
    except ModelCardError as error:
        raise ModelCardError(f"{sidecar}: {error.message}", error.hint or REBUILD) from error
    if data.get("format") != FORMAT or facts.tensorrt not in MODULES:
        raise GsegError(
            f"{sidecar}: format {data.get('format')}, {facts.tensorrt}: which this version does not read", REBUILD
        )
    if sha256_file(engine) != facts.engine_sha256:
        raise GsegError(f"{engine}: not the engine that {sidecar.name} describes, or a damaged one", REBUILD)
    return facts
