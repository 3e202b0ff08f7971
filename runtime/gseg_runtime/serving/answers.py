"""From the bytes of one photo to those of its answer, without HTTP: what `PhotoWork` does between files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from gseg_runtime.class_map import ClassMap
from gseg_runtime.coco_rle import coco_annotations
from gseg_runtime.detail import Detail
from gseg_runtime.enlarged import Enlarged
from gseg_runtime.errors import UsageError
from gseg_runtime.extras import overlay_suffix
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import Decoding, decode_image, large_lock
from gseg_runtime.label_map import Pixels
from gseg_runtime.model_card import ModelCard
from gseg_runtime.outlines import outlines
from gseg_runtime.photo_work import overlay_file
from gseg_runtime.plan import OVERLAY
from gseg_runtime.png import encode_png
from gseg_runtime.polygons import labelme_json
from gseg_runtime.prediction import Prediction
from gseg_runtime.tables import coco_categories

Form = Literal["png", "coco", "labelme", "overlay"]
FORMS: tuple[Form, ...] = get_args(Form)
_PHOTO = Path("photo")  # what errors call it


@dataclass(frozen=True)
class Received:
    """A photo ready for the network. data: the file itself, and how it is decoded; square: uint8 [S, S, 3]."""

    data: bytes
    how: Decoding | None
    square: Pixels
    letterbox: Letterbox


@dataclass(frozen=True)
class Answer:
    """confidence: see `Prediction.mean_confidence`."""

    data: bytes
    media_type: str
    confidence: float | None


def parse_form(text: str) -> Form:
    """UsageError when it is none of FORMS."""
    for form in FORMS:
        if text == form:
            return form
    raise UsageError(f"as: expected one of {', '.join(FORMS)}, got {text!r}")


def receive(data: bytes, card: ModelCard, detail: Detail, how: Decoding | None) -> Received:
    """Decode and frame; ImageError when `data` is no picture, or a larger one than is wanted."""
    photo = decode_image(data, _PHOTO, detail.num_needed(card.input_size), how)
    letterbox = detail.frame(photo.height, photo.width, card.input_size)
    return Received(data, how, letterbox.apply(photo.pixels, card.fill, photo.box), letterbox)


def answer(received: Received, prediction: Prediction, classes: ClassMap, form: Form) -> Answer:
    """What `gseg segment` would write: the mask, the photo in class colours, or JSON of this one photo."""
    return Answer(*_content(received, prediction, classes, form), prediction.mean_confidence)


def _content(received: Received, prediction: Prediction, classes: ClassMap, form: Form) -> tuple[bytes, str]:
    plane = prediction.label_plane
    if form == "png":
        return encode_png(plane, classes.palette()), "image/png"
    if form == "coco":
        return json.dumps(_coco(plane, classes)).encode(), "application/json"
    if form == "labelme":
        with large_lock(*plane.small.shape):
            return labelme_json(outlines(plane), classes, (plane.height, plane.width), ""), "application/json"
    suffix = overlay_suffix(plane.height, plane.width)
    with large_lock(plane.height, plane.width):
        pixels = decode_image(received.data, _PHOTO, how=received.how).pixels
        shown = overlay_file(pixels, prediction.labels, classes, suffix)
    return shown, "image/jpeg" if suffix == OVERLAY else "image/png"


def _coco(plane: Enlarged, classes: ClassMap) -> dict[str, object]:
    annotations = enumerate(coco_annotations(plane), start=1)
    return {
        "categories": coco_categories(classes),
        "images": [{"id": 1, "height": plane.height, "width": plane.width}],
        "annotations": [{"id": number, "image_id": 1, **annotation} for number, annotation in annotations],
    }
