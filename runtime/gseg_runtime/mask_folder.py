"""A folder of masks, whichever command fills it: planned, claimed, gone on with, and described when it is done."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gseg_runtime.errors import GsegError, OutputError
from gseg_runtime.files import (
    INCOMPLETE,
    LOCK,
    MARKERS,
    check_claim,
    check_owned,
    claim_folder,
    finish_folder,
    is_cut_off,
    write_json,
)
from gseg_runtime.least_sure import LeastSure
from gseg_runtime.manifest import MANIFEST, Done, Entry, ManifestWriter, has_full_names, place_of, read_manifest
from gseg_runtime.output_folder import OutputFolder, check_free
from gseg_runtime.plan import Job, Plan, beside, check_capitals, check_places, plan
from gseg_runtime.remote.run_file import RUN
from gseg_runtime.sources import Source

REPORT = "gseg-report.json"
FORMAT = 1  # of the report


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a command writes into its folder of masks.

    key: what decides the masks, as the hash of the model, and settings beside it, as of `Entry`; --resume goes on with
    those of the same only. suffixes: of the files beside each mask, as `beside` takes them; suffixes_of: the same of a
    photo that is done, where that is another question. tables: names of files about all photos. is_ours: whether the
    command wrote some other file; is_cut: whether it began one that is not there to its end. is_enough: whether the
    manifest says all of a photo that is wanted now.
    """

    key: str
    suffixes: tuple[str, ...]
    tables: tuple[str, ...]
    is_ours: Callable[[Path], bool]
    is_cut: Callable[[Path], bool] = is_cut_off
    is_enough: Callable[[Entry], bool] = lambda entry: True
    suffixes_of: Callable[[Entry], tuple[str, ...]] | None = None
    settings: dict[str, Any] | None = None

    def owns(self, path: Path) -> bool:
        """Whether an earlier run wrote the file; a link never is, nor a pipe."""
        if path.is_symlink() or not path.is_file():
            return False
        return path.name in (MANIFEST, REPORT, *self.tables) or self.is_ours(path)

    def are_in(self, folder: Path, entry: Entry) -> bool:
        """Whether an earlier run wrote all of this for a photo."""
        mask = Path(entry.mask)
        suffixes = self.suffixes_of(entry) if self.suffixes_of else self.suffixes
        return self.is_enough(entry) and all(self._is_there(folder / beside(mask, suffix)) for suffix in suffixes)

    def _is_there(self, path: Path) -> bool:
        try:
            return path.is_file() and not self.is_cut(path)
        except OSError:  # its name is too long
            return False


@dataclass(frozen=True)
class Failure:
    path: str
    reason: str


