"""Makes the exports in this folder with the tools' own libraries; the tests only read them.

    pip install labelme==6.3.1 datumaro==1.13.12 label-studio-sdk==2.1.2 pycocotools==2.0.11
    pip install shapely==2.2.0 pyora==0.3.11
    python tests/annotate/data/make.py

Ten samples of the shipped GAN (samples/, by `gseg sample --seeds 0-9`), five shapes on each: the later ones lie over
the earlier ones. truth.zip is filled by shapely, by pixel centres, independently of gseg's own filling.
"""

import base64
import io
import json
import math
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

import datumaro as dm
import numpy as np
import shapely
from datumaro.components.media import Image as DmImage
from label_studio_sdk.converter import brush
from label_studio_sdk.converter.imports.coco import convert_coco_to_ls
from labelme import utils as labelme_utils
from labelme._label_file import LabelFile
from PIL import Image
from pycocotools import mask as coco_mask
from pyora import Project

DATA = Path(__file__).parent
SIZE, SEEDS = 64, range(10)
CLASSES = {
    "background": (0, 0, 0),
    "skin": (230, 190, 160),
    "hair": (90, 50, 30),
    "eyes": (40, 90, 220),
    "mouth": (200, 30, 60),
}
NAMES = list(CLASSES)


def shapes_of(seed: int) -> list[tuple[str, np.ndarray]]:
    """(class, polygon [N, 2]) in paint order."""
    random = np.random.RandomState(seed)
    x, y = 32 + random.uniform(-4, 4), 34 + random.uniform(-3, 3)

    def oval(cx, cy, rx, ry, count):
        angles = np.arange(count) * 2 * math.pi / count
        return np.round(np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1), 2)

    return [
        ("hair", oval(x, y - 6, 22, 24, 24)),
        ("skin", oval(x, y, 16.3, 20.7, 32)),
        ("eyes", oval(x - 7, y - 4, 4.2, 2.6, 12)),
        ("eyes", oval(x + 7, y - 4, 4.2, 2.6, 12)),
        ("mouth", np.round(np.array([[x - 8, y + 9], [x + 8, y + 9], [x + 3, y + 14], [x - 3, y + 14.0]]), 2)),
    ]


def fill(polygon: np.ndarray) -> np.ndarray:
    centres = np.arange(SIZE) + 0.5
    shape = shapely.Polygon(polygon)
    shapely.prepare(shape)
    return shapely.contains_xy(shape, centres[None, :].repeat(SIZE, 0), centres[:, None].repeat(SIZE, 1))


def truth_of(seed: int) -> np.ndarray:
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for name, polygon in shapes_of(seed):
        labels[fill(polygon)] = NAMES.index(name)
    return labels


def visible(seed: int) -> list[tuple[str, np.ndarray]]:
    """(class, mask) of what one sees of each class."""
    labels = truth_of(seed)
    return [(name, labels == NAMES.index(name)) for name in NAMES[1:]]


