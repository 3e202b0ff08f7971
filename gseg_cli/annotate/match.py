"""Which sample a drawing belongs to: by the names tools give pictures, else by what the picture shows."""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_cli.annotate.drawing import Drawing
from gseg_cli.gan.sample_set import sample_name
from gseg_runtime.errors import GsegError
from gseg_runtime.images import decode_image, read_image
from gseg_runtime.label_map import Pixels
from gseg_runtime.photo_names import is_named_like_a_picture

_SUFFIX = re.compile(r"\.(png|jpe?g|webp|bmp|tiff?|gif|json|ora|psd|psb)$", re.IGNORECASE)
_ROBOFLOW = re.compile(r"(_(png|jpe?g|webp|bmp))?\.rf\.[0-9A-Za-z]+$", re.IGNORECASE)
# Label Studio puts eight hexadecimal digits before the name. Only one in nine thousand of them looks like a date.
_DATE = r"(?:19|20)\d\d[01]\d[0-3]\d|[0-3]\d[0-3]\d(?:19|20)\d\d"
_UPLOAD = re.compile(rf"^(?!(?:{_DATE})-)[0-9a-f]{{8}}-(?=.)")
Thumbnail = npt.NDArray[np.float32]  # [16, 16, 3]
_SIDE = 16  # of the thumbnails that are compared
# Mean difference of two thumbnails in levels. Of ten toy faces, copies at half to eight times the size and as JPEGs of
# quality 60 to 90 were at most 5 from the sample, and other samples at least 26.
SAME, SAME_AT_MOST = 1.0, 6.0


class Pictures(Protocol):
    """What can be drawn on: samples, or photos, by number."""

    @property
    def seeds(self) -> Sequence[int]: ...

    def image_path(self, seed: int) -> Path: ...


@dataclass(frozen=True)
class Matcher:
    samples: Pictures

    def called(self, seed: int) -> str:
        """What to call it in messages."""
        return f"sample {sample_name(seed)}"

    def by_name(self, name: str, where: str) -> int:
        """The seed of the sample that a picture of this name is; GsegError when there is none."""
        return match_seed(name, self.samples.seeds, where)

    def rename_hint(self, seed: int) -> str:
        return f"rename it to {sample_name(seed)}, or draw on the other sample"

    def seed_of(self, drawing: Drawing, warn: Callable[[str], None] = lambda text: None) -> int:
        """The seed of the sample that was drawn on. GsegError when there is none, or name and picture disagree.

        warn: is told when the picture is none of the samples: of another GAN they have the same names.
        """
        named = self._by_names(drawing)
        thumbnail = self._thumbnail_in(drawing)
        if isinstance(named, int) and (thumbnail is None or self._is_sample(thumbnail, named)):
            return named
        seen = None if thumbnail is None else self._by_content(thumbnail)
        if isinstance(named, int) and seen not in (None, named):
            message = f"{drawing.where}: named as {self.called(named)}, but the picture is {self.called(seen or 0)}"
            raise GsegError(message, self.rename_hint(seen or 0))
        if isinstance(named, int):
            if thumbnail is not None and self.samples.image_path(named).is_file():
                warn(f"{drawing.where}: its picture is not {self.called(named)} as it is now; do the labels fit?")
            return named
        if seen is None:
            raise named
        return seen

    def _by_names(self, drawing: Drawing) -> int | GsegError:
        """The error when no name is one of a sample, or two names are those of different ones."""
        found: dict[int, str] = {}
        errors = []
        for name in drawing.names:
            try:
                found.setdefault(self.by_name(name, drawing.where), name)
            except GsegError as error:
                errors.append(error)
        if len(found) > 1:
            meant = " and ".join(f"{name[:100]!r} is {self.called(seed)}" for seed, name in found.items())
            return GsegError(f"{drawing.where}: its names contradict each other: {meant}", "correct or remove one")
        return next(iter(found)) if found else errors[0]

    def _thumbnail_in(self, drawing: Drawing) -> Thumbnail | None:
        """None when the picture is not at hand, or cannot be read: it is only there to compare with."""
        try:
            picture = drawing.picture()
            return None if picture is None else _thumbnail(decode_image(picture, Path(drawing.where), 2 * _SIDE).pixels)
        except GsegError:
            return None

    def _is_sample(self, thumbnail: Thumbnail, seed: int) -> bool:
        """Whether the picture is that of the sample; spares reading all of them."""
        path = self.samples.image_path(seed)
        return path.is_file() and np.abs(_thumbnail(read_image(path).pixels) - thumbnail).mean() <= SAME_AT_MOST

    def _by_content(self, thumbnail: Thumbnail) -> int | None:
        """The sample whose thumbnail is nearest, if it is near and no other one is nearly as near."""
        seeds, thumbnails = self._thumbnails
        if not seeds:
            return None
        gaps = np.abs(thumbnails - thumbnail).mean(axis=(1, 2, 3))
        order = np.argsort(gaps)
        best, second = gaps[order[0]], gaps[order[1]] if len(order) > 1 else np.inf
        is_clear = best <= SAME_AT_MOST and second > 2 * best + SAME
        return seeds[order[0]] if is_clear else None

    @cached_property
    def _thumbnails(self) -> tuple[list[int], npt.NDArray[np.float32]]:
        """The samples whose image is still there, and [N, 16, 16, 3]."""
        seeds = [seed for seed in self.samples.seeds if self.samples.image_path(seed).is_file()]
        images = [_thumbnail(read_image(self.samples.image_path(seed)).pixels) for seed in seeds]
        return seeds, np.stack(images) if images else np.zeros((0, _SIDE, _SIDE, 3), np.float32)


