"""The routes, thin: read a photo, let the pipeline do it, answer. What they promise: docs/serve.md."""

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gseg_runtime.errors import AnswerError, GsegError, ImageError, UsageError
from gseg_runtime.images import Decoding
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.pillow import is_too_large
from gseg_runtime.serving.answers import Form, parse_form
from gseg_runtime.serving.guard import LOOPBACK, Guard, refusal
from gseg_runtime.serving.metrics import MEDIA_TYPE, Metrics
from gseg_runtime.serving.pipeline import BusyError, Pipeline

CONFIDENCE = "Gseg-Confidence"  # a header of answers
PAGE = Path(__file__).parent / "page"
MEGABYTE = 10**6
_log = logging.getLogger(__name__)
_HOW = "send the picture itself as the body: curl --data-binary @photo.jpg"


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """How much is taken at once. max_in_hand: requests, more are refused; max_megabytes: of one body; max_pixels: of
    one photo.

    body_s: seconds that a body may take to arrive. workers: threads, None for one per core. names: see `Guard`.
    """

    max_in_hand: int = 64
    max_megabytes: int = 32
    max_pixels: int = 64_000_000
    body_s: float = 30.0
    workers: int | None = None
    names: Collection[str] = LOOPBACK


class _RefusedError(GsegError):
    """A request that is not read to its end."""

    def __init__(self, status: int, message: str, hint: str | None) -> None:
        super().__init__(message, hint)
        self.status = status


def make_app(model: LoadedModel, pipeline: Pipeline, metrics: Metrics, config: ServeConfig) -> Starlette:

    async def segment(request: Request) -> Response:
        start_s, response = time.perf_counter(), Response(status_code=500)
        try:
            response = await _segment(request, pipeline, metrics, config)
        except GsegError as error:
            response = _told(error)
        except MemoryError:
            response = _told(BusyError("not enough memory for this photo", "try again later, or send a smaller one"))
        finally:
            metrics.answered(response.status_code, time.perf_counter() - start_s)
        return response

    async def about(request: Request) -> Response:
        return JSONResponse({"device": model.device, "sha256": model.sha256, "card": model.card.to_json()})

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def measured(request: Request) -> Response:
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    return Starlette(
        routes=[
            Route("/segment", segment, methods=["POST"]),
            Route("/model", about),
            Route("/health", health),
            Route("/metrics", measured),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(Guard, names=config.names)],
        exception_handlers={HTTPException: _plain, Exception: _bug},
    )


async def _segment(request: Request, pipeline: Pipeline, metrics: Metrics, config: ServeConfig) -> Response:
    form: Form = parse_form(request.query_params.get("as", "png"))
    with pipeline.place():
        answer = await pipeline.segment(await _body(request, config), form, Decoding(max_pixels=config.max_pixels))
    if answer.confidence is None:
        return Response(answer.data, media_type=answer.media_type)
    metrics.photo(answer.confidence)
    return Response(answer.data, media_type=answer.media_type, headers={CONFIDENCE: f"{answer.confidence:.4f}"})


async def _body(request: Request, config: ServeConfig) -> bytes:
    limit = config.max_megabytes * MEGABYTE
    too_large = _RefusedError(413, f"more than {config.max_megabytes} MB in one body", "send a smaller picture")
    if (length := request.headers.get("content-length", "0")).isdecimal() and int(length) > limit:
        raise too_large
    parts, num_bytes = [], 0
    try:
        async with asyncio.timeout(config.body_s):
            async for part in request.stream():
                num_bytes += len(part)
                if num_bytes > limit:  # a body may come in parts without saying how long it gets
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise _RefusedError(408, f"the body took more than {config.body_s:g} seconds", None) from None
    except ClientDisconnect:
        raise _RefusedError(400, "the body ended early", None) from None
    if not num_bytes:
        raise UsageError("there is no body", _HOW)
    return b"".join(parts)


def _told(error: GsegError) -> Response:
    """An error that whoever asks, or whoever runs the server, can mend."""
    match error:
        case BusyError():
            answer = refusal(503, error.message, error.hint)
            answer.headers["Retry-After"] = "1"
            return answer
        case _RefusedError():
            return refusal(error.status, error.message, error.hint)
        case UsageError():
            return refusal(400, error.message, error.hint)
        case AnswerError():
            return _json(500, error.message, error.hint)
        case ImageError() if is_too_large(error.__cause__):
            return _json(413, error.message, "send a smaller picture")
        case ImageError():
            return _json(422, error.message, error.hint or _HOW)
        case _:
            _log.error("%s", error.message)
            return _json(500, error.message, error.hint)


def _json(status: int, error: str, hint: str | None) -> Response:
    return JSONResponse({"error": error, "hint": hint}, status)


async def _plain(request: Request, error: Any) -> Response:
    """Of Starlette's own: no such route, no such method."""
    return _json(error.status_code, error.detail, "POST a photo to /segment")


async def _bug(request: Request, error: Exception) -> Response:
    return _json(500, f"internal error: {type(error).__name__}", "this is a bug in gseg")
