"""Small data sets in the layout in which the true ones are published."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.io import savemat

SHAPE = (200, 300)  # of the photos of PASCAL-Part
Mask = npt.NDArray[np.bool_]
Object = tuple[str, Mask, dict[str, Mask]]


def box(shape: tuple[int, int], top: int, left: int, bottom: int, right: int) -> Mask:
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def write_face(root: Path, number: int, masks: dict[str, Mask], size: int = 64) -> None:
    """A photo whose left half is black and right half white, and its masks, RGB as the published ones."""
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[:, size // 2 :] = 255
    (root / "CelebA-HQ-img").mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(root / "CelebA-HQ-img" / f"{number}.jpg", quality=95)
    folder = root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
    folder.mkdir(parents=True, exist_ok=True)
    for name, mask in masks.items():
        Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB").save(folder / f"{number:05d}_{name}.png")


def square(top: int, left: int, side: int = 64) -> Mask:
    return box((512, 512), top, left, top + side, left + side)


def write_annotated(root: Path, name: str, objects: list[Object]) -> None:
    """A .mat file of MATLAB structs as in PASCAL-Part, and a photo whose red is the row and green the column."""

    def parts_of(parts: dict[str, Mask]) -> npt.NDArray[Any]:
        if not parts:
            return np.zeros((0, 0))
        rows = [(part, mask.astype(np.uint8)) for part, mask in parts.items()]
        return np.array([rows], dtype=[("part_name", object), ("mask", object)])

    kinds = {"car": 7, "horse": 13, "person": 15}
    rows = [(kind, kinds[kind], mask.astype(np.uint8), parts_of(parts)) for kind, mask, parts in objects]
    fields = [("class", object), ("class_ind", object), ("mask", object), ("parts", object)]
    annotation = {"imname": name, "objects": np.array([rows], dtype=fields)}
    (root / "Annotations_Part").mkdir(parents=True, exist_ok=True)
    savemat(root / "Annotations_Part" / f"{name}.mat", {"anno": annotation}, do_compression=True)
    pixels = np.zeros((*SHAPE, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(200)[:, None], np.arange(300) % 256
    (root / "JPEGImages").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg", quality=98, subsampling=0)


def write_list(root: Path, name: str, lines: list[str]) -> None:
    (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    (root / "ImageSets/Main" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def whole(*corners: int, kind: str = "car", part: str = "leftside") -> Object:
    """An object that consists of one part."""
    return kind, box(SHAPE, *corners), {part: box(SHAPE, *corners)}
