"""A student checkpoint becomes a model file: its weights, its card, and the proof that both engines agree."""

from pathlib import Path
from typing import Any

import numpy as np

from gseg_cli import __version__
from gseg_cli.checkpoint import parent_of
from gseg_cli.distill.unet import KIND, load_unet
from gseg_cli.runs import CHECKPOINT
from gseg_cli.steps import Say, ignore_say
from gseg_export.parity import QUALITY_KEY, Images, export_verified, smooth_images
from gseg_runtime.errors import GsegError
from gseg_runtime.files import sha256_file
from gseg_runtime.geometry import FILL, Letterbox
from gseg_runtime.images import list_images, read_image
from gseg_runtime.model_card import ModelCard, Parent

NUM_VERIFY = 64  # pictures to verify on; more of them find nothing new


def export_student(
    checkpoint: Path,
    out: Path,
    verify: Path | None = None,
    *,
    overwrite: bool = False,
    seed: int = 0,
    say: Say = ignore_say,
) -> dict[str, Any]:
    """Write the student in `checkpoint` as the ONNX file `out`; what was written, as plain data.

    verify: folder of photos on which ONNX Runtime must label as PyTorch does; None makes pictures up, by `seed`.
    Raises GsegError before any work when `out` exists (unless `overwrite`) or is not named .onnx, and after it when
    the two disagree; a file that was at `out` is then still there.
    """
    _check_out(out, overwrite=overwrite)
    net, classes, meta = load_unet(checkpoint)
    size = net.config.input_size
    images = smooth_images(NUM_VERIFY, size=size, seed=seed) if verify is None else _read_photos(verify, size)
    say(f"exporting {checkpoint} and verifying it on {len(images)} {'pictures' if verify is None else 'photos'}")
    parents = tuple(_parent(entry) for entry in [parent_of(checkpoint, KIND), *meta["parents"]])
    # The student was trained on squares; FILL is what surrounds a photo in them, in training as at run time.
    card = ModelCard(
        classes=classes, input_size=size, parents=parents, fill=FILL, quality=meta.get("quality", {}),
        created_by=f"gseg {__version__}",
    )  # fmt: skip
    card = export_verified(net, card, out, images)
    return {
        "model": out,
        "sha256": sha256_file(out),
        "bytes": out.stat().st_size,
        "checkpoint": checkpoint,
        "input_size": size,
        "classes": list(classes.names),
        "label_agreement": card.quality[QUALITY_KEY],
        "num_verified": len(images),
    }


def _check_out(out: Path, *, overwrite: bool) -> None:
    if out.suffix != ".onnx":
        raise GsegError(f"{out}: expected a name that ends in .onnx", hint="gseg segment knows a model by its ending")
    if out.exists() and not (overwrite and out.is_file()):
        raise GsegError(f"{out}: exists already", hint="--overwrite replaces the file, or choose another name with -o")


def _read_photos(folder: Path, size: int) -> Images:
    """Up to NUM_VERIFY photos, spread evenly over the folder, as the student sees them: uint8 [N, size, size, 3]."""
    paths = list_images(folder)
    if not paths:
        raise GsegError(f"{folder}: no photos to verify on", hint="name a folder of photos, or leave --verify out")
    chosen = np.linspace(0, len(paths) - 1, min(NUM_VERIFY, len(paths))).round().astype(int)
    return np.stack([_read_photo(paths[index], size) for index in chosen])


def _read_photo(path: Path, size: int) -> Images:
    photo = read_image(path, min_size=size)
    return Letterbox(photo.height, photo.width, size).apply(photo.pixels, FILL)


def _parent(entry: dict[str, str]) -> Parent:
    """A model is given away, so of a path it tells the name (and the run), not the folders of who made it."""
    path = Path(entry["path"])
    name = f"{path.parent.name}/{path.name}" if path.name == CHECKPOINT else path.name
    return Parent(entry["kind"], name.lstrip("/"), entry["sha256"])
