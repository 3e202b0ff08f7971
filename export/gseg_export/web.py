"""A model as a page that runs it in the browser: static files, for any web server."""

from pathlib import Path

from gseg_export.graph import Model
from gseg_runtime.errors import GsegError
from gseg_runtime.files import check_writable, read_json, write_bytes, write_json
from gseg_runtime.model_card import ModelCard

SITE = Path(__file__).with_name("site")
CARD_FILE = "card.json"


def check_site(folder: Path, *, overwrite: bool) -> None:
    """GsegError when the folder holds something, unless that is a page of gseg's and `overwrite`."""
    check_writable(folder / CARD_FILE)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not _is_site(folder):
        raise GsegError(f"{folder}: holds something that gseg did not write", "choose another folder")
    if not overwrite:
        raise GsegError(f"{folder}: exists already", "use --overwrite to replace it, or choose another folder")


def _is_site(folder: Path) -> bool:
    """Other programs have files of the card's name, too."""
    try:
        ModelCard.from_json(read_json(folder / CARD_FILE))
    except GsegError:
        return False
    return (folder / "model.onnx").is_file()


def write_site(folder: Path, model: Model) -> None:
    """The page, the model and its card. onnxruntime-web is not part of it: npm brings it, see docs/deploy.md."""
    for path in SITE.iterdir():
        write_bytes(folder / path.name, path.read_bytes())
    write_bytes(folder / "model.onnx", model.onnx)
    write_json(folder / CARD_FILE, model.card.to_json())
