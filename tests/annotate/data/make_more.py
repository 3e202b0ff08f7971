"""Makes exports of the same ten drawings as make.py with the libraries of more tools; the tests only read them.

    pip install datumaro==1.13.12 darwin-py==3.6.3 psd-tools==1.26.0 scikit-image imgviz tqdm
    pip install --no-deps isat-sam==1.5.2      # its formats need none of the networks
    python tests/annotate/data/make_more.py

rasters.zip is what the tools themselves fill: darwin-py's and ISAT's exporters of masks.
"""

import io
import json
import tempfile
import zipfile
from pathlib import Path

import darwin.datatypes as dt
import datumaro as dm
import numpy as np
from darwin.exporter.formats.darwin import build_image_annotation
from darwin.exporter.formats.mask import export as export_darwin_masks
from darwin.utils import parse_darwin_json
from datumaro.components.media import Image as DmImage
from ISAT.formats.isat import ISAT
from ISAT.formats.voc import VOC
from PIL import Image
from psd_tools import PSDImage

DATA = Path(__file__).parent
SIZE, SEEDS = 64, range(10)
COLORS = {"skin": (230, 190, 160), "hair": (90, 50, 30), "eyes": (40, 90, 220), "mouth": (200, 30, 60)}
NAMES = ["background", *COLORS]


