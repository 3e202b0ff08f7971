"""Predicted label maps, written down for people to correct: as pre-annotations or as templates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gseg_cli.annotate.handout import hand_out
from gseg_cli.annotate.outlines import outlines
from gseg_cli.annotate.template import PALETTE, gimp_palette, make_prefilled
from gseg_cli.annotate.tools.prelabels import Prelabelled, for_cvat, for_label_studio, for_labelme
from gseg_cli.choices import Prefill
from gseg_cli.gan.sample_set import SampleSet, sample_name
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import write_text
from gseg_runtime.label_map import LabelMap, resize_labels


@dataclass(frozen=True, eq=False)
class Guess:
    """A predicted label map, of the sample's size. doubt: how unsure the teacher is of it, in nats."""

    seed: int
    labels: LabelMap
    doubt: float


def write_templates(guesses: Sequence[Guess], samples: SampleSet, classes: ClassMap, folder: Path, times: int) -> int:
    """PNGs that show each sample in shades of what is predicted, enlarged so many times, and the palette.

    Returns how many files were there already and are kept: somebody may have corrected them.
    """
    labels = {guess.seed: guess.labels for guess in guesses}

    def make(seed: int, picture: Image.Image) -> Image.Image:
        return make_prefilled(np.asarray(picture), resize_labels(labels[seed], picture.size[::-1]), classes)

    handed = hand_out(samples, list(labels), folder, make, times)
    write_text(folder / PALETTE, gimp_palette(classes))
    return len(handed.kept)


def write_prelabels(
    tool: Prefill, guesses: Sequence[Guess], pictures: Path, resolution: int, classes: ClassMap, folder: Path
) -> int:
    """What the program reads: a file per picture for labelme, one file for the others.

    pictures: the folder of what is drawn on there, samples of `resolution` pixels or enlarged ones. Returns how many
    files were there already and are kept. The one file is written anew: what comes back has another name.
    """
    drawn = [_prelabelled(guess, pictures / sample_name(guess.seed), resolution, classes) for guess in guesses]
    if tool == "cvat":
        write_text(folder / "annotations.xml", for_cvat(drawn))
        return 0
    if tool == "label-studio":
        write_text(folder / "tasks.json", for_label_studio(drawn))
        return 0
    missing = [one for one in drawn if not (folder / f"{one.picture.stem}.json").exists()]
    for one in missing:
        write_text(folder / f"{one.picture.stem}.json", for_labelme(one, folder))
    return len(drawn) - len(missing)


def _prelabelled(guess: Guess, picture: Path, resolution: int, classes: ClassMap) -> Prelabelled:
    with Image.open(picture) as image:
        width, height = image.size
    if width != height or width % resolution:
        message = f"{picture}: expected a whole multiple of {resolution} pixels, got {width}x{height}"
        raise GsegError(message, "remove it; gseg predict --scale writes it anew")
    shapes = [(classes.names[one.label], one.rings[0] * (width // resolution)) for one in outlines(guess.labels)]
    return Prelabelled(picture, (width, height), shapes)