class MaskFolder:
    """A claimed folder, held with its manifest open until the `with` ends. It counts as incomplete until `finish`.

    jobs: all of them; todo: those of this run; num_skipped: those that an earlier one did. num_taken: photos of this
    run so far; num_done: those of them that did not fail. least_sure: of all that are done. failures: photos, and
    folders that could not be listed.
    """

    def __init__(
        self,
        path: Path,
        sources: Iterable[Source],
        contents: Contents,
        *,
        overwrite: bool,
        resume: bool,
        full_names: bool,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """overwrite, resume, full_names, shard: see `folder.FolderOptions`.

        Raises GsegError before anything is written: no photo, two that would write the same mask, `path` inside a
        source or in use, what is there made otherwise or not by gseg.
        """
        self._start_s = time.perf_counter()
        self.path = path
        self.jobs = plan(sources, full_names=full_names, suffixes=contents.suffixes).shard(*shard)
        check_places(self.jobs, path)
        self.out = OutputFolder(path, lambda: check_claim(path, "masks", overwrite=overwrite, resume=resume))
        try:
            self.todo = self._claim(contents, overwrite=overwrite, resume=resume)
            self._manifest = ManifestWriter(path)
        except BaseException:
            self.out.leave()
            raise
        self.num_skipped = len(self.jobs) - len(self.todo)
        self.num_taken = self.num_done = 0
        self.least_sure = LeastSure(read_manifest(path))
        self.failures = [Failure(path, reason) for path, reason in self.jobs.search.unlisted.items()]

    def _claim(self, contents: Contents, *, overwrite: bool, resume: bool) -> Plan:
        """The jobs to do, which are all of them unless an earlier run is gone on with."""
        if os.path.lexists(self.path / LOCK.upper()):
            check_capitals(self.jobs)
        if not resume:
            claim_folder(self.path, "masks", overwrite=overwrite, owned=contents.owns)
            return self.jobs
        todo, done = _go_on(self.path, self.jobs, contents)
        claim_folder(self.path, "masks", overwrite=overwrite, resume=True)
        for job in todo:  # the earlier run's manifest keeps no line of these
            done.forget(job.mask)
        done.rewrite()
        return todo

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        num_safe = 0 if self.out.is_deleted else self.num_skipped + self.num_done
        try:
            self._manifest.__exit__(kind, error, trace)
        finally:
            self.out.close()
        if isinstance(error, OutputError):
            safe = "1 mask is safe" if num_safe == 1 else f"{num_safe} masks are safe"
            raise OutputError(f"{error.message}; {safe}", error.hint) from error

    def take(self, entry: Entry) -> None:
        """Count an entry and put it into the manifest; of those that are done nothing is kept in memory.

        OutputError when the disk takes no more, or the folder is not there any more.
        """
        self.out.check()
        way = None if Path(entry.input).is_absolute() else os.path.relpath(entry.input, self.path)
        entry = replace(entry, way=way)
        self._manifest.add(entry)
        self.num_taken += 1
        if entry.error is None:
            self.num_done += 1
            self.least_sure.see(entry)
        else:
            self.failures.append(Failure(entry.input, entry.error))

    def doubtful(self) -> list[tuple[Job, float]]:
        """What `least_sure` holds as jobs, whatever folder an earlier run worked in."""
        found = self.least_sure.found()
        return [(Job(place_of(entry, self.path), Path(entry.mask)), confidence) for entry, confidence in found]

    def seconds(self) -> float:
        """Of wall time since the photos were looked for."""
        return time.perf_counter() - self._start_s

    def finish(self, report: Mapping[str, Any]) -> None:
        """Write gseg-report.json: nothing is missing any more. OutputError when the folder is not there."""
        self.out.check()
        write_json(self.path / REPORT, report)
        finish_folder(self.path)


def check_mask_folder(
    path: Path, sources: Iterable[Source], contents: Contents, *, overwrite: bool, resume: bool, full_names: bool
) -> int:
    """Raise what opening this `MaskFolder` would, before work that takes long; nothing is changed.

    Returns the number of photos that are to be done.
    """
    jobs = plan(sources, full_names=full_names, suffixes=contents.suffixes)
    check_places(jobs, path)
    if path.is_dir():
        check_free(path)
    check_claim(path, "masks", overwrite=overwrite, resume=resume)
    if resume:
        return len(_go_on(path, jobs, contents)[0])
    if path.is_dir():
        check_owned(path, contents.owns)
    return len(jobs)


def _go_on(path: Path, jobs: Plan, contents: Contents) -> tuple[Plan, Done]:
    """What --resume has still to do, and what is done. GsegError when it cannot go on; nothing is changed."""
    _check_names(path, jobs)
    done = Done(path, contents.key, lambda entry: contents.are_in(path, entry), contents.settings)
    todo = jobs.filtered(lambda job: not done.holds(job.photo, job.mask))
    _check_untaken(path, todo, done, contents)
    return todo, done


def _check_names(path: Path, jobs: Plan) -> None:
    """GsegError when --resume would name masks otherwise than those that are there, and make them all again."""
    is_full = has_full_names(path)
    if is_full is not None and is_full != jobs.full_names:
        there, hint = ("x.jpg.png, as with", "add") if is_full else ("x.png, as without", "leave out")
        message = f"{path}: its masks are named {there} --full-names"
        raise GsegError(message, f"{hint} --full-names, or choose another folder")


def _check_untaken(folder: Path, todo: Plan, done: Done, contents: Contents) -> None:
    """GsegError when --resume would write among or over what was not written by the same command."""
    if (folder / RUN).is_file():
        message = f"{folder}: holds a run between addresses, or on Ray, whose masks have other names"
        raise GsegError(message, "go on with it so (file:// makes an address of a folder), or choose another folder")
    for marker in MARKERS:
        if marker not in (INCOMPLETE, MANIFEST, REPORT) and (folder / marker).is_file():
            message = f"{folder}: holds {marker}, so it is not a folder of masks"
            raise GsegError(message, "choose another folder")
    for job in todo:
        is_known = done.knows(job.mask)
        for name in (job.mask, *(beside(job.mask, suffix) for suffix in contents.suffixes)):
            path = folder / name
            if os.path.lexists(path) and not contents.owns(path) and not (is_known and contents.is_cut(path)):
                raise GsegError(f"{path}: exists and was not written by gseg", "move it away, or choose another folder")
