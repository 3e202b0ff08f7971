"""Draw label.png, the picture of the page in docs/label.md: `python docs/make_label_picture.py`.

Starts `gseg label` on the toy faces that come with gseg, paints some strokes in Chromium, and waits for the prediction.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

PICTURE = Path(__file__).with_name("label.png")
CHROMIUM = "/usr/bin/chromium"
VIEW: ViewportSize = {"width": 1280, "height": 720}  # pixels
SEEDS = "8,20,37,87,133,152,251,313,406,417"
SIZE, ZOOM = 128, 4  # of the samples in pixels, and how much of it the page makes in this view
BACKGROUND, SKIN, EYES, BROWS, NOSE, MOUTH, HAIR, NECK = "1", "2", "3", "4", "5", "6", "8", "9"  # keys
Stroke = tuple[str, list[tuple[float, float]]]
BROAD: list[Stroke] = [
    (BACKGROUND, [(10, 12), (12, 85)]),
    (BACKGROUND, [(118, 12), (116, 85)]),
    (HAIR, [(44, 32), (64, 22), (88, 30)]),
    (HAIR, [(31, 62), (31, 96)]),
    (HAIR, [(97, 62), (98, 96)]),
    (SKIN, [(44, 66), (48, 84), (60, 92), (76, 88), (83, 70)]),
    (NECK, [(54, 106), (75, 106)]),
]
FINE: list[Stroke] = [
    (SKIN, [(60, 48), (67, 44)]),
    (EYES, [(48, 54), (54, 54)]),
    (EYES, [(74, 53), (80, 53)]),
    (BROWS, [(46, 45), (55, 44)]),
    (BROWS, [(73, 43), (83, 43)]),
    (NOSE, [(64, 60), (62, 67), (67, 67)]),
    (MOUTH, [(56, 80), (68, 80)]),
]
CLOTHES = [(24.0, 121.0), (104.0, 121.0)]  # the tenth class has no key of its own


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the page, as long as it is open."""
    gseg = [sys.executable, "-m", "gseg_cli"]
    subprocess.run([*gseg, "init", str(folder), "--gan", "builtin:toy-faces"], check=True)
    command = [*gseg, "-C", str(folder), "label", "--no-browser", "--seeds", SEEDS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def paint(page: Page, points: list[tuple[float, float]]) -> None:
    """A stroke through points of the picture, which lies in the middle of the stage; wait until it is saved."""
    box = page.locator("#stage").bounding_box()
    assert box is not None
    left, top = (box["x"] + box["width"] / 2 - SIZE * ZOOM / 2, box["y"] + box["height"] / 2 - SIZE * ZOOM / 2)
    for number, (x, y) in enumerate(points):
        page.mouse.move(left + x * ZOOM, top + y * ZOOM, steps=8)
        if number == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("#saved[data-state=saved]")


def draw(page: Page) -> bytes:
    """A PNG of the page after all strokes."""
    page.wait_for_selector("#message", state="hidden")
    for key, points in BROAD:
        page.keyboard.press(key)
        paint(page, points)
    page.keyboard.press(".")
    paint(page, CLOTHES)
    for _ in range(2):
        page.keyboard.press("[")
    for key, points in FINE:
        page.keyboard.press(key)
        paint(page, points)
    page.wait_for_selector("#teacher[data-stage=mlp]")
    page.mouse.move(640, 30)
    page.wait_for_timeout(3000)  # until the small pictures have followed
    return page.screenshot()


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "faces") as address,
        sync_playwright() as play,
        play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as browser,
    ):
        page = browser.new_page(viewport=VIEW)
        page.goto(address)
        picture = Image.open(BytesIO(draw(page))).convert("RGB")
    picture.quantize(256, Image.Quantize.FASTOCTREE, kmeans=4).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
