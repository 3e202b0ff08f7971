"""Where the work on photos reads and writes: below two folders, or wherever else somebody can read and write."""

import errno
import os
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from gseg_runtime.errors import GsegError, ImageError, OutputError
from gseg_runtime.images import read_picture
from gseg_runtime.manifest import RESUME_HINT, Stamp, stamp_of
from gseg_runtime.output_folder import OpenFolder
from gseg_runtime.png import is_gseg_png
from gseg_runtime.polygons import path_from

_HANDLE_ERRORS = errno.EMFILE, errno.ENFILE
_HANDLES_HINT = "allow more open files (ulimit -n), or fewer --workers, and run it again with --resume"
# The disk's fault, and not that of one file's name: the next photo would fare no better.
_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT),
    *(*_HANDLE_ERRORS, errno.ENOMEM, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE),
)


class PhotoFiles(Protocol):
    """May be used from several threads at once. An ImageError costs one photo; any other GsegError ends the run."""

    def stamp(self, photo: Path) -> Stamp | None:
        """What tells a changed photo; None where it is known from elsewhere."""

    def read(self, photo: Path) -> bytes:
        """The file as it is."""

    def write(self, name: Path, data: bytes) -> None:
        """A file beside the masks, or a mask, whole or not at all. name: relative to where they go."""

    def check_free(self, name: Path) -> None:
        """ImageError when a file of somebody else has this name, which nobody knew before the photo was opened."""

    def way_to(self, photo: Path, name: Path) -> str:
        """How the file `name` refers to its photo."""


class FolderFiles:
    """Photos by their paths, and files below an output folder.

    masks: names of masks, relative to it, that could be taken for files beside others.
    """

    def __init__(self, out: OpenFolder, masks: Collection[str] = ()) -> None:
        self._out, self._masks = out, masks

    def stamp(self, photo: Path) -> Stamp:
        return stamp_of(photo)

    def read(self, photo: Path) -> bytes:
        return read_photo(photo)

    def write(self, name: Path, data: bytes) -> None:
        try:
            self._out.write(name, data)
        except OutputError:
            raise
        except GsegError as error:
            self._out.check()  # the reason may be that it is gone
            raise write_error(name, error) from error

    def check_free(self, name: Path) -> None:
        path = self._out.path / name
        if str(name) in self._masks or (os.path.lexists(path) and not (path.is_file() and is_gseg_png(path))):
            raise ImageError(f"its overlay would take the place of {name}")

    def way_to(self, photo: Path, name: Path) -> str:
        return path_from((self._out.path / name).parent, photo)


def read_photo(photo: Path) -> bytes:
    """`read_picture`; but without more files to open the run ends: the next photo would fare no better."""
    try:
        return read_picture(photo)
    except ImageError as error:
        if _is_out_of_handles(error):
            raise GsegError(error.message, _HANDLES_HINT) from error
        raise


def write_error(name: Path, error: GsegError) -> GsegError:
    """What a file that could not be written costs: an ImageError one photo, an OutputError the run."""
    if isinstance(cause := error.__cause__, OSError) and cause.errno not in _DISK_ERRORS:
        return ImageError(f"its file {name.name} cannot be written: {cause.strerror}")
    return OutputError(error.message, _HANDLES_HINT if _is_out_of_handles(error) else RESUME_HINT)


def _is_out_of_handles(error: GsegError) -> bool:
    return isinstance(cause := error.__cause__, OSError) and cause.errno in _HANDLE_ERRORS