def png(array: np.ndarray, palette: bool = False) -> bytes:
    image = Image.fromarray(array)
    if palette:
        image.putpalette([value for color in CLASSES.values() for value in color])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write_zip(name: str, members: dict[str, bytes | str]) -> None:
    with zipfile.ZipFile(DATA / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member, (2026, 11, 22, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


def folder_zip(name: str, folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    write_zip(name, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


def sample(seed: int) -> Path:
    return DATA / "samples" / f"{seed:06d}.png"


def make_labelme(work: Path) -> None:
    for seed in SEEDS:
        shapes = [
            {
                "label": n,
                "points": p.tolist(),
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
            }
            for n, p in shapes_of(seed)
        ]
        data = sample(seed).read_bytes() if seed < 2 else None
        path = f"..\\samples\\{seed:06d}.png" if seed == 3 else f"{seed:06d}.png"
        LabelFile().save(str(work / f"{seed:06d}.json"), shapes, path, SIZE, SIZE, data)
    folder_zip("labelme.zip", work)


def make_labelme_masks(work: Path) -> None:
    for seed in SEEDS:
        shapes = []
        for name, mask in visible(seed):
            rows, columns = np.nonzero(mask)
            x0, x1, y0, y1 = columns.min(), columns.max(), rows.min(), rows.max()
            crop = labelme_utils.img_arr_to_b64(mask[y0 : y1 + 1, x0 : x1 + 1].astype(np.uint8))
            points = [[float(x0), float(y0)], [float(x1), float(y1)]]
            shapes.append({"label": name, "points": points, "shape_type": "mask", "mask": crop, "flags": {}})
        LabelFile().save(str(work / f"{seed:06d}.json"), shapes, f"{seed:06d}.png", SIZE, SIZE)
    folder_zip("labelme_masks.zip", work)


def datumaro_set(kind: str) -> dm.Dataset:
    items = []
    for seed in SEEDS:
        if kind == "polygon":
            annotations = [
                dm.Polygon(p.ravel().tolist(), label=NAMES.index(n), z_order=z, id=z + 1, group=z + 1)
                for z, (n, p) in enumerate(shapes_of(seed))
            ]
        else:
            annotations = [
                dm.Mask(m, label=NAMES.index(n), id=z + 1, group=z + 1, z_order=z, attributes={"is_crowd": True})
                for z, (n, m) in enumerate(visible(seed))
            ]
        items.append(dm.DatasetItem(f"{seed:06d}", media=DmImage.from_file(str(sample(seed))), annotations=annotations))
    return dm.Dataset.from_iterable(items, categories=NAMES, media_type=DmImage)


def make_datumaro(name: str, kind: str, export: str, *, save_media: bool = True) -> None:
    with tempfile.TemporaryDirectory() as work:
        datumaro_set(kind).export(work + "/out", export, save_media=save_media)
        folder_zip(f"{name}.zip", Path(work) / "out")


def make_coco_compressed() -> None:
    """As detectron2 and pycocotools write it."""
    images = [{"id": s + 1, "file_name": f"{s:06d}.png", "width": SIZE, "height": SIZE} for s in SEEDS]
    annotations = []
    for seed in SEEDS:
        for name, mask in visible(seed):
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": seed + 1,
                    "category_id": NAMES.index(name),
                    "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode()},
                    "area": int(coco_mask.area(rle)),
                    "bbox": coco_mask.toBbox(rle).tolist(),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES) if i]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (DATA / "coco_compressed.json").write_text(json.dumps(document))


def make_label_studio(work: Path) -> None:
    """Polygons by label-studio-sdk's own converter from COCO; brushes by its encoder, in the documented JSON."""
    coco = work / "coco.json"
    images = [{"id": s, "file_name": f"{s:06d}.png", "width": SIZE, "height": SIZE} for s in SEEDS]
    annotations = [
        {"id": 10 * s + k, "image_id": s, "category_id": NAMES.index(n), "segmentation": [p.ravel().tolist()],
         "area": 1, "iscrowd": 0}
        for s in SEEDS for k, (n, p) in enumerate(shapes_of(s))
    ]  # fmt: skip
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES)]
    coco.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    out = DATA / "label_studio_polygons.json"
    convert_coco_to_ls(str(coco), str(out), out_type="annotations", image_root_url="/data/local-files/?d=samples")
    out.with_suffix(".label_config.xml").unlink()
    tasks = []
    for seed in SEEDS:
        result = [
            {
                "id": f"r{seed}{index}", "type": "brushlabels", "from_name": "tag", "to_name": "image",
                "original_width": SIZE, "original_height": SIZE, "image_rotation": 0,
                "value": {"format": "rle", "rle": brush.mask2rle(mask.astype(np.uint8) * 255), "brushlabels": [name]},
            }
            for index, (name, mask) in enumerate(visible(seed))
        ]  # fmt: skip
        image = f"/data/upload/1/3f2a{seed:04x}-{seed:06d}.png"
        tasks.append({"id": seed, "annotations": [{"id": seed, "was_cancelled": False, "result": result}],
                      "file_upload": image[15:], "data": {"image": image}})  # fmt: skip
    (DATA / "label_studio_brush.json").write_text(json.dumps(tasks))


