"""_gseg/run.json: what all who write to one place agree on. Whoever comes first creates it, and nobody changes it."""

import json
import secrets
from collections.abc import Callable
from typing import Any

from gseg_runtime.errors import GsegError
from gseg_runtime.files import parse_json
from gseg_runtime.made_with import both
from gseg_runtime.remote.store import Store

RUN = "_gseg/run.json"
FORMAT = 1
# What decides the masks, beside their settings, their names, and what lies beside them.
_AGREED = {
    **{"model_sha256": "model", "source": "source"},
    **{"files": "files beside the masks", "cutout": "cut-out classes"},
}


def look(out: Store, facts: dict[str, Any], *, resume: bool) -> bool:
    """Whether a run with these facts is there to be gone on with. Nothing is written.

    GsegError: `out` holds something else, or a run that is not to be gone on with, or one of other facts.
    """
    there = _read(out)
    if there is None and next(iter(out.keys()), None) is not None:
        there = _read(out)  # another process may have come first just now
        if there is None:
            raise GsegError(f"{out.name}: not empty, so no masks are written there", "choose another place")
    if there is None:
        return False
    _check(out, facts, there, resume=resume)
    return True


def begin(out: Store, facts: dict[str, Any], *, resume: bool, warn: Callable[[str], None] | None) -> bool:
    """Create run.json with these facts, or agree with the one that is there. Whether it was there.

    GsegError as of `look`.
    """
    if look(out, facts, resume=resume):
        return True
    mine = {"format": FORMAT, "kind": "run", "id": secrets.token_hex(8), **facts}
    there = _create(out, mine, warn)
    if there == mine:
        return False
    _check(out, facts, there, resume=resume)
    return True


def _create(out: Store, mine: dict[str, Any], warn: Callable[[str], None] | None) -> dict[str, Any]:
    """What is there then, which another process may have written."""
    data = (json.dumps(mine, indent=2) + "\n").encode()
    out.create(RUN, data)
    if out.create(RUN, data) and warn is not None:
        warn(f"{out.name}: this store creates what is there already, so begin one run at a time here")
    return _read(out) or mine


def _read(out: Store) -> dict[str, Any] | None:
    try:
        there = parse_json(out.read(RUN))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise GsegError(f"{out.name}/{RUN}: not valid JSON: {error}") from error
    except GsegError:
        raise
    except Exception as error:
        raise GsegError(f"{out.name}: cannot be read: {error}", "check the address and your credentials") from error
    if not isinstance(there, dict) or there.get("kind") != "run" or there.get("format") != FORMAT:
        raise GsegError(f"{out.name}/{RUN}: expected kind run and format {FORMAT}", "choose another place")
    return there


def _check(out: Store, facts: dict[str, Any], there: dict[str, Any], *, resume: bool) -> None:
    if not resume:
        raise GsegError(f"{out.name}: holds a run of gseg already", "--resume goes on with it; or choose another place")
    for key, what in _AGREED.items():
        if there.get(key) != facts[key]:
            message = f"{out.name}: cannot resume: its {what} is {there.get(key)}, not {facts[key]}"
            raise GsegError(message, "use the same as before, or choose another place")
    if there.get("settings") != facts["settings"]:
        before, now = both(there.get("settings"), facts["settings"])
        message = f"{out.name}: cannot resume: its masks were made {before}, not {now}"
        raise GsegError(message, f"go on {before}, or choose another place")
