"""The page of `gseg export --web`, and the model in it, in a real browser where onnxruntime-web is at hand."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gseg_cli.app import main
from gseg_export.graph import read_graph
from gseg_runtime import ModelCard, Segmenter
from gseg_runtime.class_map import parse_color
from gseg_runtime.files import read_json
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import read_image
from tests.export.student import SIZE


def test_a_page_holds_the_model_and_its_card(model: Path, tmp_path: Path) -> None:
    assert main(["export", str(model), "--web", str(tmp_path / "site")]) == 0
    names = {path.name for path in (tmp_path / "site").iterdir()}
    assert names == {"index.html", "demo.js", "demo.css", "model.onnx", "card.json"}
    assert (tmp_path / "site" / "model.onnx").read_bytes() == model.read_bytes()
    assert ModelCard.from_json(read_json(tmp_path / "site" / "card.json")) == read_graph(model)[1]


def test_a_folder_of_others_is_left_alone_and_a_page_replaced_when_asked(model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").touch()
    for folder, options, code in (
        ("mine", ["--overwrite"], 1),
        ("site", [], 0),
        ("site", [], 1),
        ("site", ["--overwrite"], 0),
    ):
        assert main(["export", str(model), "--web", str(tmp_path / folder), *options]) == code
    assert (tmp_path / "mine" / "index.html").read_bytes() == b""


def test_a_folder_with_a_card_of_another_kind_is_no_page_of_gseg(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "card.json").write_text('{"name": "Anna", "phone": 3}')
    (tmp_path / "index.html").write_text("Anna")
    assert main(["export", str(model), "--web", str(tmp_path), "--overwrite"]) == 1
    assert "holds something that gseg did not write" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "Anna"


def test_an_engine_is_not_for_browsers(model: Path, tmp_path: Path) -> None:
    assert main(["export", str(model), "--trt", "--web", str(tmp_path)]) == 2


@contextmanager
def served(model: Path, package: Path, site: Path) -> Iterator[str]:
    """The address of the page, with `package` as its onnxruntime-web."""
    assert main(["export", str(model), "--web", str(site)]) == 0
    (site / "node_modules").mkdir()
    (site / "node_modules" / "onnxruntime-web").symlink_to(package.resolve())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=site))
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(model: Path, tmp_path: Path) -> Iterator[str]:
    package = os.environ.get("GSEG_ORT_WEB")
    if not package:
        pytest.skip("GSEG_ORT_WEB names no folder of onnxruntime-web")
    with served(model, Path(package), tmp_path / "site") as address:
        yield address


# In place of onnxruntime-web: keeps what the model would see.
KEEPS = """
export class Tensor { constructor(kind, data) { this.data = data; } }
const run = async ({ images: { data } }) => {
  window.seen = [...data];
  return { labels: { data: new Uint8Array(data.length / 3) } };
};
// As slow as a large model, so that the photo is chosen before.
const create = () => new Promise((done) => setTimeout(() => done({ run }), 1000));
export const InferenceSession = { create };
"""


def test_what_is_transparent_is_black_to_the_model_as_it_is_to_the_runtime(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("playwright", reason="the package playwright is not installed")
    from playwright.sync_api import expect

    from tests.label.browser import CHROMIUM, chromium

    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE // 2, SIZE, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(pixels[..., 3] < 128, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (tmp_path / "package" / "dist").mkdir(parents=True)
    (tmp_path / "package" / "dist" / "ort.wasm.bundle.min.mjs").write_text(KEEPS)
    with served(model, tmp_path / "package", tmp_path / "site") as address, chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        page.set_input_files("#file", tmp_path / "photo.png")
        expect(page.locator("#status")).to_contain_text("photo.png: ", timeout=60_000)
        seen = np.array(page.evaluate("seen"), np.uint8).reshape(SIZE, SIZE, 3)
    photo = read_image(tmp_path / "photo.png")
    assert (seen == Letterbox(photo.height, photo.width, SIZE).apply(photo.pixels)).all()


def test_a_browser_labels_as_the_runtime_does(address: str, model: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    from tests.label.browser import chromium

    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        expect(page.locator("#status")).to_have_text("ready", timeout=60_000)
        page.set_input_files("#file", tmp_path / "photo.png")
        expect(page.locator("#status")).to_contain_text("photo.png: ", timeout=60_000)
        flat = page.evaluate("[...shown.getContext('2d').getImageData(0, 0, shown.width, shown.height).data]")
    shown = np.array(flat, np.uint8).reshape(SIZE, SIZE, 4)[..., :3]
    with Segmenter.load(model, "cpu") as segmenter:
        (labels,) = segmenter.segment([pixels])
        colors = np.array([parse_color(each["color"]) for each in segmenter.card.classes.to_json()])
    expected = np.where(labels[..., None] > 0, (pixels + colors[labels]) / 2, pixels)
    assert np.abs(shown - expected).max() <= 3