def read_zip(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(DATA / name) as archive:
        return {member: archive.read(member) for member in archive.namelist()}


def write_zip(name: str, members: dict[str, bytes | str]) -> None:
    with zipfile.ZipFile(DATA / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member, (2026, 11, 28, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


SHAPES = [
    [(row["label"], np.array(row["points"])) for row in json.loads(data)["shapes"]]
    for name, data in sorted(read_zip("labelme.zip").items())
    if name.endswith(".json")
]
TRUTH = [np.array(Image.open(io.BytesIO(data))) for _, data in sorted(read_zip("truth.zip").items())]


def make_datumaro(name: str, kind: str) -> None:
    items = []
    for seed in SEEDS:
        if kind == "polygon":  # in any order; z_order says how they lie
            rows = list(enumerate(SHAPES[seed]))[::-1]
            drawn = [dm.Polygon(p.ravel(), label=NAMES.index(label), z_order=z) for z, (label, p) in rows]
        else:
            drawn = [dm.Mask(TRUTH[seed] == index, label=index) for index in range(1, len(NAMES))]
        media = DmImage.from_file(str(DATA / "samples" / f"{seed:06d}.png"), size=(SIZE, SIZE))
        items.append(dm.DatasetItem(f"{seed:06d}", media=media, annotations=drawn))
    work = Path(tempfile.mkdtemp())
    dm.Dataset.from_iterable(items, categories=NAMES).export(str(work), "datumaro", save_media=False)
    text = (work / "annotations/default.json").read_text().replace(str(DATA), "/data")
    write_zip(f"{name}.zip", {"annotations/default.json": text})


def darwin_file(seed: int) -> dt.AnnotationFile:
    rows = []
    for index, (label, polygon) in enumerate(SHAPES[seed]):
        path = [{"x": float(x), "y": float(y)} for x, y in polygon]
        row = dt.make_polygon(label, [path], {"x": 0, "y": 0, "w": 1, "h": 1})
        row.id = str(index)
        rows.append(row)
    name = f"{seed:06d}.png"
    slot = dt.Slot(name="0", type="image", source_files=[dt.SourceFile(file_name=name)], width=SIZE, height=SIZE)
    classes = {row.annotation_class for row in rows}
    return dt.AnnotationFile(
        Path(name), name, classes, rows, image_width=SIZE, image_height=SIZE, slots=[slot], dataset_name="faces"
    )


def raster_of(seed: int) -> dict:
    """The JSON around the run lengths from the documented schema: what darwin-py reads and does not write."""
    values = TRUTH[seed].ravel()
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    lengths = np.diff(np.r_[starts, len(values)])
    ids = {f"mask-{name}": index for index, name in enumerate(NAMES) if index}
    rle = np.stack([values[starts], lengths], axis=1).ravel().tolist()
    layer = {"dense_rle": rle, "mask_annotation_ids_mapping": ids, "total_pixels": SIZE * SIZE}
    blank = {"mask": {"sparse_rle": None}, "slot_names": ["0"]}
    masks = [{"id": key, "name": NAMES[index], **blank} for key, index in ids.items()]
    raster = {"id": "raster", "name": "__raster_layer__", "raster_layer": layer, "slot_names": ["0"]}
    return {**build_image_annotation(darwin_file(seed), "team"), "annotations": [*masks, raster]}


def make_darwin(rasters: dict[str, bytes]) -> None:
    names = [f"{seed:06d}.json" for seed in SEEDS]
    files = [build_image_annotation(darwin_file(seed), "team") for seed in SEEDS]
    write_zip("darwin.zip", {name: json.dumps(file, default=vars) for name, file in zip(names, files, strict=True)})
    masks = {name: json.dumps(raster_of(seed), default=vars) for seed, name in zip(SEEDS, names, strict=True)}
    write_zip("darwin_masks.zip", masks)
    work = Path(tempfile.mkdtemp())
    export_darwin_masks([darwin_file(seed) for seed in SEEDS], work, "index")
    order = ["background", *sorted(COLORS)]
    for path in sorted(work.rglob("*.png")):
        rasters[f"darwin/{path.name}"] = png(
            np.array([NAMES.index(name) for name in order])[np.array(Image.open(path))]
        )
    for name, text in masks.items():  # does the tool read them?
        (work / name).write_text(text)
        parsed = parse_darwin_json(work / name, 0)
        assert parsed is not None and len(parsed.annotations) == len(NAMES)


def make_isat(rasters: dict[str, bytes]) -> None:
    work = Path(tempfile.mkdtemp())
    for seed in SEEDS:
        anno = ISAT.ANNO()
        anno.info = ISAT.ANNO.INFO()
        anno.info.name, anno.info.width, anno.info.height, anno.info.depth = f"{seed:06d}.png", SIZE, SIZE, 3
        objects = []
        for layer, (label, polygon) in reversed(list(enumerate(SHAPES[seed], 1))):
            one = ISAT.ANNO.OBJ()
            one.category, one.segmentation, one.layer, one.group = label, polygon.tolist(), float(layer), layer
            one.bbox, one.area = [*polygon.min(axis=0), *polygon.max(axis=0)], 0.0
            objects.append(one)
        anno.objs = tuple(objects)
        ISAT().save_one_isat_json(anno, str(work / f"{seed:06d}.json"))
    write_zip("isat.zip", {path.name: path.read_bytes() for path in sorted(work.glob("*.json"))})
    voc = VOC()
    voc.read_from_ISAT(str(work))
    voc.cates = tuple(NAMES)
    voc.save_to_voc(str(work / "voc"))
    for path in sorted((work / "voc").glob("*.png")):
        rasters[f"isat/{path.name}"] = png(np.array(Image.open(path)))


def make_photoshop() -> None:
    members = {}
    for seed in SEEDS:
        with Image.open(DATA / "samples" / f"{seed:06d}.png") as image:
            # In a document with alpha layers are transparent, in one without they have a layer mask.
            psd = PSDImage.frompil(image.convert("RGBA" if seed % 2 else "RGB"))
            psd.create_pixel_layer(image.convert("RGBA"), name="Background")
        group = psd.create_group(name="parts")
        for name, mask in [(name, TRUTH[seed] == index) for index, name in enumerate(NAMES) if index]:
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            pixels = np.zeros((*mask[box].shape, 4), np.uint8)
            pixels[mask[box]] = (*COLORS[name], 255)
            layer = psd.create_pixel_layer(Image.fromarray(pixels), name, top=int(rows[0]), left=int(columns[0]))
            layer.move_to_group(group)
        buffer = io.BytesIO()
        psd.save(buffer)
        members[f"{seed:06d}.psd"] = buffer.getvalue()
    write_zip("photoshop.zip", members)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> None:
    rasters: dict[str, bytes] = {}
    make_datumaro("datumaro_polygons", "polygon")
    make_datumaro("datumaro_masks", "mask")
    make_darwin(rasters)
    make_isat(rasters)
    make_photoshop()
    write_zip("rasters.zip", rasters)


if __name__ == "__main__":
    main()
