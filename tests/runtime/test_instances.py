"""Connected parts as COCO annotations of their own."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import MakePhoto
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from gseg_runtime import Segmenter
from gseg_runtime.coco_rle import coco_annotations, coco_instances
from gseg_runtime.enlarged import Enlarged
from gseg_runtime.files import read_json
from gseg_runtime.label_map import read_label_png
from gseg_runtime.merge import merge
from gseg_runtime.outlines import outlines

SIZES = [((24, 32), (96, 128)), ((24, 32), (61, 90)), ((24, 32), (7, 300)), ((9, 5), (9, 5)), ((1, 1), (4, 3))]


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools with numpy 2
@pytest.mark.parametrize(("small", "large"), SIZES)
def test_each_instance_is_one_of_opencvs_parts(small: tuple[int, int], large: tuple[int, int]) -> None:
    for labels in ([0, 1, 2, 255], [0, 0, 0, 0, 0, 7], [3]):
        plane = Enlarged(np.random.default_rng(0).choice(np.array(labels, np.uint8), small), *large)
        full, instances = plane.full(), coco_instances(plane)
        expected = set()
        for label in set(np.unique(full).tolist()) - {0, 255}:
            count, parts, stats, _ = cv2.connectedComponentsWithStats((full == label).astype(np.uint8), connectivity=8)
            boxes = stats[1:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].tolist()
            for number in range(1, count):
                runs = coco_mask.encode(np.asfortranarray((parts == number).astype(np.uint8)))["counts"].decode()
                expected.add((label, runs, int(stats[number, cv2.CC_STAT_AREA]), *boxes[number - 1]))
        found = [(x["category_id"], x["segmentation"]["counts"], x["area"], *x["bbox"]) for x in instances]
        assert len(found) == len(expected) and set(found) == expected


def test_instances_add_up_to_the_annotations_of_their_classes() -> None:
    plane = Enlarged(np.random.default_rng(1).integers(0, 4, (40, 50), np.uint8), 133, 170)
    areas: dict[int, int] = {}
    for instance in coco_instances(plane):
        areas[instance["category_id"]] = areas.get(instance["category_id"], 0) + instance["area"]
    assert areas == {x["category_id"]: x["area"] for x in coco_annotations(plane)}


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_the_file_is_read_by_pycocotools_and_made_anew_by_resume_and_merge(
    segmenter: Segmenter, photos: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out, coco=True)
    assert not (out / "gseg-instances.json").exists()
    assert segmenter.segment_folder(photos, out, resume=True, coco=True, instances=True).done == 4
    assert segmenter.segment_folder(photos, out, resume=True, instances=True).skipped == 4
    coco = COCO(out / "gseg-instances.json")
    for image in coco.imgs.values():
        labels = read_label_png((out / image["file_name"]).with_suffix(".png"))
        built = np.zeros_like(labels)
        for annotation in coco.imgToAnns[image["id"]]:
            built[coco.annToMask(annotation).astype(bool)] = annotation["category_id"]
        np.testing.assert_array_equal(built, labels)
    for index in range(2):
        segmenter.segment_folder(photos, tmp_path / str(index), instances=True, shard=(index, 2))
    merge([tmp_path / "0", tmp_path / "1"], tmp_path / "merged")
    assert read_json(tmp_path / "merged" / "gseg-instances.json") == read_json(out / "gseg-instances.json")
    assert not (tmp_path / "merged" / "gseg-coco.json").exists()


@pytest.mark.parametrize(("work", "bytes_per_pixel"), [(coco_instances, 7), (outlines, 12)])
def test_a_map_as_large_as_its_photo_takes_memory_for_its_edges_not_for_each_pixel(
    work: Callable[[Enlarged], object], bytes_per_pixel: int
) -> None:
    y, x = np.mgrid[:1000, :1000]
    labels = ((y - 500) ** 2 + (x - 400) ** 2 < 300**2).astype(np.uint8) + (x + y < 300)
    tracemalloc.start()
    work(Enlarged(labels, 1000, 1000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < bytes_per_pixel * labels.size
