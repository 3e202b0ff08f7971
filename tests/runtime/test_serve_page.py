"""The page of `gseg serve` in a real browser."""

# ruff: noqa: E402 (what may be missing is looked for before it is imported)

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakePhoto

REQUIRED = os.environ.get("GSEG_BROWSER_TESTS") == "required"
if not REQUIRED:
    for package in ("starlette", "prometheus_client", "playwright"):
        pytest.importorskip(package)

import uvicorn
from playwright.sync_api import Page, expect

from gseg_runtime import Segmenter
from gseg_runtime.serving.app import ServeConfig, make_app
from gseg_runtime.serving.metrics import Metrics
from gseg_runtime.serving.pipeline import Pipeline
from gseg_runtime.serving.server import listen
from tests.label.browser import CHROMIUM, chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason="there is no Chromium on this machine")


@pytest.fixture
def page(model_with_logits: Path) -> Iterator[Page]:
    with (
        Segmenter.load(model_with_logits, "cpu") as segmenter,
        listen("127.0.0.1", 0) as listener,
        chromium() as browser,
    ):
        pipeline = Pipeline(segmenter.loaded, 1, 8)
        app = make_app(segmenter.loaded, pipeline, Metrics(), ServeConfig())
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        page, complaints = browser.new_page(), []
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        yield page
        page.close()
        server.should_exit = True
        thread.join()
        pipeline.close()
    assert [text for text in complaints if "422" not in text] == []


def test_a_photo_is_shown_in_class_colours_with_its_files_to_keep(
    page: Page, make_photo: MakePhoto, tmp_path: Path
) -> None:
    expect(page.locator("#classes")).to_have_text("darkmediumlight")
    page.set_input_files("#file", make_photo(tmp_path / "photo.jpg", height=20, width=30))
    expect(page.locator("#coco")).to_be_visible()
    assert page.evaluate("[shown.naturalHeight, shown.naturalWidth]") == [20, 30]
    expect(page.locator("#status")).to_have_text(re.compile(r"photo\.jpg: \d+ ms, 100% sure"))
    with page.expect_download() as download:
        page.click("#png")
    assert download.value.suggested_filename == "photo.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_no_photo_is_told_of(page: Page, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"no photo")
    page.set_input_files("#file", tmp_path / "x.jpg")
    expect(page.locator("#status")).to_contain_text("not a picture of a known format")
