"""Which photos are to be done: the listing minus what the parts say, in blocks, as they are asked for."""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from gseg_runtime.remote.parts import Done
from gseg_runtime.remote.store import Item, Store
from gseg_runtime.sources import no_photo
from gseg_runtime.walk import Search

BLOCK = 256  # photos, which are recorded together

Block = list[Item]


class Listing:
    """Photos of a store, never all of them in memory. num_skipped: how many were done already, as far as it is read."""

    def __init__(self, source: Store, shard: tuple[int, int] = (0, 1)) -> None:
        """GsegError when there is no photo at all, of whichever shard."""
        self.search, self.num_skipped, self._shard = Search(), 0, shard
        photos = source.photos(self.search)
        first = next(photos, None)
        if first is None:
            raise no_photo(f"{source.name}: no image found", self.search)
        self._photos: Iterable[Item] = chain([first], photos)

    def blocks(self, done: Done) -> Iterator[Block]:
        """To be read once."""
        todo = self._todo(done)
        while block := list(islice(todo, BLOCK)):
            yield block

    def _todo(self, done: Done) -> Iterator[Item]:
        for item in filter(self._is_mine, self._photos):
            if done.holds(item):
                self.num_skipped += 1
            else:
                yield item

    def _is_mine(self, item: Item) -> bool:
        """By its name, so that shards need not see the same listing."""
        index, count = self._shard
        return count == 1 or zlib.crc32(item.key.encode(errors="surrogatepass")) % count == index