def _thumbnail(pixels: Pixels) -> Thumbnail:
    return np.asarray(Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)


def match_seed(name: str, seeds: Sequence[int], where: str) -> int:
    """The sample that a picture of this name is: 000003.png, in whatever folder, with whatever around it.

    Known are paths of any system, addresses and their %-codes, and what Label Studio and Roboflow add. Then six digits
    or more that stand alone are the seed, else the one number that is a seed. GsegError otherwise.
    """
    stem = plain_stem(name)
    for pattern in (r"^\d{6,}$", r"(?<![0-9A-Za-z])\d{6,}(?![0-9A-Za-z])", r"\d+"):
        numbers = {int(digits) for digits in re.findall(pattern, stem) if len(digits) < 19}
        found = sorted(numbers.intersection(seeds))
        if len(found) == 1:
            return found[0]
        if found:
            break
    hint = f"name it after its sample, for example {sample_name(seeds[0] if seeds else 0)}"
    called = "" if Path(where).name == Path(name).name else f" {name[:100]!r}"
    if found:
        joined = " and ".join(map(str, found))
        raise GsegError(f"{where}: the name{called} contains the seeds of {len(found)} samples, {joined}", hint)
    got = f"got {', '.join(map(str, sorted(numbers)))}" if numbers else "it holds no number"
    raise GsegError(f"{where}: expected the seed of a sample in the name{called}, {got}", hint)


def plain_stem(name: str) -> str:
    """A picture's name without its path, and without what tools and web servers put around it."""
    stem = _SUFFIX.sub("", _base(name))
    return _SUFFIX.sub("", _UPLOAD.sub("", _ROBOFLOW.sub("", stem)))


def ends_like_a_picture(name: str) -> bool:
    """As a path or an address does: 000003.png, also with a query behind it or packed into one."""
    return is_named_like_a_picture(_base(name))


def _base(name: str) -> str:
    """Behind the path of any system, or in an address."""
    if "?" in name and re.match(r"^(\w+:)?/", name):
        name = _path_in(name)
    return unquote(name).replace("\\", "/").rpartition("/")[2]


def _path_in(link: str) -> str:
    """Without its query, where the path does not stand in that."""
    try:
        address = urlsplit(link)
    except ValueError:  # brackets around what is no IPv6 address
        return link
    query = parse_qs(address.query)
    # Label Studio's local files, and its links to files in a cloud.
    return query["d"][0] if "d" in query else _of_link(query.get("fileuri", [""])[0]) or address.path


def _of_link(text: str) -> str:
    """The address in base64; empty when it is none."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
