"""A model on an NVIDIA Triton Inference Server, asked over gRPC: `gseg export --triton` puts it there."""

import re
from collections.abc import Sequence
from hashlib import sha256
from queue import SimpleQueue
from types import ModuleType
from typing import Any

from gseg_runtime.backends.base import INPUT, LABELS, LOGITS, OUTPUTS, Answer, Backend, check_card
from gseg_runtime.errors import BackendUnavailable, GsegError, ModelCardError, UsageError
from gseg_runtime.label_map import Pixels
from gseg_runtime.model_card import ModelCard
from gseg_runtime.onnx_file import parse_card
from gseg_runtime.pip_hint import install

SCHEME = "triton://"
_PORT = 8001  # Triton's own for gRPC
_NUM_CLIENTS = 3  # batches under way at once; each client is for one thread
_PATIENCE_S = 120.0  # for an answer
_EXPORT = "put the model there with gseg export --triton DIR"
_MOST = 32  # photos that are sent together, where the server takes as many
_MOST_BYTES = 2**28  # of logits that are asked for together: gRPC takes no message of 2 GB


class TritonBackend(Backend):
    """address: triton://HOST[:PORT]/MODEL. sha256: of the model's file, or else of its card.

    UsageError for another address, BackendUnavailable when the server or the model is not to be had, ModelCardError
    when the model is not one of gseg's.
    """

    def __init__(self, address: str) -> None:
        url, self._model = _parse(address)
        self._grpc = _import()
        self.name = f"Triton, {url}, {self._model}"
        self._clients: SimpleQueue[Any] = SimpleQueue()
        for _ in range(_NUM_CLIENTS):
            self._clients.put(self._grpc.InferenceServerClient(url))
        config = self._config(address)
        self.card, self.sha256 = _card(config, address)
        _check(config, self.card, address)
        self.outputs = tuple(name for name in OUTPUTS if name in {each.name for each in config.output})
        self.batch = max(1, min(_MOST, config.max_batch_size, _most_answers(self.card, self.outputs)))

    def _config(self, address: str) -> Any:
        client = self._clients.get()
        try:
            return client.get_model_config(self._model, client_timeout=_PATIENCE_S).config
        except self._grpc.InferenceServerException as error:
            hint = "is the server running, is this its port for gRPC, and has it loaded the model?"
            raise BackendUnavailable(f"{address}: {error.message()}", hint) from error
        finally:
            self._clients.put(client)

    def infer(self, images: Pixels, outputs: Sequence[str]) -> list[Answer]:
        """As of `Backend`. GsegError when the server does not answer so."""
        tensor = self._grpc.InferInput(INPUT, list(images.shape), "UINT8")
        tensor.set_data_from_numpy(images)
        wanted = [self._grpc.InferRequestedOutput(name) for name in outputs]
        client = self._clients.get()
        try:
            answer = client.infer(self._model, [tensor], outputs=wanted, client_timeout=_PATIENCE_S)
            return [answer.as_numpy(name) for name in outputs]
        except self._grpc.InferenceServerException as error:
            raise GsegError(f"{self.name}: {error.message()}", "look at the server's log") from error
        finally:
            self._clients.put(client)

    def close(self) -> None:
        """Hang up."""
        for _ in range(_NUM_CLIENTS):
            self._clients.get().close()


def is_triton(device: str) -> bool:
    """Whether a device is a model on a server."""
    return device.lower().startswith(SCHEME)


def _parse(address: str) -> tuple[str, str]:
    match = re.fullmatch(rf"(?i:{SCHEME})([^/\s]+?)(:\d+)?/([^/\s]+)", address)
    if not match:
        raise UsageError(f"device: expected {SCHEME}HOST[:PORT]/MODEL, got {address!r}")
    return f"{match[1]}{match[2] or f':{_PORT}'}", match[3]


def _card(config: Any, address: str) -> tuple[ModelCard, str]:
    text = config.parameters["gseg"].string_value
    if not text:
        raise ModelCardError(f"{address}: has no gseg model card", _EXPORT)
    return parse_card(text, address), config.parameters["gseg_sha256"].string_value or sha256(text.encode()).hexdigest()


def _check(config: Any, card: ModelCard, address: str) -> None:
    """ModelCardError when the server has another network than the card tells of."""
    shapes = {each.name: [None, *each.dims] for each in (*config.input, *config.output)}  # dims leave out the batch
    if not {INPUT, LABELS} <= shapes.keys():
        raise ModelCardError(f"{address}: expected {INPUT} and {LABELS}, got {', '.join(shapes)}", _EXPORT)
    check_card(address, card, shapes)


def _most_answers(card: ModelCard, outputs: Sequence[str]) -> int:
    """How many photos may be in one answer."""
    return _MOST_BYTES // (4 * len(card.classes) * card.input_size**2) if LOGITS in outputs else _MOST


def _import() -> ModuleType:
    try:
        import tritonclient.grpc
    except ImportError as error:
        raise BackendUnavailable(f"Triton's client cannot be imported: {error}", install("triton")) from error
    return tritonclient.grpc
