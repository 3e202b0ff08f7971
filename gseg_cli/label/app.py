"""The routes, thin: read what was asked, let the session do it, answer. What they promise: docs/label.md."""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gseg_cli.label.accept import Wish
from gseg_cli.label.errors import NotThereError, StaleError, UnsavedError
from gseg_cli.label.guard import Guard
from gseg_cli.label.journal import Rectangle
from gseg_cli.label.session import Session
from gseg_cli.label.store import Patch, State
from gseg_cli.label.tokens import Tokens
from gseg_runtime.errors import GsegError, UsageError

PAGE = Path(__file__).parent / "page"
_MAX_JSON = 2**16  # bytes
_STATUS = {StaleError: 409, NotThereError: 404, UnsavedError: 503}  # the page sends again what gets 503


def make_app(session: Session, tokens: Tokens) -> Starlette:
    """Answers to whoever has the cookie that a token earns."""
    max_body = max(_MAX_JSON, session.store.size**2)
    return Starlette(
        routes=[*_page(), *_routes(session)],
        middleware=[Middleware(Guard, tokens=tokens, max_body=max_body)],
        exception_handlers={GsegError: _told, OSError: _disk, HTTPException: _plain, Exception: _bug},
    )


def _page() -> list[Route | Mount]:
    async def index(request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    return [Route("/", index), Mount("/page", StaticFiles(directory=PAGE))]


def _routes(session: Session) -> list[Route]:
    """Work is done in a thread, so that the loop goes on."""

    def check_key(request: Request) -> None:
        session.check_key(_seed(request), request.query_params.get("classes", session.classes_key))

    async def project(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(session.project))

    async def more(request: Request) -> Response:
        count = _whole(await _body(request), "count")
        return JSONResponse({"samples": await run_in_threadpool(session.more, count)})

    async def image(request: Request) -> Response:
        return FileResponse(await run_in_threadpool(session.image, _seed(request)), media_type="image/png")

    async def labels(request: Request) -> Response:
        labels, state = await run_in_threadpool(session.show, _seed(request))
        facts = {"X-Rev": state.rev, "X-Can-Undo": int(state.can_undo), "X-Can-Redo": int(state.can_redo)}
        return _raw(labels.tobytes(), {**facts, "X-Classes": session.classes_key})

    async def draw(request: Request) -> Response:
        rev, *where = (_query(request, name) for name in ("rev", "x", "y", "w", "h"))
        rectangle, data = Rectangle(*where), np.frombuffer(await request.body(), np.uint8)
        check_key(request)
        if data.size != rectangle.w * rectangle.h:
            raise UsageError(f"expected {rectangle.w}x{rectangle.h} bytes, got {data.size}")
        pixels = data.reshape(rectangle.h, rectangle.w)
        return JSONResponse(_state(await run_in_threadpool(session.draw, _seed(request), rev, rectangle, pixels)))

    async def step(request: Request) -> Response:
        check_key(request)
        move = session.undo if request.url.path.endswith("/undo") else session.redo
        rev = _whole(await _body(request), "rev")
        return _patch(await run_in_threadpool(move, _seed(request), rev))

    async def accept(request: Request) -> Response:
        check_key(request)
        data = await _body(request)
        rev, wish = _whole(data, "rev"), Wish.of_json(data)
        return _patch(await run_in_threadpool(session.accept, _seed(request), rev, wish))

    async def prediction(request: Request) -> Response:
        found = session.teacher.shelf.whole(_seed(request), request.path_params["id"])
        return _raw(found.packed())

    async def small(request: Request) -> Response:
        found = session.teacher.shelf.small(_seed(request), request.path_params["id"])
        return _raw(found.packed(), {"X-Size": found.size})

    async def add_class(request: Request) -> Response:
        data = await _body(request)
        return _classes(await run_in_threadpool(session.add_class, _text(data, "name") or "", _text(data, "color")))

    async def change_class(request: Request) -> Response:
        index, data = _path_number(request, "index"), await _body(request)
        name, color = _text(data, "name"), _text(data, "color")
        return _classes(await run_in_threadpool(session.change_class, index, name, color))

    async def next_sample(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(session.next))

    async def events(request: Request) -> Response:
        return StreamingResponse(session.events.listen(), media_type="text/event-stream")

    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "project", project),
        ("POST", "samples", more),
        ("GET", "samples/{seed}/image", image),
        ("GET", "samples/{seed}/labels", labels),
        ("PUT", "samples/{seed}/labels", draw),
        ("POST", "samples/{seed}/undo", step),
        ("POST", "samples/{seed}/redo", step),
        ("POST", "samples/{seed}/accept", accept),
        ("GET", "samples/{seed}/prediction/{id}", prediction),
        ("GET", "samples/{seed}/small/{id}", small),
        ("POST", "classes", add_class),
        ("PATCH", "classes/{index}", change_class),
        ("GET", "next", next_sample),
        ("GET", "events", events),
    ]
    return [Route(f"/api/{path}", endpoint, methods=[method]) for method, path, endpoint in table]


def _raw(data: bytes, facts: Mapping[str, int | str] | None = None) -> Response:
    headers = {name: str(value) for name, value in (facts or {}).items()}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _state(state: State) -> dict[str, Any]:
    return {"rev": state.rev, "can_undo": state.can_undo, "can_redo": state.can_redo}


def _patch(patch: Patch | None) -> Response:
    if patch is None:
        return Response(status_code=204)
    labels = base64.b64encode(patch.labels.tobytes()).decode()
    return JSONResponse({**vars(patch.where), "labels": labels, **_state(patch.state)})


def _classes(classes: list[dict[str, Any]]) -> Response:
    return JSONResponse({"classes": classes})


def _seed(request: Request) -> int:
    return _path_number(request, "seed")


def _path_number(request: Request, name: str) -> int:
    text = request.path_params[name]
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII):
        raise NotThereError(f"there is no {name} of that kind")
    return int(text)


def _query(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise UsageError(f"{name}: expected a whole number")
    return int(text)


async def _body(request: Request) -> dict[str, Any]:
    try:
        data = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UsageError("expected JSON") from error
    if not isinstance(data, dict):
        raise UsageError("expected a JSON object")
    return data


def _whole(data: Mapping[str, Any], key: str) -> int:
    if type(data.get(key)) is not int:
        raise UsageError(f"{key}: expected a whole number")
    return data[key]


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{key}: expected text")
    return value


async def _told(request: Request, error: Any) -> Response:
    """An error that a person can mend."""
    more = {"rev": error.rev} if isinstance(error, StaleError) else {}
    return JSONResponse({"error": error.message, "hint": error.hint, **more}, _STATUS.get(type(error), 400))


async def _disk(request: Request, error: Any) -> Response:
    hint = "check the disk and its permissions"
    return JSONResponse({"error": f"cannot be saved: {error.strerror or error}", "hint": hint}, 500)


async def _plain(request: Request, error: Any) -> Response:
    """Of Starlette's own: no such route, no such method, too much."""
    return JSONResponse({"error": error.detail, "hint": None}, error.status_code, headers=error.headers)


async def _bug(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"internal error: {type(error).__name__}", "hint": "this is a bug in gseg"}, 500)
