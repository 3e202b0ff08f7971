"""Any place that fsspec has a library for, as a store."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

from gseg_runtime.errors import BackendUnavailable, GsegError, ImageError, OutputError
from gseg_runtime.litter import litter_kind
from gseg_runtime.photo_names import is_named_like_a_picture
from gseg_runtime.pip_hint import install
from gseg_runtime.remote.address import without_credentials, without_secrets
from gseg_runtime.remote.retry import Patience, is_final, is_refusal
from gseg_runtime.remote.store import Item
from gseg_runtime.walk import Search

_RESUME = "when the store can be reached again, run it again with --resume; finished masks are kept"
_S3 = ("s3", "s3a")
_CONNECTIONS = 256  # at once; botocore's default of 10 would leave most threads waiting for one
_ETAGS, _TIMES = ("ETag", "etag"), ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


class ObjectStore:
    """See `Store`. Credentials are found by the rules of the library for the address."""

    def __init__(self, address: str, patience: Patience | None = None) -> None:
        self.name, self._address, self._patience = without_credentials(address), address, patience or Patience()
        self._fs, self._root = _open(address)

    def photos(self, search: Search) -> Iterator[Item]:
        for item in self._items():
            if litter := next(filter(None, map(litter_kind, item.key.split("/"))), None):
                search.passed_over[litter] += 1
            elif is_named_like_a_picture(item.key.rpartition("/")[2]):
                yield item
            elif not item.key.endswith("/"):  # as consoles make for a folder
                search.pass_over(item.key.rpartition("/")[2])

    def keys(self, prefix: str = "") -> Iterator[str]:
        return (item.key for item in self._items(prefix))

    def _items(self, prefix: str = "") -> Iterator[Item]:
        with self._errors("cannot be listed"):
            pages = self._s3_pages(prefix) if hasattr(self._fs, "call_s3") else self._pages(prefix)
            for page in pages:
                yield from (_item(key, info) for key, info in page.items())

    def _s3_pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        """A thousand keys at a time: s3fs itself lists a whole folder before it tells of the first."""
        bucket, _, folder = self._root.partition("/")
        above = f"{folder}/" if folder else ""
        query = {"Bucket": bucket, "Prefix": above + prefix, **self._fs.req_kw}
        while True:
            page = self._ask("call_s3", "list_objects_v2", **query)
            yield {info["Key"][len(above) :]: info for info in page.get("Contents", [])}
            if not page.get("IsTruncated"):
                return
            query["ContinuationToken"] = page["NextContinuationToken"]

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        """A folder at a time."""
        start, cut = f"{self._root}/{prefix}".rstrip("/"), len(self._root) + 1
        if not self._patience.ask(partial(self._fs.exists, start)):
            return
        waiting = [start]
        while waiting:
            found = self._ask("ls", waiting.pop(), detail=True)
            waiting += [info["name"] for info in found if info["type"] == "directory"]
            yield {info["name"][cut:]: info for info in found if info["type"] != "directory"}

    def read(self, key: str, size: int | None = None) -> bytes:
        try:
            return self._patience.ask(partial(self._read, key, size))
        except FileNotFoundError as error:
            raise FileNotFoundError(self._told(error)) from None
        except Exception as error:
            raise OSError(self._told(error)) from None

    def _read(self, key: str, size: int | None) -> bytes:
        data: bytes = self._call("cat_file", self._path(key))
        if size is not None and len(data) != size:
            raise OSError(f"{len(data)} bytes came of {size}")
        return data

    def write(self, key: str, data: bytes) -> None:
        try:
            self._ask("pipe_file", self._path(key), data)
        except Exception as error:
            reason = self._told(error)
            if is_refusal(error):
                raise OutputError(f"{self.name}: cannot be written: {reason}", _RESUME) from None
            raise ImageError(f"its file {key.rpartition('/')[2]} cannot be written: {reason}") from None

    def create(self, key: str, data: bytes) -> bool:
        with self._errors("cannot be written"):
            try:
                self._ask("pipe_file", self._path(key), data, mode="create")
            except FileExistsError:
                return False
        return True

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _ask(self, method: str, *args: Any, **options: Any) -> Any:
        return self._patience.ask(partial(self._call, method, *args, **options))

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        """A method of fsspec's, within the deadline where it can be interrupted."""
        if not self._fs.async_impl:
            return getattr(self._fs, method)(*args, **options)
        from fsspec.asyn import sync

        run: Callable[..., Any] = getattr(self._fs, f"_{method}")
        return sync(self._fs.loop, run, *args, timeout=self._patience.deadline_s, **options)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Errors that end the run."""
        try:
            yield
        except GsegError:
            raise
        except Exception as error:
            hint = "check the address and your credentials" if is_final(error) else _RESUME
            raise GsegError(f"{self.name}: {what}: {self._told(error)}", hint) from None

    def _told(self, error: Exception) -> str:
        """In words without secrets. The error itself, which may have some, is left behind: --debug would show it."""
        return without_secrets(str(error) or type(error).__name__, self._address)


def _open(address: str) -> tuple[Any, str]:
    """The file system and the folder in it."""
    try:
        from fsspec.config import conf
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise BackendUnavailable(
            f"{without_credentials(address)}: fsspec is not installed", install("remote")
        ) from error
    scheme = address.partition("://")[0].lower()
    try:
        # Listings are asked for once, and kept they would fill the memory.
        fs, root = url_to_fs(address, use_listings_cache=False, **(_s3_options(conf) if scheme in _S3 else {}))
    except ImportError as error:
        hint = install("remote") if scheme in _S3 else f"pip install {_package(error)}"
        raise BackendUnavailable(f"{without_credentials(address)}: {error}", hint) from error
    except Exception as error:  # an unknown scheme, or options that a library does not take
        raise GsegError(f"{without_credentials(address)}: {without_secrets(str(error), address)}") from None
    return fs, root.rstrip("/")


def _s3_options(configured: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """configured: what fsspec was told by files and the environment, which counts more."""
    own = configured.get("s3", {}).get("config_kwargs", {})
    # max_concurrency: else s3fs asks for the size before it reads.
    return {"max_concurrency": 1, "config_kwargs": {"max_pool_connections": _CONNECTIONS, **own}}


def _package(error: ImportError) -> str:
    """The package that fsspec names."""
    words = str(error).split()
    return next((word for before, word in pairwise(words) if before.lower() == "install"), "the library")


def _item(key: str, info: Mapping[str, Any]) -> Item:
    etag = next((info[name] for name in _ETAGS if info.get(name)), None)
    time = next((str(info[name]) for name in _TIMES if info.get(name)), None)
    return Item(key, info.get("Size", info.get("size")), etag and str(etag).strip('"'), time)
