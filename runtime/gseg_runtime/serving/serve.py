"""The server as a whole: a model, a socket, and all that lies between."""

import socket
from collections.abc import Collection
from contextlib import closing
from ipaddress import ip_address

from gseg_runtime.errors import at_least_one
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.serving.app import ServeConfig, make_app
from gseg_runtime.serving.guard import LOOPBACK
from gseg_runtime.serving.metrics import Metrics
from gseg_runtime.serving.pipeline import Pipeline
from gseg_runtime.serving.server import run
from gseg_runtime.workers import num_cores

PATIENCE_S = 10  # that requests in hand get to end


def serve(model: LoadedModel, listener: socket.socket, config: ServeConfig) -> None:
    """Answer until Ctrl-C or a signal to end."""
    at_least_one("workers", config.workers)
    metrics = Metrics()
    with closing(Pipeline(model, config.workers or num_cores(), config.max_in_hand, metrics.batch)) as pipeline:
        metrics.watch(lambda: pipeline.num_in_hand)
        run(make_app(model, pipeline, metrics, config), listener, patience_s=PATIENCE_S)


def names_for(host: str, listener: socket.socket, allowed: Collection[str]) -> Collection[str]:
    """The names that Host may have when the server listens on `host`, as the socket does; empty for any.

    Beyond this machine nobody knows the names that a server has, so unless some are given every name will do. `host`
    itself is always one: the address that is printed has it.
    """
    address = ip_address(listener.getsockname()[0])  # of the many spellings that a host may have
    is_loopback = (getattr(address, "ipv4_mapped", None) or address).is_loopback
    if not is_loopback and not allowed:
        return ()
    return (*LOOPBACK, f"[{host}]" if ":" in host else host, *allowed)
