"""Photos in Parquet, as Hugging Face's datasets store them: a column of encoded images."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from gseg_cli.gan.training.photo_entry import Photo, limited
from gseg_runtime.errors import BackendUnavailable, GsegError
from gseg_runtime.pip_hint import install

MAX_GROUP_BYTES = 2**31  # of the images of one row group, which are read together
SMALLER_GROUPS = "write the file anew with fewer rows in each (row_group_size=100)"
ROWS = 16  # read at once, and then measured
USUAL = ("image", "img")  # where there are several columns of images
KEPT = 2  # row groups in memory: photos are asked for in their order


def photos_in_parquet(shards: list[Path], stack: ExitStack) -> list[Photo]:
    """In the order of files and rows. GsegError for a file that cannot be read or has no column of images;
    BackendUnavailable without pyarrow.
    """
    return [photo for shard in shards for photo in _in_shard(shard, stack)]


def _in_shard(path: Path, stack: ExitStack) -> list[Photo]:
    try:
        import pyarrow.parquet as pq
        from pyarrow import ArrowException
    except ImportError as error:
        raise BackendUnavailable(f"{path}: Parquet needs pyarrow: {error}", install("parquet")) from error
    try:
        file = stack.enter_context(pq.ParquetFile(path))
        column = _image_column(file.schema_arrow)
    except (ArrowException, OSError, ValueError) as error:
        raise GsegError(f"{path}: not a Parquet file that can be read: {error}", "copy it again") from error
    if column is None:
        names = ", ".join(file.schema_arrow.names[:10])
        hint = "gseg reads the columns of images of Hugging Face's datasets"
        raise GsegError(f"{path}: no column of images; its columns are {names}", hint)
    if file.metadata.num_rows > path.stat().st_size:
        raise GsegError(f"{path}: claims {file.metadata.num_rows} rows, more than it has bytes", "copy it again")
    return list(_Images(file, column).photos(path))


def _image_column(schema: Any) -> str | None:
    """The path of the column that holds the bytes; None where there is none."""
    import pyarrow.types as types

    def is_binary(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    found = [
        f"{field.name}.bytes"
        for field in schema
        if types.is_struct(field.type) and any(inner.name == "bytes" and is_binary(inner.type) for inner in field.type)
    ]
    found += [field.name for field in schema if is_binary(field.type)]
    return min(found, key=lambda name: name.split(".")[0] not in USUAL, default=None)


class _Images:
    """The column of one file, read by row groups."""

    def __init__(self, file: Any, column: str) -> None:
        self.file, self.column = file, column
        self.lock = threading.Lock()
        self.too_large = set[int]()  # row groups
        self.group = lru_cache(maxsize=KEPT)(self._read_group)

    def photos(self, path: Path) -> Iterator[Photo]:
        row = 0
        for group in range(self.file.metadata.num_row_groups):
            about = self.file.metadata.row_group(group)
            for i in range(min(about.num_rows, self.file.metadata.num_rows - row)):
                yield Photo(f"{path.name}/{row:07d}", about.total_byte_size, self._reader(group, i))
                row += 1

    def _reader(self, group: int, row: int) -> Callable[[], bytes]:
        def read() -> bytes:
            with self.lock:
                images = self.group(group)
            data = images[row].as_py() if row < len(images) else None
            if data is None and row >= len(images) and group in self.too_large:
                raise ValueError(f"lies behind {MAX_GROUP_BYTES:,} bytes of images in one row group; {SMALLER_GROUPS}")
            if data is None:
                raise ValueError("its image is not in the file, or cannot be read")
            return limited(data)

        return read

    def _read_group(self, group: int) -> list[Any]:
        """Not yet copied, as far as it can be read, and fits: a few bytes of a dictionary may stand for many."""
        from pyarrow import ArrowException

        images: list[Any] = []
        num_bytes = 0
        with suppress(ArrowException, OSError):
            for batch in self.file.iter_batches(ROWS, [group], [self.column]):
                images += batch.column(0).field("bytes") if self.column.endswith(".bytes") else batch.column(0)
                num_bytes += batch.nbytes
                if num_bytes > MAX_GROUP_BYTES:
                    self.too_large.add(group)
                    break
        return images
