"""The protocols by name, and how one becomes a folder that every command understands: images/ and masks/."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from gseg_cli.counted import counted
from gseg_cli.datasets.celebamask import CELEBAMASK_3, CELEBAMASK_10
from gseg_cli.datasets.pascal_part import PASCAL_CAR, PASCAL_HORSE
from gseg_cli.datasets.protocol import Example, Protocol
from gseg_cli.folder_description import read_description, write_description
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import atomic_path, claim_folder, finish_folder
from gseg_runtime.label_map import write_label_png
from gseg_runtime.plan import check_apart
from gseg_runtime.workers import num_cores, run_to_completion

PROTOCOLS = {protocol.name: protocol for protocol in (CELEBAMASK_3, CELEBAMASK_10, PASCAL_CAR, PASCAL_HORSE)}
DESCRIPTION, KIND = "dataset.json", "dataset"


def find_protocol(name: str) -> Protocol:
    """UsageError when there is none of this name."""
    if name not in PROTOCOLS:
        raise UsageError(f"unknown protocol {name!r}", f"choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def write_protocol(
    protocol: Protocol,
    source: Path,
    out: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Write every example as out/images/NAME.png and out/masks/NAME.png, and what they are to out/dataset.json.

    split: None for the one that is scored; limit: only so many photos, the first. Returns what dataset.json says.
    A folder that holds anything is refused unless `overwrite`, or `resume`: then only what is missing is written.
    GsegError, too, when no photo gives an example.
    """
    check_apart(out, [str(source)], [str(source)])
    split = split or protocol.splits[0]
    photos = protocol.photos(source, split)[:limit]
    if resume:
        _check_same(out / DESCRIPTION, protocol, split, len(photos))
    claim_folder(out, "labelled photos", overwrite=overwrite, resume=resume, owned=partial(_is_ours, out))
    facts: dict[str, Any] = {"protocol": protocol.name, "split": split, "classes": protocol.classes.to_json()}
    facts |= {"source": str(source), "photos": len(photos)}
    write_description(out / DESCRIPTION, KIND, facts)  # so that an interrupted run can be told apart from others
    outcomes: Counter[str] = Counter()
    done = 0

    def take(outcome: Counter[str]) -> None:
        nonlocal done
        outcomes.update(outcome)
        done += 1
        on_step(Step(done, len(photos)))

    run_to_completion(photos, partial(_write_photo, protocol, source, out), take, min(num_cores(), len(photos)))
    facts |= {"examples": outcomes.pop("", 0), "dropped": dict(sorted(outcomes.items()))}
    write_description(out / DESCRIPTION, KIND, facts)
    finish_folder(out)
    if not facts["examples"]:  # there are no images/ and masks/, which the next command would miss
        message = f"{out}: no example of {protocol.name} in {counted(len(photos), 'photo')} of {split}"
        dropped = ", ".join(f"{count} {reason}" for reason, count in facts["dropped"].items())
        hint = "take more of them: a larger --limit, with --resume" if limit else "choose another --split"
        raise GsegError(message + (f"; dropped: {dropped}" if dropped else ""), hint)
    return facts


def _write_photo(protocol: Protocol, source: Path, out: Path, photo: str) -> Counter[str]:
    """Write what is not there yet. Returns how many examples were dropped, by reason, and under "" how many not."""
    outcome: Counter[str] = Counter()
    for example in protocol.examples_in(source, photo):
        if isinstance(example, Example):
            _write_example(example, protocol, out)
        outcome["" if isinstance(example, Example) else example.reason] += 1
    return outcome


def _write_example(example: Example, protocol: Protocol, out: Path) -> None:
    image_path, mask_path = (out / folder / f"{example.name}.png" for folder in ("images", "masks"))
    if image_path.exists() and mask_path.exists():
        return
    image, labels = example.load()
    with atomic_path(image_path) as temporary:
        Image.fromarray(image).save(temporary, compress_level=3)
    write_label_png(mask_path, labels, protocol.classes)


def _is_ours(out: Path, file: Path) -> bool:
    is_example = file.suffix == ".png" and file.parent in (out / "images", out / "masks")
    return is_example or file == out / DESCRIPTION


def _check_same(path: Path, protocol: Protocol, split: str, num_photos: int) -> None:
    if not path.exists():  # nothing begun, or not by us: claim_folder tells
        return
    begun = read_description(path, KIND, {"protocol": str, "split": str}, hint="choose another folder")
    if (begun["protocol"], begun["split"]) != (protocol.name, split):
        message = f"{path}: started with {begun['protocol']}, {begun['split']}, not with {protocol.name}, {split}"
        raise GsegError(message, "resume with the same protocol and --split, or choose another folder")
    if isinstance(known := begun.get("photos"), int) and known > num_photos:  # it would say that there are fewer
        message = f"{path}: started with {known} photos, not with {num_photos}"
        raise GsegError(message, "resume with as many or more, or choose another folder")
