"""A project that is served, and somebody who opens it in headless Chromium. Needs playwright and a Chromium."""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.label.app import make_app
from gseg_cli.label.gan_samples import GanSamples
from gseg_cli.label.serve import listen_for
from gseg_cli.label.session import Session
from gseg_cli.label.subject import Subject
from gseg_cli.project import Project

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PATIENCE = 20_000  # milliseconds: other work may keep the machine busy

Point = tuple[float, float]  # pixels of the sample; a whole number is the left or upper edge of a pixel


@contextmanager
def serving(project: Project, session: Session | None = None) -> Iterator[str]:
    """The address of a page that works on a project's samples, or something else; the server is a thread of ours."""
    session = session or Session(project, _samples_of(project))
    listener = listen_for(project.dir)
    app = make_app(session, listener.tokens)
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener.socket]})
    thread.start()
    try:
        yield listener.address
    finally:
        session.events.end()
        server.should_exit = True
        thread.join()
        session.close()


def _samples_of(project: Project) -> Subject:
    samples = SampleSet.load(project.samples_dir)
    return GanSamples(project.gan_path, load_generator(project.gan_path), samples)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Painter:
    """Somebody at the page of one sample. Strokes start from the view that shows the whole sample."""

    def __init__(self, page: Page, address: str, seed: int) -> None:
        page.set_default_timeout(_PATIENCE)
        self.page, self.seed, self.address = page, seed, address
        self.api = f"http://{urlsplit(address).netloc}/api"
        page.goto(f"{address}#{seed}")
        self.until_open()

    def until_open(self) -> None:
        self.page.wait_for_selector("#message", state="hidden")
        self.page.wait_for_selector(f".cell[data-seed='{self.seed}'][aria-current=true]")
        self.size = self.page.request.get(f"{self.api}/project").json()["size"]

    def reload(self) -> None:
        self.page.reload()
        self.until_open()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def take_brush(self, size: int) -> None:
        """Brush and eraser have the same size, in pixels."""
        self.press("b")
        while (now := int(re.findall(r"\d+", self.text("#size-value"))[0])) != size:
            self.press("]" if now < size else "[")

    def stroke(self, *points: Point, steps: int = 1) -> None:
        """Along points. steps: how often the mouse tells where it is, from one point to the next."""
        mouse = self.page.mouse
        mouse.move(*self.on_screen(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.on_screen(*point), steps=steps)
        mouse.up()

    def click(self, *points: Point) -> None:
        for point in points:
            self.page.mouse.click(*self.on_screen(*point))

    def on_screen(self, x: float, y: float) -> Point:
        """Where a point of the sample lies, which is shown in the middle."""
        box = self.page.locator("#stage canvas").bounding_box()
        assert box
        scale = int(self.text("#zoom").removesuffix("%")) / 100
        left, top = ((box[side] - self.size * scale) / 2 for side in ("width", "height"))
        return box["x"] + round(left) + x * scale, box["y"] + round(top) + y * scale

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def until(self, expression: str) -> None:
        """Wait until JavaScript is true. (The policy of the page forbids Playwright's wait_for_function.)"""
        end = time.monotonic() + _PATIENCE / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            self.page.wait_for_timeout(10)

    def until_saved(self) -> None:
        self.page.wait_for_selector("#saved[data-state=saved]")

    @contextmanager
    def predicting(self, stage: str = "mlp") -> Iterator[None]:
        """Waits at the end until the page shows what "ridge" or "mlp" makes of the change."""
        answers = "performance.getEntriesByName('answer').length"
        before = self.page.evaluate(answers)
        yield
        self.until(f"{answers} > {before}")
        self.page.wait_for_selector(f"#teacher[data-stage={stage}]")

    def labels(self) -> npt.NDArray[np.uint8]:
        """[R, R], as the server has them once all is saved."""
        self.until_saved()
        body = self.page.request.get(f"{self.api}/samples/{self.seed}/labels").body()
        return np.frombuffer(body, np.uint8).reshape(self.size, self.size)
