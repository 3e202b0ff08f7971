"""What a resumed run of a student has in common with its beginning: options, labelled photos, files it was given.

Projects are moved, and commands called from other folders; so files are known by their contents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gseg_cli.distill.config import StudentConfig, differences
from gseg_cli.distill.labelled_photos import KIND as LABELLED
from gseg_cli.distill.labelled_photos import parents_of
from gseg_cli.runs import Run, list_runs
from gseg_runtime.errors import CheckpointError, ConfigError, GsegError, ProjectError
from gseg_runtime.files import read_json, sha256_file


def newest_run(runs_dir: Path, kind: str) -> Run:
    """The newest that was begun; ProjectError when there is none."""
    runs = [path for path in list_runs(runs_dir, kind) if (path / "config.json").is_file()]
    if not runs:
        raise ProjectError(f"{runs_dir}: no {kind} run to resume", "run it without --resume to start one")
    return Run(runs[-1])


def check_same(run: Run, config: StudentConfig, now: StudentConfig) -> None:
    """ConfigError when a resumed run is asked for something else."""
    for name, was, value in differences(config, now):
        message = f"{run.dir}: {name} was {was!r} when this run started, now {value!r}"
        raise ConfigError(message, hint="resume with the same options, or without any")


def labelled_of(run: Run) -> list[dict[str, str]]:
    """The labelled photos among a run's parents, as they were when it started: people may paint on meanwhile."""
    return [parent for parent in read_json(run.dir / "config.json")["parents"] if parent["kind"] == LABELLED]


def check_labelled(config: StudentConfig, parents: Sequence[Mapping[str, str]]) -> None:
    """GsegError when the labelled photos are others than those among the parents of a run, wherever they are now."""
    now, before = (
        [parent["sha256"] for parent in those if parent["kind"] == LABELLED]
        for those in (parents_of(config.labelled), parents)
    )
    if now != before:
        message = f"{config.labelled}: not the photos and masks that the run was started with"
        raise GsegError(message, "resume with those, or start another run without --resume")


def moved(config: StudentConfig, given: Mapping[str, Any], runs_dir: Path) -> StudentConfig:
    """With the labelled photos where they are said to be now, or are found, if the run had any."""
    if not config.labelled:
        return config
    return replace(config, labelled=given.get("labelled") or str(_places(Path(config.labelled), runs_dir)[0]))


def same_file(path: Path | None, parent: Mapping[str, str], option: str, runs_dir: Path) -> Path:
    """The file that a run was begun with, wherever it is now."""
    places = [path] if path else _places(Path(parent["path"]), runs_dir)
    found = {place: sha256_file(place) for place in places if place.is_file()}
    same = [place for place, sha256 in found.items() if sha256 == parent["sha256"]]
    if same:
        return same[0]
    if not found:
        message = f"{places[0]}: the run was started with this file, which is gone"
        raise CheckpointError(message, f"name it with {option}")
    place, got = next(iter(found.items()))
    message = f"{place}: the run was started with {parent['sha256'][:12]}, this is {got[:12]}"
    raise CheckpointError(message, f"name the file it was started with: {option}")


def _places(noted: Path, runs_dir: Path) -> list[Path]:
    """Where that may be now which a run noted: its project may have been moved, or be called from another folder. Then
    the end of the path leads to it. The noted path alone if it is nowhere."""
    names = noted.parts[noted.is_absolute() :]
    ends = (runs_dir.parent.joinpath(*names[i:]) for i in range(len(names)))
    return [place for place in (noted, *ends) if place.exists()] or [noted]