def make_supervisely() -> None:
    """From the documented schema: the parts as bitmaps. Its polygons have other edges, see test_pixel_polygons.py."""
    members = {"meta.json": json.dumps({"classes": [{"title": name} for name in NAMES[1:]], "tags": []})}
    for seed in SEEDS:
        bitmaps = [
            (n, base64.b64encode(zlib.compress(png(m.astype(np.uint8) * 255))).decode()) for n, m in visible(seed)
        ]
        objects = [
            {"classTitle": n, "geometryType": "bitmap", "bitmap": {"data": d, "origin": [0, 0]}} for n, d in bitmaps
        ]
        annotation = {"description": "", "tags": [], "size": {"height": SIZE, "width": SIZE}, "objects": objects}
        members[f"dataset/ann/{seed:06d}.png.json"] = json.dumps(annotation)
    write_zip("supervisely.zip", members)


def make_qupath() -> None:
    """From the documented schema, the geometry written by shapely."""
    members = {}
    for seed in SEEDS:
        features = [
            {
                "type": "Feature",
                "id": f"{seed}-{index}",
                "geometry": shapely.geometry.mapping(shapely.Polygon(polygon)),
                "properties": {"objectType": "annotation", "classification": {"name": name, "color": [1, 2, 3]}},
            }
            for index, (name, polygon) in enumerate(shapes_of(seed))
        ]
        members[f"{seed:06d}.geojson"] = json.dumps({"type": "FeatureCollection", "features": features})
    write_zip("qupath.zip", members)


def make_open_raster(work: Path) -> None:
    for seed in SEEDS:
        project = Project.new(SIZE, SIZE)
        project.add_layer(Image.open(sample(seed)).convert("RGBA"), "Background")
        for name, polygon in shapes_of(seed):
            pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
            pixels[fill(polygon)] = (*CLASSES[name], 255)
            project.add_layer(Image.fromarray(pixels), f"{name}")
        project.save(str(work / f"face {seed}.ora"))
    folder_zip("open_raster.zip", work)


def make_pictures() -> None:
    colors = np.array(list(CLASSES.values()), np.uint8)
    members = {"indexed": {}, "grey": {}, "color": {}, "celeba": {}}
    for seed in SEEDS:
        labels, name = truth_of(seed), f"{seed:06d}.png"
        members["indexed"][name] = png(labels, palette=True)
        members["grey"][name] = png(labels)
        members["color"][name] = png(colors[labels])
        for part, mask in visible(seed):
            members["celeba"][f"CelebAMask-HQ-mask-anno/0/{seed:05d}_{part}.png"] = png(mask.astype(np.uint8) * 255)
    for kind, files in members.items():
        write_zip(f"{kind}.zip", files)


def main() -> None:
    for old in DATA.glob("*.zip"):
        old.unlink()
    truth = {f"{seed:06d}.png": png(truth_of(seed), palette=True) for seed in SEEDS}
    write_zip("truth.zip", truth)
    for make in (make_labelme, make_labelme_masks, make_label_studio, make_open_raster):
        work = Path(tempfile.mkdtemp())
        make(work)
        shutil.rmtree(work)
    make_datumaro("coco_instances", "polygon", "coco_instances")
    make_datumaro("coco_rle", "mask", "coco_instances", save_media=False)
    make_datumaro("coco_panoptic", "mask", "coco_panoptic", save_media=False)
    make_datumaro("cvat_polygons", "polygon", "cvat")
    make_datumaro("cvat_masks", "mask", "cvat", save_media=False)
    make_datumaro("voc", "mask", "voc_segmentation")
    make_coco_compressed()
    make_supervisely()
    make_qupath()
    make_pictures()


if __name__ == "__main__":
    main()
