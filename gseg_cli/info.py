"""What a file or folder that gseg wrote says of itself. Needs no PyTorch."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gseg_cli.builtin import PREFIX
from gseg_cli.checkpoint import is_ours, read_header, read_meta
from gseg_cli.gan.foreign.recognise import OPENED, check_folder
from gseg_cli.gan.info import count_parameters, describe_foreign_gan, gan_facts
from gseg_cli.project import PARTS, Project, locate_gan
from gseg_cli.project_file import FILE
from gseg_cli.runs import CHECKPOINT, CONFIG, LOG, METRICS, list_runs
from gseg_runtime.errors import CheckpointError, GsegError
from gseg_runtime.files import INCOMPLETE, parse_json, read_json, sha256_file

# The file in which a folder describes itself, and what the folder is.
DESCRIBED_BY = {
    "demo.json": "demo",
    "samples.json": "samples",
    "annotations.json": "annotations",
    "gseg-report.json": "masks",
    "toy-faces.json": "toy-faces",
    "dataset.json": "dataset",
    "reproduce.json": "reproduce",
    "pairs.json": "pairs",
}
OF_RUN = (CONFIG, "env.json", METRICS, LOG)  # which say nothing alone
HINT = "gseg info reads checkpoints, GANs of other programs, models (.onnx, .engine), and the folders that gseg writes"


def describe(path: Path) -> dict[str, Any]:
    """The facts about `path`, "kind" and "path" first; GsegError when gseg did not write it."""
    if str(path).startswith(PREFIX):
        path = locate_gan(str(path), Path(), source=str(path))
    if path.is_dir():
        return _describe_folder(path)
    if not path.exists():
        raise GsegError(f"{path}: no such file or folder", HINT)
    if path.suffix.lower() == ".onnx":
        return _describe_model(path)
    if path.suffix.lower() == ".engine":
        return _describe_engine(path)
    if path.name == FILE:
        return _describe_project(path.parent)
    if path.name in DESCRIBED_BY or (path.name in OF_RUN and _is_run(path.parent)):
        return _describe_folder(path.parent)
    if is_ours(path):
        return _describe_checkpoint(path)
    try:
        return {**describe_foreign_gan(path), **_file_facts(path)}
    except CheckpointError as error:  # which GANs are read helps nobody who gave a photo or a text
        raise CheckpointError(error.message, HINT if error.hint == OPENED else error.hint) from error


def _describe_checkpoint(path: Path) -> dict[str, Any]:
    meta = read_meta(path)
    header = read_header(path)
    weights = {name for name in header if name != "__metadata__" and not _is_no_weight(name, meta["kind"])}
    parts = count_parameters({name: header[name]["shape"] for name in weights})
    return {
        "kind": meta["kind"],
        "path": path,
        **gan_facts(path, meta["kind"], meta["config"], meta, parts),
        **meta,
        **({"num_parameters": sum(parts.values()), "num_parameters_of": parts} if parts else {}),
        **_file_facts(path),
    }


def _is_no_weight(name: str, kind: str) -> bool:
    """Whether a tensor is a counter, or what an optimiser knows of a weight, or what somebody drew or labelled."""
    if kind.endswith("-state"):
        return "." not in name or bool(re.fullmatch(r"[^.]+\.\d+\.(step|exp_avg|exp_avg_sq)", name))
    return kind == "latents" or (kind == "fewshot" and name.startswith("annotated."))


def _describe_model(path: Path) -> dict[str, Any]:
    from gseg_runtime.onnx_file import read_card

    return {"kind": "model", "path": path, **read_card(path).to_json(), **_file_facts(path)}


def _describe_engine(path: Path) -> dict[str, Any]:
    """What stands beside it, its model card among the rest."""
    from gseg_runtime.engine_file import find_sidecar

    facts = _read_facts(find_sidecar(path))
    return {"kind": "engine", "path": path, **facts.pop("card", {}), **facts, **_file_facts(path)}


def _file_facts(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _describe_folder(path: Path) -> dict[str, Any]:
    if (path / FILE).is_file():
        return _describe_project(path)
    for name, kind in DESCRIBED_BY.items():
        if (path / name).is_file() and "kind" in (facts := _read_facts(path / name)):  # NVIDIA's dataset.json has none
            return {"kind": kind, "path": path, **facts, "is_complete": not (path / INCOMPLETE).exists()}
    if _is_run(path):
        return _describe_run(path)
    if (path / INCOMPLETE).is_file():
        raise GsegError(f"{path}: left unfinished by an interrupted command", "run the command again with --overwrite")
    if any(map(_is_run, runs := list_runs(path))) or _is_part(path):
        return _describe_part(path, [run.name for run in runs])
    check_folder(path)
    raise GsegError(f"{path}: not a folder that gseg wrote", HINT)


def _is_run(path: Path) -> bool:
    return (path / "config.json").is_file() and (path / "env.json").is_file()


def _is_part(path: Path) -> bool:
    """Whether it holds no file that describes it, but lies in a folder of gseg's that does."""
    path = path.resolve()
    if (path.parent / FILE).is_file():
        return path.name in PARTS
    if path.parent.name in PARTS and (path.parent.parent / FILE).is_file():  # predictions/labelme and its like
        return True
    return _is_run(path.parent) or any((path.parent / name).is_file() for name in DESCRIBED_BY)


