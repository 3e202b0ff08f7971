"""Photos that were drawn on, by number, and which of them a drawing belongs to: by its name, else by what it shows."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from gseg_cli.annotate.annotation_set import FIRST_PHOTO
from gseg_cli.annotate.match import Matcher, plain_stem
from gseg_runtime.class_map import composed
from gseg_runtime.errors import GsegError
from gseg_runtime.images import list_photos

# What people and data sets put around a photo's name to call a mask, and to call the photo: anna_mask.png and
# label-anna.png, anna_image.jpg.
_AROUND = r"^(?:{0})[-_. ]+(?=.)|(?<=.)[-_. ]+(?:{0})$"
_MASK_WORDS = "masks?|labels?|label_?map|seg|segmentation|annotations?|gt|ground[_ ]?truth"
_OF_MASK = re.compile(_AROUND.format(_MASK_WORDS), re.IGNORECASE)
_OF_PHOTO = re.compile(_AROUND.format("images?|img|photo|picture|rgb|colou?r"), re.IGNORECASE)


def _words(stem: str) -> str:
    """IMG 0002, IMG-0002 and img_(0002) are img_0002."""
    return re.sub(r"[\W_]+", "_", composed(stem).casefold()).strip("_")


@dataclass(frozen=True)
class PhotoFolder:
    """Those below a folder. A photo's number is FIRST_PHOTO and its place."""

    dir: Path
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> "PhotoFolder":
        """Without masks beside an images/; GsegError when there is no photo."""
        paths = tuple(list_photos(folder))
        if not paths:
            raise GsegError(
                f"{folder}: no photo in this folder", "use --photos to name the folder of the labelled photos"
            )
        return cls(folder, paths)

    @property
    def seeds(self) -> Sequence[int]:
        return range(FIRST_PHOTO, FIRST_PHOTO + len(self.paths))

    def image_path(self, seed: int) -> Path:
        return self.paths[seed - FIRST_PHOTO]

    def called(self, stem: str) -> list[int]:
        """Those of that name, without folder and ending, however its accents are written."""
        return self._by_stem.get(composed(stem), [])

    def called_alike(self, stem: str) -> list[int]:
        """Those whose names differ in capitals, blanks and signs alone: Label Studio and Roboflow replace these."""
        words = _words(stem)
        return self._by_words.get(words, []) if words else []

    def called_image(self, stem: str) -> list[int]:
        """As `called_alike`, also of those whose names call them an image besides: 001_image.jpg."""
        words = _words(stem)
        return self._by_words_alone.get(words, []) if words else []

    @cached_property
    def _by_words_alone(self) -> dict[str, list[int]]:
        return self._by(lambda stem: _words(_OF_PHOTO.sub("", stem, count=1)))

    @cached_property
    def _by_words(self) -> dict[str, list[int]]:
        return self._by(_words)

    @cached_property
    def _by_stem(self) -> dict[str, list[int]]:
        return self._by(composed)

    def _by(self, key: Callable[[str], str]) -> dict[str, list[int]]:
        """Photos by what `key` makes of their names without folder and ending."""
        found: dict[str, list[int]] = {}
        for seed, path in zip(self.seeds, self.paths, strict=True):
            found.setdefault(key(path.stem), []).append(seed)
        return found

    def name(self, seed: int) -> str:
        """Relative to the folder."""
        path = self.image_path(seed)
        return path.relative_to(self.dir).as_posix() if self.dir.is_dir() else path.name


@dataclass(frozen=True)
class PhotoMatcher(Matcher):
    """`samples` are photos."""

    samples: PhotoFolder

    def called(self, seed: int) -> str:
        return f"photo {self.samples.name(seed)}"

    def rename_hint(self, seed: int) -> str:
        return f"rename it to {self.samples.name(seed)}, or draw on the other photo"

    def by_name(self, name: str, where: str) -> int:
        """The photo of the same name but for path and ending, else but for what tools and people add, too.

        Of several it is the one whose folder the drawing lies in, or names. GsegError when there is not just one. A
        mask that lies below the folder of photos is not its own photo.
        """
        stem = plain_stem(name)
        bare = _OF_MASK.sub("", stem, count=1)
        called, alike = self.samples.called, self.samples.called_alike
        ways = (called(Path(name).stem), called(stem), called(bare), alike(bare), self.samples.called_image(bare))
        found = next(filter(None, (self._without(where, photos) for photos in ways)), [])
        if len(found) > 1:  # cameras name the photos of each folder alike
            found = self._in_same_folder(found, name) or self._in_same_folder(found, where) or found
        if len(found) == 1:
            return found[0]
        got = "none" if not found else " and ".join(self.samples.name(seed) for seed in found[:3])
        hint = f"name it after its photo, for example {self.samples.name(self.samples.seeds[0])}"
        if len(found) > 1:
            hint = "lay drawings out in folders as their photos are, or rename one of the photos"
        raise GsegError(f"{where}: expected the name of one photo in {self.samples.dir}, {stem[:100]!r} is {got}", hint)

    def _without(self, drawing: str, photos: Sequence[int]) -> list[int]:
        file = Path(drawing).absolute()
        return [photo for photo in photos if self.samples.image_path(photo).absolute() != file]

    def _in_same_folder(self, photos: Sequence[int], drawn: str) -> list[int]:
        """Those whose folders are the last ones of a path, the deepest alone; none where they lie in no folder."""
        folders = PurePosixPath(composed(unquote(drawn).replace("\\", "/"))).parts[:-1]
        depth_of = {}
        for photo in photos:
            own = PurePosixPath(composed(self.samples.name(photo))).parts[:-1]
            if own and folders[-len(own) :] == own:
                depth_of[photo] = len(own)
        return [photo for photo, depth in depth_of.items() if depth == max(depth_of.values())]
