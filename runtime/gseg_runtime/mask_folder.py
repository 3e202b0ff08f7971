"""A folder of masks, whichever command fills it: planned, claimed, gone on with, and described when it is done."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gseg_runtime.errors import GsegError
from gseg_runtime.files import INCOMPLETE, MARKERS, claim_folder, finish_folder, write_json
from gseg_runtime.manifest import MANIFEST, Done, Entry, ManifestWriter
from gseg_runtime.plan import Plan, beside, check_places, plan
from gseg_runtime.sources import Source

REPORT = "gseg-report.json"
FORMAT = 1  # of the report


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a command writes into its folder of masks.

    key: what decides the masks, as the hash of the model; --resume goes on with those of the same key only. suffixes:
    of the files beside each mask, in place of its .png; suffixes_of: the same of a photo that is done, where that is
    another question. tables: names of files about all photos. is_ours: whether the
    command wrote some other file. is_enough: whether the manifest says all of a photo that is wanted now.
    """

    key: str
    suffixes: tuple[str, ...]
    tables: tuple[str, ...]
    is_ours: Callable[[Path], bool]
    is_enough: Callable[[Entry], bool] = lambda entry: True
    suffixes_of: Callable[[Entry], tuple[str, ...]] | None = None

    def owns(self, path: Path) -> bool:
        """Whether an earlier run wrote the file; a link never is."""
        return not path.is_symlink() and (path.name in (MANIFEST, REPORT, *self.tables) or self.is_ours(path))

    def are_in(self, folder: Path, entry: Entry) -> bool:
        """Whether an earlier run wrote all of this for a photo."""
        mask = folder / entry.mask
        suffixes = self.suffixes_of(entry) if self.suffixes_of else self.suffixes
        return self.is_enough(entry) and all(os.path.isfile(beside(mask, suffix)) for suffix in suffixes)


@dataclass(frozen=True)
class Failure:
    path: str
    reason: str


class MaskFolder:
    """A claimed folder, its manifest open until the `with` ends. It counts as incomplete until `finish`.

    jobs: all of them; todo: those of this run; num_skipped: those that an earlier one did. num_done, failures: of this run so far.
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
        self.todo = self._claim(contents, overwrite=overwrite, resume=resume)
        self.num_skipped = len(self.jobs) - len(self.todo)
        self.num_done = 0
        self.failures: list[Failure] = []
        self._manifest = ManifestWriter(path)

    def _claim(self, contents: Contents, *, overwrite: bool, resume: bool) -> Plan:
        """The jobs to do, which are all of them unless an earlier run is gone on with."""
        if not resume:
            claim_folder(self.path, "masks", overwrite=overwrite, owned=contents.owns)
            return self.jobs
        done = Done(self.path, contents.key, lambda entry: contents.are_in(self.path, entry))
        todo = self.jobs.filtered(lambda job: not done.holds(job.photo, job.mask))
        self._check_untaken(todo, contents)
        claim_folder(self.path, "masks", overwrite=overwrite, resume=True)
        for job in todo:  # the earlier run's manifest keeps no line of these
            done.forget(job.mask)
        done.rewrite()
        return todo

    def _check_untaken(self, todo: Plan, contents: Contents) -> None:
        """GsegError when --resume would write among or over what was not written by the same command."""
        for marker in MARKERS:
            if marker not in (INCOMPLETE, MANIFEST, REPORT) and (self.path / marker).is_file():
                message = f"{self.path}: holds {marker}, so it is not a folder of masks"
                raise GsegError(message, "choose another folder")
        for mask in (self.path / job.mask for job in todo):
            for path in (mask, *(beside(mask, suffix) for suffix in contents.suffixes)):
                if os.path.lexists(path) and not (path.is_file() and contents.owns(path)):
                    message = f"{path}: is in the way, and not a file that gseg wrote here"
                    raise GsegError(message, "choose another folder, or move it away")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._manifest.__exit__(*error)

    @property
    def num_taken(self) -> int:
        return self.num_done + len(self.failures)

    def take(self, entry: Entry) -> None:
        """Count an entry and put it into the manifest; of those that are done nothing is kept in memory."""
        self._manifest.add(entry)
        if entry.error is None:
            self.num_done += 1
        else:
            self.failures.append(Failure(entry.input, entry.error))

    def seconds(self) -> float:
        """Of wall time since the photos were looked for."""
        return time.perf_counter() - self._start_s

    def finish(self, report: Mapping[str, Any]) -> None:
        """Write gseg-report.json: nothing is missing any more."""
        write_json(self.path / REPORT, report)
        finish_folder(self.path)
