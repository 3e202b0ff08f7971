"""The photos in a project's labelled/, and how further ones come there. Needs no PyTorch."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gseg_cli.datasets.protocols import DESCRIPTION, KIND
from gseg_cli.folder_description import check_whole, write_description
from gseg_cli.project import PARTS
from gseg_cli.steps import Say, ignore_say
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import atomic_path, read_json
from gseg_runtime.images import list_images, list_photos, read_image
from gseg_runtime.spread import spread


def said(folder: Path) -> dict[str, Any]:
    """What dataset.json says, if it is there; names that cannot be used are left out."""
    data = read_json(folder / DESCRIPTION) if (folder / DESCRIPTION).is_file() else {}
    facts = dict(data) if isinstance(data, dict) else {}
    for key in ("names", "copied"):
        listed = facts.get(key)
        facts[key] = [name for name in listed if _is_name(name)] if isinstance(listed, list) else []
    return facts


def known_photos(folder: Path, say: Say = ignore_say) -> tuple[str, ...]:
    """Photos that are there: in the order that dataset.json gives, behind them others.

    GsegError when an import was interrupted there, or when two would have the same mask.
    """
    check_whole(folder)
    images = folder / "images"
    there = {path.relative_to(images).as_posix(): path for path in list_images(images)} if images.is_dir() else {}
    names = [name for name in dict.fromkeys([*said(folder)["names"], *there]) if name in there]
    check_masks_differ(images, names)
    return tuple(name for name in names if _is_readable(there[name], name, say))


def check_masks_differ(images: Path, names: Iterable[str]) -> None:
    """GsegError when two photos, relative to `images`, would have the same mask."""
    masks: dict[Path, str] = {}
    for name in names:
        other = masks.setdefault(Path(name).with_suffix(""), name)
        if other != name:
            raise GsegError(f"{images}: {other} and {name} would have the same mask", "rename one, and its mask")


def take_photos(
    source: Path,
    folder: Path,
    count: int,
    known: Iterable[str] = (),
    classes: ClassMap | None = None,
    say: Say = ignore_say,
) -> tuple[str, ...]:
    """Copy so many further photos of the source, spread over it; their names. Nothing that is there is replaced.

    dataset.json names them as copied before, so that an interrupted copy is known as gseg's. classes: of the masks, for
    a folder that names none yet.
    """
    images = folder / "images"
    there = [path.relative_to(images) for path in list_images(images)] if images.is_dir() else []
    taken = {path.with_suffix("") for path in [*there, *map(Path, known)]}
    free = dict(_free(source, folder.parent, taken))
    wanted = list(free)
    chosen: list[str] = []
    while wanted and len(chosen) < count:  # again for those that cannot be read
        some = spread(wanted, count - len(chosen))
        wanted = [name for name in wanted if name not in set(some)]
        chosen += [name for name in some if _is_readable(free[name], name, say)]
    _note_copied(folder, chosen, classes)
    for name in sorted(chosen):
        with atomic_path(images / name) as temporary:
            shutil.copyfile(free[name], temporary)
    return tuple(sorted(chosen))


def _note_copied(folder: Path, names: list[str], classes: ClassMap | None) -> None:
    about = said(folder)
    if classes:
        about.setdefault("classes", classes.to_json())
    write_description(folder / DESCRIPTION, KIND, {**about, "copied": [*about["copied"], *names]})


def _free(source: Path, project: Path, taken: set[Path]) -> Iterator[tuple[str, Path]]:
    """Photos of the source by name: one for each mask's name, and none of the project's own files."""
    ours = [(project / name).resolve() for name in PARTS]
    for path in list_photos(source):
        name = path.relative_to(source)
        is_ours = any(path.resolve().is_relative_to(place) for place in ours)
        if name.with_suffix("") not in taken and not is_ours:
            taken.add(name.with_suffix(""))
            yield name.as_posix(), path


def _is_readable(path: Path, name: str, say: Say) -> bool:
    try:
        name.encode()
        read_image(path, 1)
    except UnicodeEncodeError:
        say(f"warning: {path}: left out, because its name is not UTF-8")
    except GsegError as error:
        say(f"warning: left out: {error.message}")
    else:
        return True
    return False


def _is_name(name: Any) -> bool:
    """Of a file below the folder."""
    if not isinstance(name, str):
        return False
    path = Path(name)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts
