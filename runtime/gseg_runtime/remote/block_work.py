"""One block of photos, done from start to end in this process: masks first, then the part that tells of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gseg_runtime.batches import segment_photos
from gseg_runtime.errors import ImageError
from gseg_runtime.folder import FolderOptions
from gseg_runtime.images import check_start
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.manifest import Entry
from gseg_runtime.photo_work import PhotoWork
from gseg_runtime.pillow import picture_errors
from gseg_runtime.plan import Job
from gseg_runtime.remote.listing import Block
from gseg_runtime.remote.open_store import open_store
from gseg_runtime.remote.parts import Row, write_part
from gseg_runtime.remote.store import Item, Store

_NOT_PLAIN = "its key has an empty part, . or .. in it, so that it is no path"


@dataclass(frozen=True)
class Task:
    """What any process has to know to do a block. source, out: see `open_store`."""

    source: str
    out: str
    options: FolderOptions


class BlockWork:
    """May be used from several threads at once. workers: threads for each block."""

    def __init__(self, task: Task, model: LoadedModel, workers: int) -> None:
        self._task, self._model, self._workers = task, model, workers
        self._source, self._out = open_store(task.source), open_store(task.out)
        self._extras = task.options.extras(model.card.classes)

    def do(self, block: Block) -> list[Row]:
        """Of each photo; whoever gets them need not write them down."""
        items = {item.key: item for item in block}
        rows = [Row(item.key, item.stamp, "failed", _NOT_PLAIN) for item in block if not item.is_plain]
        jobs = [Job(Path(item.key), Path(f"{item.key}.png")) for item in block if item.is_plain]

        def take(entry: Entry) -> None:
            told = entry.status, entry.error, entry.remark, entry.confidence
            rows.append(Row(entry.input, items[entry.input].stamp, *told))

        model, files = self._model, _StoreFiles(self._source, self._out, items)
        work = PhotoWork(files, model.card, model.sha256, self._extras, self._task.options.detail)
        segment_photos(model, work, jobs, take, max(1, min(self._workers, len(jobs))))
        write_part(self._out, rows)
        return rows


class _StoreFiles:
    """`PhotoFiles` between two stores."""

    def __init__(self, source: Store, out: Store, items: Mapping[str, Item]) -> None:
        self._source, self._out, self._items = source, out, items

    def stamp(self, photo: Path) -> None:
        """The listing told."""

    def read(self, photo: Path) -> bytes:
        with picture_errors(photo):
            data = self._source.read(photo.as_posix(), self._items[photo.as_posix()].size)
            check_start(data)
        return data

    def write(self, name: Path, data: bytes) -> None:
        self._out.write(name.as_posix(), data)

    def check_free(self, name: Path) -> None:
        """Masks are named x.jpg.png, and no photo's suffix is .overlay."""

    def way_to(self, photo: Path, name: Path) -> str:
        raise ImageError(f"{name} cannot refer to a photo in a store")