def _describe_part(path: Path, runs: Sequence[str]) -> dict[str, Any]:
    """What it holds: of runs and exports those, of others all that one may see."""
    name = path.resolve().name
    if runs or name == "runs":
        return {"kind": "runs", "path": path, "runs": runs}
    files = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    if name == "exports":
        return {"kind": name, "path": path, "models": [file for file in files if file.endswith((".onnx", ".engine"))]}
    return {"kind": name, "path": path, "files": files}


def _read_facts(path: Path) -> dict[str, Any]:
    facts = read_json(path)
    if not isinstance(facts, dict):
        raise GsegError(f"{path}: expected a JSON object, got {type(facts).__name__}", "make the folder again")
    return facts


def _describe_run(path: Path) -> dict[str, Any]:
    config = _read_facts(path / "config.json")
    last = _last_metrics(path / "metrics.jsonl")
    return {
        "kind": "run",
        "path": path,
        "of": config.get("kind"),
        "created_by": config.get("created_by"),
        "started": _read_facts(path / "env.json").get("started"),
        "config": config.get("config"),
        "parents": config.get("parents", []),
        "last_metrics": last,
        "checkpoint": path / CHECKPOINT if (path / CHECKPOINT).is_file() else None,
    }


def _last_metrics(path: Path) -> dict[str, Any] | None:
    """The last whole line; a killed process may have left half a line behind it."""
    if not path.is_file():
        return None
    for line in reversed(path.read_bytes().decode(errors="replace").splitlines()):
        try:
            return parse_json(line)
        except ValueError:
            continue
    return None


def _describe_project(path: Path) -> dict[str, Any]:
    project = Project.open(path)
    gan_path, masks = project.gan_path, list((project.labelled_dir / "masks").rglob("*.png"))
    return {
        "kind": "project",
        "path": path,
        "name": project.name,
        "resolution": project.resolution,
        "gan": {"path": gan_path, "sha256": sha256_file(gan_path)},
        "classes": project.classes.to_json(),
        "num_samples": len(list(project.samples_dir.glob("*.png"))),
        "num_annotations": len(list(project.annotations_dir.glob("*.png"))),
        **({"num_labelled_photos": len(masks)} if project.labelled_dir.is_dir() else {}),
        "runs": [run.name for run in list_runs(project.runs_dir)],
        "exports": sorted(file.name for file in project.exports_dir.glob("*") if file.is_file()),
    }


def format_facts(facts: Mapping[str, Any]) -> str:
    """The facts as aligned lines, long lists shortened; a line for each, whatever the file says."""
    width = max(map(len, facts))
    lines = (f"{name:{width}}  {_short(value)}" for name, value in facts.items() if value is not None)
    return "\n".join(line.replace("\n", "\\n") for line in lines)


def _short_of(name: str, value: Any) -> str:
    if name.startswith("bytes_"):
        return f"{value / 1e9:.1f} GB" if value > 1e9 else f"{value / 1e6:.1f} MB"
    return _short(value)


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:  # a class
        return str(value["name"])
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short_of(name, item)}" for name, item in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        separator = "; " if any(isinstance(item, Mapping) and "name" not in item for item in value) else ", "
        shown = separator.join(_short(item) for item in value[:12])
        return f"{shown} ... ({len(value)} in all)" if len(value) > 12 else shown or "none"
    return str(value)
