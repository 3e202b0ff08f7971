"""Writing so that a killed process leaves no half file, and claiming folders so that nobody's files are lost."""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.litter import litter_kind

TEMPORARY_PREFIX = ".gseg-tmp-"
INCOMPLETE = ".gseg-incomplete"
LOCK = ".gseg-lock"
# A folder that holds one of these was written by gseg, and only such a folder is ever emptied.
MARKERS = (
    INCOMPLETE,
    "gseg-report.json",
    "gseg-manifest.jsonl",
    "samples.json",
    "annotations.json",
    "toy-faces.json",
    "dataset.json",
    "config.json",
    "demo.json",
    "reproduce.json",
)


@contextmanager
def atomic_path(path: Path, top: Path | None = None) -> Iterator[Path]:
    """A temporary path beside `path` and with its suffix; becomes `path` on success and vanishes on failure.

    Missing parent folders are made; top: only those below it, so that it is itself not made again. Raises GsegError
    when the disk is full or the folder not writable.
    """
    # The name is not part of the temporary one: together they could pass the 255 bytes a file name may have.
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{path.suffix}")
    try:
        _make_folders(path.parent, top)
        try:
            yield temporary
            temporary.replace(path)
        except BaseException:  # Ctrl-C too
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise GsegError(f"{path}: cannot be written: {error.strerror or error}") from error  # not the temporary name
    except Exception as error:  # safetensors has an error of its own for it, and the number only in its text
        if found := re.search(r"\(os error (\d{1,5})\)", str(error)):
            raise GsegError(f"{path}: cannot be written: {os.strerror(int(found[1]))}") from error
        raise


def check_writable(path: Path) -> None:
    """GsegError when it shows already that `path` cannot be written, before the work for it. Nothing is left behind."""
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # finds names that are too long
        folder = next(parent for parent in path.parents if parent.exists())
        with TemporaryFile(dir=folder):  # permissions do not tell of drives that are mounted to be read only
            pass
    except OSError as error:
        raise GsegError(f"{path}: cannot be written: {error.strerror}", "choose another name or folder") from error


def write_bytes(path: Path, data: bytes, top: Path | None = None) -> None:
    """Write a file atomically. top: see `atomic_path`."""
    with atomic_path(path, top) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, line ends as given."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically, indented by 2, with a newline at the end. NaN is refused: it is not JSON."""
    # ASCII, because a file name that is not valid UTF-8 survives only as an escape.
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def parse_json(data: bytes | str) -> Any:
    """What JSON holds. ValueError for all that is none, also where it is nested more deeply than Python can go."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def check_no_pipe(path: Path) -> None:
    """GsegError for a pipe or a device: opening one waits for whoever writes to it, perhaps for ever."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise GsegError(f"{path}: expected a file, got a pipe or a device", "save it to a file first")


def read_json(path: Path) -> Any:
    """The content of a JSON file; GsegError when it is missing or broken."""
    try:
        check_no_pipe(path)
        return parse_json(path.read_bytes())
    except OSError as error:
        raise GsegError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # both broken JSON and broken UTF-8
        raise GsegError(f"{path}: not valid JSON: {error}") from error


_ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".json": b"\n}", ".txt": b"\n"}


def is_whole(path: Path) -> bool:
    """Whether a file is there to its end: one that was cut off, as by a power failure, is not."""
    end = _ENDS.get(path.suffix, b"")
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(-len(end), os.SEEK_END)
            return file.read(len(end)) == end
    except OSError:  # too short, too
        return False


def is_cut_off(path: Path) -> bool:
    """Whether it is a file, no link, and not there to its end."""
    return path.is_file() and not path.is_symlink() and not is_whole(path)


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content; GsegError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise GsegError(f"{path}: cannot be read: {error.strerror}") from error


def claim_folder(
    path: Path,
    kind: str,
    *,
    overwrite: bool = False,
    resume: bool | None = None,
    owned: Callable[[Path], bool] | None = None,
) -> Path:
    """Make `path` a folder that a command may write to, and mark it incomplete until `finish_folder`.

    kind: what will be written, for the messages ("samples"). A folder that holds anything is refused unless `overwrite`
    (it is emptied) or `resume` (it is left as it is), and even then when nothing in it shows that gseg wrote it.
    resume: None for a command that has no --resume, so that a refusal names only what it has.
    owned: says of a file whether gseg wrote it; given it, `overwrite` refuses a folder with any other file in it.
    """
    check_claim(path, kind, overwrite=overwrite, resume=resume)
    try:
        if path.is_dir() and _holds_anything(path):
            if overwrite:
                if owned:
                    check_owned(path, owned)
                remove_others(path, ())
            else:
                _remove_temporaries(path)
        path.mkdir(parents=True, exist_ok=True)
        (path / INCOMPLETE).touch()
    except OSError as error:
        raise GsegError(f"{path}: cannot write {kind} here: {error.strerror or error}") from error
    return path


