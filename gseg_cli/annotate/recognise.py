"""Which format an export is, by what is in it and not by what it is called; and reading it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gseg_cli.annotate.class_table import NAMES as TABLES
from gseg_cli.annotate.documents import Document, read_documents
from gseg_cli.annotate.drawing import SAMPLES, Bounds, Reading
from gseg_cli.annotate.formats.celebamask import part_names, read_parts
from gseg_cli.annotate.formats.coco import is_coco, is_panoptic, read_coco, read_panoptic
from gseg_cli.annotate.formats.cvat import is_cvat, read_cvat
from gseg_cli.annotate.formats.darwin import is_darwin, read_darwin
from gseg_cli.annotate.formats.datumaro import is_datumaro, read_datumaro
from gseg_cli.annotate.formats.isat import is_isat, read_isat
from gseg_cli.annotate.formats.label_studio import is_label_studio, read_label_studio
from gseg_cli.annotate.formats.labelme import is_labelme, read_labelme
from gseg_cli.annotate.formats.labelme_xml import is_labelme_xml, read_labelme_xml
from gseg_cli.annotate.formats.openraster import read_layered
from gseg_cli.annotate.formats.photoshop import SUFFIXES as PHOTOSHOP
from gseg_cli.annotate.formats.photoshop import read_photoshop
from gseg_cli.annotate.formats.png import SUFFIXES, read_label_maps
from gseg_cli.annotate.formats.qupath import is_geojson, read_geojson
from gseg_cli.annotate.formats.sa1b import is_sa1b, read_sa1b
from gseg_cli.annotate.formats.supervisely import is_supervisely, read_supervisely
from gseg_cli.annotate.formats.via import is_via, read_via
from gseg_cli.annotate.formats.voc import is_voc_boxes, mask_names, read_voc_boxes, read_voc_masks
from gseg_cli.annotate.formats.yolo import label_files, read_yolo
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.source_files import Files, base_name, open_source
from gseg_cli.annotate.table_above import with_table
from gseg_cli.counted import counted
from gseg_runtime.errors import GsegError
from gseg_runtime.png import SIGNATURE as PNG_SIGNATURE

_TEXTS = (".json", ".ndjson", ".jsonl", ".xml")
_IMAGES = {"images", "image", "imgs", "img", "jpegimages"}
READ = (
    "known: labelme, COCO, CVAT, Label Studio, YOLO, VIA, Datumaro, V7 Darwin, ISAT, SA-1B, Pascal VOC, LabelMe XML, "
    "CelebAMask-HQ, Supervisely, QuPath, OpenRaster, Photoshop, PNG"
)


@dataclass(frozen=True)
class DocumentFormat:
    """A format whose JSON or XML holds the annotations. `is_one` looks at the parsed content."""

    name: str
    is_one: Callable[[Any], bool]
    read: Callable[[Document, Files, Reading], None]


FORMATS = (
    DocumentFormat("labelme", is_labelme, read_labelme),
    DocumentFormat("COCO panoptic", is_panoptic, read_panoptic),
    DocumentFormat("COCO", is_coco, read_coco),
    DocumentFormat("CVAT", is_cvat, read_cvat),
    DocumentFormat("Label Studio", is_label_studio, read_label_studio),
    DocumentFormat("LabelMe XML", is_labelme_xml, read_labelme_xml),
    DocumentFormat("Pascal VOC boxes", is_voc_boxes, read_voc_boxes),
    DocumentFormat("Datumaro", is_datumaro, read_datumaro),
    DocumentFormat("Darwin", is_darwin, read_darwin),
    DocumentFormat("ISAT", is_isat, read_isat),
    DocumentFormat("SA-1B", is_sa1b, read_sa1b),
    DocumentFormat("VIA", is_via, read_via),
    DocumentFormat("Supervisely", is_supervisely, read_supervisely),
    DocumentFormat("QuPath", is_geojson, read_geojson),
)


def read_source(source: Path, names: Names, bounds: Bounds = SAMPLES) -> tuple[str, Reading]:
    """The format's name and all drawings in a file, folder or zip. Writes nothing. bounds: of what was drawn on.

    GsegError when nothing in it is known, or when it holds several formats; what is wrong with single files or
    pictures becomes a failure.
    """
    files, reading = with_table(open_source(source)), Reading(bounds=bounds)
    masks = mask_names(files)
    if masks:
        read_voc_masks(files, masks, reading)
        return "segmentation masks", reading
    layered = files.named(".ora")
    if layered:
        read_layered(files, layered, reading)
        return "OpenRaster", reading
    photoshop = files.named(*PHOTOSHOP)
    if photoshop:
        read_photoshop(files, photoshop, reading)
        return "Photoshop", reading
    documents = read_documents(files, reading)
    found = [(kind, document) for document in documents if (kind := _format_of(document)) is not None]
    kinds = {kind.name: kind for kind, _ in found}
    if len(kinds) > 1:
        raise GsegError(f"{source}: holds annotations of {' and '.join(kinds)}", "import one of them at a time")
    for kind, document in found:
        with reading.attempt():
            kind.read(document, files, reading)
    if kinds:
        return next(iter(kinds)), reading
    labels = label_files(files)
    if labels:
        read_yolo(files, labels, reading)
        return "YOLO", reading
    strange = [document.where for document in documents if _is_strange(document)]
    if strange:
        what = f"skipped {counted(len(strange), 'JSON or XML file')} without annotations of a known format"
        reading.warnings.append(f"{source}: {what}, for example {strange[0]}")
    return _read_pictures(source, files, names, reading)


def _is_strange(document: Document) -> bool:
    """Neither a table of classes nor what gseg writes beside pictures, which says its kind."""
    content = document.content
    is_own = isinstance(content, dict) and {"format", "kind"} <= content.keys()
    return not is_own and base_name(document.name) not in TABLES


def _format_of(document: Document) -> DocumentFormat | None:
    return next((kind for kind in FORMATS if kind.is_one(document.content)), None)


def _read_pictures(source: Path, files: Files, names: Names, reading: Reading) -> tuple[str, Reading]:
    pictures = files.named(*SUFFIXES) or [name for name in files.names if source.is_file() and _is_png(files, name)]
    if reading.failures and not files.named(*SUFFIXES):
        return "nothing", reading
    if not pictures:
        raise GsegError(f"{source}: {_contents(files)}, but no annotations of a known format", _way_out(files))
    _check_named(source, files, pictures)
    pictures = _without_images(_masks_of_camvid(files, pictures))
    known = (*TABLES, ".json", ".gpl")
    others = [name for name in files.names if name not in pictures and not name.lower().endswith(known)]
    if others:
        where = files.where(others[0])
        reading.warnings.append(
            f"{source}: skipped {counted(len(others), 'file')} without a label map, for example {where}"
        )
    parts = part_names(pictures, [*names.classes.names, *names.mapping])
    if parts:
        read_parts(files, parts, reading)
        return "masks of parts", reading
    read_label_maps(files, pictures, names, reading)
    return "label maps", reading


def _check_named(source: Path, files: Files, pictures: list[str]) -> None:
    """GsegError for pictures of programs that number them as they please: the numbers are no seeds of samples."""
    if any(re.match(r"task-\d+-annotation-\d+", base_name(name)) for name in pictures):
        message = f"{source}: PNGs from Label Studio, which do not say which image they belong to"
        raise GsegError(message, "export from Label Studio as JSON")
    numbered = [name for name in pictures if re.fullmatch(r"Label_\d+\.png", base_name(name))]
    if any("PixelLabelData" in files.where(name) for name in numbered) or (numbered and files.named(".mat")):
        message = f"{source}: PNGs from MATLAB, numbered in the order of its images, such as {base_name(numbered[0])}"
        raise GsegError(message, "rename each as its picture, which the groundTruth object names")


def _way_out(files: Files) -> str:
    """JPEGs beside other files are the photos that belong to these."""
    if files.named(".xcf", ".kra"):
        return "save it as OpenRaster (.ora) with a layer per class, called as the class, or each class as a PNG"
    if files.named(".csv", ".tsv"):
        return f"export as JSON instead of CSV; {READ}"
    if files.named(".jpg", ".jpeg") and not files.named(*_TEXTS, ".txt"):
        return "label maps are PNGs: JPEG smears their edges into other classes"
    if files.named(".roi", ".mat", ".npy", ".npz"):
        return f"save each picture's labels as a PNG or TIFF of class indices, called as the picture; {READ}"
    if files.named(".gz"):
        return f"unpack it first, with gunzip; {READ}"
    if files.named(".zip"):
        return f"give the zip itself, not its folder; {READ}"
    return f"export as COCO, which most programs can; {READ}" if files.named(*_TEXTS) else READ


def _masks_of_camvid(files: Files, pictures: list[str]) -> list[str]:
    """Its masks are in folders such as trainannot/, beside label_colors.txt; train/ holds the pictures."""
    masks = [name for name in pictures if name.rpartition("/")[0].endswith("annot")]
    return masks if masks and files.find("label_colors.txt") else pictures


def _without_images(pictures: list[str]) -> list[str]:
    """Data sets have the pictures in images/, and in another folder the masks, whose names begin alike."""
    images = {name for name in pictures if _IMAGES & {part.lower() for part in name.split("/")[:-1]}}
    others = [name for name in pictures if name not in images]
    stems = {Path(name).stem for name in images}
    return others if any(_begins_with_one(Path(name).stem, stems) for name in others) else pictures


def _begins_with_one(name: str, stems: set[str]) -> bool:
    """As 12_mask does with 12, but not with 1."""
    return any(name[:end] in stems and not name[end : end + 1].isdecimal() for end in range(1, len(name) + 1))


def _is_png(files: Files, name: str) -> bool:
    """A single file may be called anything."""
    return not files.is_zip and files.read(name).startswith(PNG_SIGNATURE)


def _contents(files: Files) -> str:
    if not files.names:
        return "an empty folder or zip"
    endings = sorted({Path(name).suffix.lower() or "no suffix" for name in files.names})
    return f"holds {counted(len(files.names), 'file')} ({', '.join(endings[:6])})"
