"""Small exports by hand, and an import of whatever is in a folder."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from gseg_cli.annotate.names import Names
from gseg_cli.annotate.paint import tie
from gseg_cli.annotate.recognise import read_source
from gseg_runtime.class_map import ClassMap

DATA = Path(__file__).parent / "data"
# Those of data/make.py.
CLASSES = ClassMap(
    ("background", "skin", "hair", "eyes", "mouth"),
    ((0, 0, 0), (230, 190, 160), (90, 50, 30), (40, 90, 220), (200, 30, 60)),
)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    path.write_bytes(data)
    return path


def load(source, samples, classes, mapping=None, **options):
    names = Names(classes, mapping or {})
    kind, reading = read_source(source, names)
    return kind, tie(reading, samples, names, **options)


def labels_of(source, samples, classes, mapping=None, **options):
    """The one label map in an export."""
    _, found = load(source, samples, classes, mapping, **options)
    assert found.failures == ()
    (labels,) = found.all().labels
    return labels


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def b64(data):
    return base64.b64encode(data).decode()


def square(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def box(size, x0, y0, x1, y1, value=1):
    labels = np.zeros((size, size), np.uint8)
    labels[y0:y1, x0:x1] = value
    return labels


def labelme(*shapes, path="000003.png", size=64, **more):
    rows = [{"label": label, "points": points, "shape_type": kind} for label, kind, points in shapes]
    return {"version": "6.3.1", "flags": {}, "shapes": rows, "imagePath": path, "imageData": None,
            "imageHeight": size, "imageWidth": size, **more}  # fmt: skip


def coco(*annotations, size=64, name="000003.png"):
    rows = [{"id": i, "image_id": 7, "category_id": 1, **row} for i, row in enumerate(annotations)]
    categories = [{"id": 1, "name": "skin"}, {"id": 2, "name": "hair"}]
    image = {"id": 7, "file_name": name, "width": size, "height": size}
    return {"images": [image], "annotations": rows, "categories": categories}


def cvat(*elements, size=64, name="000003.png"):
    inner = "".join(elements)
    image = f'<image id="0" name="{name}" width="{size}" height="{size}">{inner}</image>'
    return f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{image}</annotations>'


def label_studio(*values, size=64, image="/data/upload/1/3f2a1b4c-000003.png", **more):
    regions = [
        {"id": f"r{i}", "type": "labels", "original_width": size, "original_height": size, "value": value}
        for i, value in enumerate(values)
    ]
    return [{"id": 1, "data": {"image": image}, "annotations": [{"id": 1, "result": regions, **more}]}]


def via(*shapes, name="000003.png", label=None):
    attributes = {"label": "skin"} if label is None else label
    regions = [{"shape_attributes": shape, "region_attributes": attributes} for shape in shapes]
    return {f"{name}5000": {"filename": name, "size": 5000, "regions": regions, "file_attributes": {}}}


def darwin(raster, name="000003.png", size=64):
    """Version 2.0, with one mask of skin."""
    slot = {"slot_name": "0", "type": "image", "width": size, "height": size, "source_files": [{"file_name": name}]}
    mask = {"id": "m", "name": "skin", "mask": {"sparse_rle": None}}
    rows = [mask, {"id": "r", "name": "__raster_layer__", "raster_layer": raster}]
    return {"version": "2.0", "item": {"name": name, "path": "/", "slots": [slot]}, "annotations": rows}


def datumaro(*annotations, name="000003", size=64):
    rows = [{"id": 0, "label_id": 0, "attributes": {}, "group": 0, "z_order": 0, **row} for row in annotations]
    categories = {"label": {"labels": [{"name": "skin", "parent": "", "attributes": []}]}}
    item = {"id": name, "annotations": rows, "image": {"path": f"/data/{name}.png", "size": [size, size]}}
    return {"dm_format_version": "1.0", "infos": {}, "categories": categories, "items": [item]}


def sa1b(*masks, name="000003.png", size=64):
    """masks: run lengths down the columns, and an id."""
    rows = [{"id": number, "segmentation": {"size": [size, size], "counts": counts}, "bbox": [0, 0, 1, 1], "area": 1,
             "predicted_iou": 0.9, "point_coords": [[1, 1]], "crop_box": [0, 0, size, size], "stability_score": 0.9}
            for counts, number in masks]  # fmt: skip
    return {"image": {"image_id": 3, "width": size, "height": size, "file_name": name}, "annotations": rows}