def finish_folder(path: Path) -> None:
    """Take the mark of `claim_folder` away: everything is written."""
    (path / INCOMPLETE).unlink(missing_ok=True)


def check_claim(path: Path, kind: str, *, overwrite: bool = False, resume: bool | None = None) -> None:
    """The refusals of `claim_folder`, but for that of `owned`; nothing is changed."""
    if overwrite and resume:
        raise UsageError("--overwrite and --resume cannot be used together", "give one of them")
    if path.exists() and not path.is_dir():
        raise GsegError(f"{path}: expected a folder to write {kind}, but this is a file", "choose another name")
    if not path.is_dir() or not _holds_anything(path):
        return
    if not overwrite and not resume:
        ways = "replace what gseg wrote there" + ("" if resume is None else ", --resume to continue")
        hint = f"use --overwrite to {ways}, or choose another folder"
        raise GsegError(f"{path}: not empty; {kind} need an empty folder", hint)
    if not any((path / marker).is_file() for marker in MARKERS):
        hint = "choose another folder, or empty this one first"
        raise GsegError(f"{path}: not written by gseg, so it stays as it is", hint)


def check_owned(path: Path, owned: Callable[[Path], bool]) -> None:
    """GsegError when the folder holds a file that gseg did not write."""
    foreign = [file for file in _tree(path)[0] if not _is_ours(file, owned)]
    if foreign:
        files = "1 file" if len(foreign) == 1 else f"{len(foreign)} files"
        message = f"{path}: holds {files} that gseg did not write, for example {foreign[0].name}"
        raise GsegError(message, "choose another folder, or move them away")


def remove_others(path: Path, kept: Collection[str]) -> None:
    """Remove all but what has one of these names in `path`; not what links point to, nor what is left alone."""
    files, folders = _tree(path)
    gone = [file for file in files if file.parent != path or file.name not in kept]
    # Markers go last: should this be interrupted, the folder can still be claimed again.
    for file in sorted(gone, key=lambda file: file.parent == path and file.name in MARKERS):
        file.unlink()
    for folder in folders:
        if not any(folder.iterdir()):  # else it holds what is left alone
            folder.rmdir()


def _holds_anything(path: Path) -> bool:
    try:
        return not all(_is_left_alone(entry.name) for entry in path.iterdir())
    except OSError as error:
        raise GsegError(f"{path}: cannot be listed: {error.strerror}") from error


def _is_left_alone(name: str) -> bool:
    """Neither a sign of an owner nor for us to remove: what systems leave behind, and the lock of who claims."""
    return name == LOCK or litter_kind(name) is not None


def _make_folders(folder: Path, top: Path | None) -> None:
    if top is None:
        folder.mkdir(parents=True, exist_ok=True)
    elif folder != top and not folder.is_dir():
        _make_folders(folder.parent, top)
        folder.mkdir(exist_ok=True)


def _remove_temporaries(path: Path) -> None:
    """What a killed process was just writing."""
    for file in _tree(path)[0]:
        if file.name.startswith(TEMPORARY_PREFIX):
            file.unlink()


def _tree(path: Path) -> tuple[list[Path], list[Path]]:
    """Files (links count as such) and folders below `path`, the deepest folders first, without what is left alone."""
    files: list[Path] = []
    folders: list[Path] = []
    for top, folder_names, file_names in os.walk(path):  # does not follow links
        here = Path(top)
        folder_names[:] = [name for name in folder_names if not _is_left_alone(name)]
        links = [here / name for name in folder_names if (here / name).is_symlink()]
        files += links + [here / name for name in file_names if not _is_left_alone(name)]
        folders += [here / name for name in folder_names if here / name not in links]
    return files, folders[::-1]


def _is_ours(file: Path, owned: Callable[[Path], bool]) -> bool:
    return file.name == INCOMPLETE or file.name.startswith(TEMPORARY_PREFIX) or owned(file)
