"""A run: one numbered folder `runs/0003-distill` with all that one training said and made.

config.json, env.json, log.txt, metrics.jsonl, previews/*.png and checkpoint.safetensors.
"""

import fcntl
import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gseg_cli import __version__
from gseg_runtime.errors import ConfigError, GsegError
from gseg_runtime.files import parse_json, read_json, write_json, write_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

FORMAT = 1
CHECKPOINT = "checkpoint.safetensors"
LOG = "log.txt"
CONFIG = "config.json"
METRICS = "metrics.jsonl"
EDITED = "put it back as it was, or start another run without --resume"


@dataclass(frozen=True)
class Run:
    """A folder to train in. Files are opened for each line, so nothing is lost when the process dies."""

    dir: Path
    start_s: float = field(default_factory=time.monotonic)

    @property
    def checkpoint(self) -> Path:
        return self.dir / CHECKPOINT

    @property
    def config(self) -> Path:
        return self.dir / CONFIG

    def saved(self) -> tuple[dict[str, Any], list[dict[str, str]]]:
        """The config and the parents that `open_run` was given; ConfigError when the file was edited to hold others."""
        match read_json(self.config):
            case {"config": dict(config), "parents": list(parents)} if all(map(_is_parent, parents)):
                return config, parents
        raise ConfigError(f"{self.config}: expected config and parents, as gseg wrote them", EDITED)

    @contextmanager
    def held(self, *, is_needed: bool = True) -> Iterator[None]:
        """Keep other processes from training here until the `with` ends, or this process does, however it goes.

        is_needed: False in all but the first of processes that train together. GsegError when another one is at it.
        """
        if not is_needed:
            yield
            return
        with (self.dir / LOG).open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                hint = "wait until it has ended; --resume goes on only where it was interrupted"
                raise GsegError(f"{self.dir}: another process is training in this run", hint) from error
            except OSError:  # some network drives know no locks
                pass
            yield

    def log(self, text: str) -> None:
        """A line of log.txt, with the time."""
        _append(self.dir / LOG, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ} {text}")

    def metric(self, step: int, **values: float) -> None:
        """A line of metrics.jsonl: the step, the seconds since the run was opened, and the named values."""
        wall_s = round(time.monotonic() - self.start_s, 3)
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}  # JSON has no nan
        _append(self.dir / METRICS, json.dumps({"step": step, "wall_s": wall_s, **finite}))

    def forget_after(self, step: int) -> None:
        """Drop the metrics that a killed process wrote after it last saved its state: they are written again."""
        path = self.dir / METRICS
        lines = path.read_bytes().decode(errors="replace").splitlines() if path.is_file() else []
        kept = [line for line in lines if line.endswith("}") and _step_of(line, path) <= step]
        if len(kept) < len(lines):
            write_text(path, "".join(line + "\n" for line in kept))

    def preview(self, name: str, image: "npt.NDArray[np.uint8]") -> Path:
        """Write an image, uint8 [H, W, 3], to previews/NAME.png; the path."""
        return self.picture(f"previews/{name}", image)

    def picture(self, name: str, image: "npt.NDArray[np.uint8]") -> Path:
        """Write an image, uint8 [H, W, 3], to NAME.png; the path."""
        from gseg_cli.picture_files import write_picture

        path = self.dir / f"{name}.png"
        write_picture(path, image)
        return path


def open_run(
    runs_dir: Path,
    kind: str,
    config: Mapping[str, Any],
    parents: Sequence[Mapping[str, str]] = (),
    device: "torch.device | None" = None,
) -> Run:
    """Create `runs_dir/NNNN-kind` with its config.json and env.json, before any work is done.

    config: JSON values. parents: what `gseg_cli.checkpoint.parent_of` returns. device: what the work is done on.
    """
    run = Run(_new_folder(runs_dir, kind))
    about = {"format": FORMAT, "kind": kind, "created_by": f"gseg {__version__}"}
    write_json(run.config, {**about, "config": dict(config), "parents": [dict(p) for p in parents]})
    write_json(run.dir / "env.json", describe_environment(device))
    run.log(f"{kind} started")
    return run


def list_runs(runs_dir: Path, kind: str | None = None) -> list[Path]:
    """The run folders, oldest first, of one kind or of all."""
    pattern = f"[0-9][0-9][0-9][0-9]-{kind or '*'}"
    return sorted(path for path in runs_dir.glob(pattern) if path.is_dir())


def _new_folder(runs_dir: Path, kind: str) -> Path:
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{runs_dir}: no folder of runs can be made here: {error.strerror}"
        raise GsegError(message, "name another folder with --runs") from error
    last = max((int(path.name[:4]) for path in list_runs(runs_dir)), default=0)
    for number in range(last + 1, 10_000):
        path = runs_dir / f"{number:04d}-{kind}"
        with suppress(FileExistsError):  # another process took the number just now
            path.mkdir()
            return path
    raise GsegError(f"{runs_dir}: holds run 9999 already", hint="move old runs elsewhere")


def describe_environment(device: "torch.device | None") -> dict[str, Any]:
    """What a result may depend on besides its config: versions, hardware, command line, start time."""
    return {
        "gseg": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("torch", "numpy", "onnx", "onnxruntime", "safetensors")},
        "os": platform.platform(),
        "num_cores": os.cpu_count(),
        "gpu": _gpu_name(device),
        "argv": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu_name(device: "torch.device | None") -> str | None:
    if device is None or device.type != "cuda":
        return None
    import torch  # whoever has a device has imported it; nobody else should have to

    return torch.cuda.get_device_name(device)


def _is_parent(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("kind", "path", "sha256"))


def _step_of(line: str, path: Path) -> int:
    """Of a line of metrics.jsonl; GsegError for one that `Run.metric` did not write."""
    try:
        row = parse_json(line)
    except ValueError:
        row = None
    match row:
        case {"step": int(step)} if all(value is None or isinstance(value, int | float) for value in row.values()):
            return step
    message = f"{path}: expected lines of step and figures, got {line[:60]!r}"
    raise GsegError(message, "take that line out, or the file away: it holds nothing but the figures of curves")


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
