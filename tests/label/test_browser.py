"""The page in a real browser, with real mouse, pen and fingers."""

# ruff: noqa: E402 (what may be missing is looked for before it is imported)

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

REQUIRED = os.environ.get("GSEG_BROWSER_TESTS") == "required"  # then it is an error that something is missing
if not REQUIRED:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    pytest.importorskip("playwright", reason="the package playwright is not installed")

import torch
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Route, expect

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import write_samples
from gseg_cli.label import photo_session, teacher
from gseg_cli.label.photo_session import PhotoSession
from gseg_cli.label.photos import open_photos
from gseg_cli.pretrained.lite0 import Lite0, load_lite0
from gseg_cli.project import Project
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.label_map import read_label_png
from tests.label.browser import CHROMIUM, Painter, chromium, serving

pytestmark = pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason="there is no Chromium on this machine")

SEEDS = [0, 1, 2, 3]
BACKGROUND, SKIN, HAIR = 0, 1, 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with samples of 64 px and without labels."""
    folder = tmp_path_factory.mktemp("fresh") / "faces"
    classes = ClassMap.of_names(["background", "skin", "hair"])
    project = Project.create(folder, classes=classes, gan="builtin:toy-faces-64")
    write_samples(load_generator(project.gan_path), project.gan_path, SEEDS, 0.7, project.samples_dir)
    return folder


@pytest.fixture
def project(fresh: Path, tmp_path: Path) -> Project:
    return Project.open(shutil.copytree(fresh, tmp_path / "faces"))


@pytest.fixture
def address(project: Project) -> Iterator[str]:
    with serving(project) as address:
        yield address


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Of one person; checks that the page asked nobody but its server, and that nothing broke in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, has_touch=True)
    asked: set[str] = set()
    broken: list[str] = []
    context.on("request", lambda request: asked.add(urlsplit(request.url).hostname or request.url.split(":")[0]))
    context.on("weberror", lambda error: broken.append(str(error.error)))
    yield context
    context.close()
    assert asked <= {"127.0.0.1", "data", "blob"}
    assert not broken


@pytest.fixture
def painter(context: BrowserContext, address: str) -> Painter:
    return Painter(context.new_page(), address, seed=SEEDS[0])


def test_a_quick_stroke_of_one_pixel_leaves_no_gap(painter: Painter) -> None:
    painter.take_brush(1)
    painter.press("2")
    painter.stroke((10.5, 20.5), (50.5, 33.5))
    labels = painter.labels()
    ys, xs = np.nonzero(labels == SKIN)
    assert sorted(xs) == list(range(10, 51))  # one pixel a column
    order = np.argsort(xs)
    assert np.abs(np.diff(ys[order])).max() <= 1
    assert (labels[20, 10], labels[33, 50]) == (SKIN, SKIN)
    assert set(np.unique(labels)) == {SKIN, IGNORE}


def test_a_stroke_is_as_wide_as_the_cursor_says(painter: Painter) -> None:
    painter.take_brush(6)
    painter.press("1")
    painter.stroke((12, 30), (40, 30), steps=5)
    rows, columns = (np.flatnonzero((painter.labels() == BACKGROUND).any(axis=axis)) for axis in (1, 0))
    assert (rows[0], rows[-1]) == (27, 32)
    assert (columns[0], columns[-1]) == (9, 42)


def test_every_sample_follows_a_stroke(painter: Painter) -> None:
    assert painter.page.is_visible("#hint")
    assert painter.page.is_disabled("[data-action=accept]")
    before = {seed: painter.page.evaluate(_picture(seed)) for seed in SEEDS}
    with painter.predicting():
        _paint_two_classes(painter)
    assert not painter.page.is_visible("#hint")
    assert painter.page.is_enabled("[data-action=accept]")
    for seed in SEEDS:
        painter.until(f"{_picture(seed)} !== '{before[seed]}'")


def test_an_answer_that_takes_long_is_spoken_of_until_it_is_there(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter.press("2")
    painter.stroke((28, 34), (36, 38))
    painter.until_saved()
    may_go, fit = threading.Event(), teacher.fit_ridge
    monkeypatch.setattr(teacher, "fit_ridge", lambda table: may_go.wait(20) and fit(table))
    painter.press("1")
    painter.stroke((3, 3), (3, 30))
    expect(painter.page.locator("#teacher")).to_have_text("Predicting…")
    may_go.set()
    expect(painter.page.locator("#teacher")).to_contain_text("Prediction: ")


def test_undone_strokes_are_forgotten_by_the_teacher(painter: Painter) -> None:
    with painter.predicting():
        _paint_two_classes(painter)
    painter.press("Control+z")
    painter.page.wait_for_selector("#teacher[data-stage=none]")
    expect(painter.page.locator("[data-action=accept]")).to_be_disabled()


def test_accept_undo_and_redo_survive_a_reload(painter: Painter, project: Project) -> None:
    with painter.predicting():
        _paint_two_classes(painter)
    strokes = painter.labels()
    painter.press("a")
    expect(painter.page.locator("#sample-title")).to_contain_text("100 %")
    accepted = painter.labels()
    assert set(np.unique(accepted)) == {BACKGROUND, SKIN}

    painter.reload()
    assert (painter.labels() == accepted).all()
    painter.press("Control+z")
    painter.page.wait_for_selector("[data-action=redo]:enabled")
    assert (painter.labels() == strokes).all()

    painter.reload()
    painter.press("Control+Shift+z")
    painter.page.wait_for_selector("[data-action=redo]:disabled")
    assert (painter.labels() == accepted).all()

    annotations = AnnotationSet.load(project.annotations_dir)  # as fewshot-train takes it
    assert annotations.seeds == (SEEDS[0],)
    assert (annotations.labels[0] == accepted).all()


def test_only_the_chosen_class_is_accepted(painter: Painter) -> None:
    with painter.predicting():
        _paint_two_classes(painter)
    before = painter.labels()
    painter.press("Shift+A")
    expect(painter.page.locator("#sample-title")).to_contain_text(re.compile("[0-9]{2} %"))
    changed = painter.labels()[before != painter.labels()]
    assert len(changed)
    assert set(changed) == {BACKGROUND}


def test_zoom_and_pan_paint_nothing(painter: Painter) -> None:
    page, mouse = painter.page, painter.page.mouse
    x, y = painter.on_screen(32, 32)
    mouse.move(x, y)
    for _ in range(3):
        mouse.wheel(0, -120)
    painter.press("+", "ArrowLeft")
    page.keyboard.down("Space")
    painter.stroke((32, 32), (20, 20), steps=4)
    page.keyboard.up("Space")
    mouse.down(button="middle")
    mouse.move(x + 90, y + 60, steps=4)
    mouse.up(button="middle")
    _two_fingers(painter, (x, y), apart=[80, 120, 200])
    assert (painter.labels() == IGNORE).all()
    assert painter.page.is_disabled("[data-action=undo]")


def test_a_zoomed_brush_paints_the_pixel_it_points_at(painter: Painter) -> None:
    x, y = painter.on_screen(40.5, 22.5)
    painter.page.mouse.move(x, y)
    for _ in range(5):
        painter.page.mouse.wheel(0, -120)
    painter.take_brush(1)
    painter.press("2")
    painter.page.mouse.move(x + 3, y)
    assert painter.text("#readout").startswith("40, 22")
    painter.page.mouse.down()
    painter.page.mouse.up()
    assert np.argwhere(painter.labels() == SKIN).tolist() == [[22, 40]]


def test_two_tabs_get_a_conflict_and_no_mixture(painter: Painter, context: BrowserContext) -> None:
    deaf = context.new_page()
    deaf.route("**/api/events", lambda route: route.abort())
    other = Painter(deaf, painter.address, painter.seed)
    painter.press("2")
    painter.stroke((10, 10), (20, 10))
    first = painter.labels()

    other.press("3")
    other.stroke((40, 40), (50, 40))
    other.page.wait_for_selector(".toast")
    assert "changed elsewhere" in other.text(".toast")
    assert (painter.labels() == first).all()

    other.stroke((40, 40), (50, 40))  # once more, on what it is shown now
    expect(painter.page.locator(".toast")).to_contain_text("another tab")  # which hears of it
    assert set(np.unique(painter.labels())) == {SKIN, HAIR, IGNORE}


def test_a_polygon_is_filled_when_it_is_closed(painter: Painter) -> None:
    painter.press("p", "2")
    painter.click((10, 10), (30, 10), (30, 20))
    painter.press("Backspace")
    painter.click((30, 30), (10, 30))
    assert (painter.labels() == IGNORE).all()
    painter.press("Enter")
    painter.page.wait_for_selector("[data-action=undo]:enabled")
    expected = np.full((64, 64), IGNORE)
    expected[10:30, 10:30] = SKIN
    assert (painter.labels() == expected).all()

    painter.press("3")
    painter.click((40, 40), (50, 40), (50, 50), (40, 40))  # closed on its first corner
    painter.until_saved()
    assert (painter.labels() == HAIR).any()


def test_a_double_click_closes_a_polygon(painter: Painter) -> None:
    painter.press("p", "2")
    painter.click((10, 10), (30, 10))
    painter.page.mouse.dblclick(*painter.on_screen(30, 30))
    painter.page.wait_for_selector("[data-action=undo]:enabled")
    assert (painter.labels() == SKIN).sum() == pytest.approx(200, abs=25)


def test_fill_follows_the_colours(painter: Painter) -> None:
    painter.press("f", "1")
    painter.click((1.5, 1.5))
    filled = painter.labels() == BACKGROUND
    assert 40 < filled.sum() < 64 * 64 / 2
    assert filled[1, 1]
    assert not filled[32, 32]


def test_labelled_pixels_and_locked_classes_can_be_kept(painter: Painter) -> None:
    painter.take_brush(5)
    painter.press("2")
    painter.stroke((20, 10), (20, 50))
    painter.press("u", "3")
    painter.stroke((10, 20), (30, 20))
    painter.press("u", "2", "l", "3")
    painter.stroke((10, 40), (30, 40))
    labels = painter.labels()
    assert (labels[20, 20], labels[20, 14], labels[40, 20], labels[40, 14]) == (SKIN, HAIR, SKIN, HAIR)

    painter.press("2", "l", "3")
    painter.stroke((10, 40), (30, 40))
    assert painter.labels()[40, 20] == HAIR  # the last stroke wins


def test_the_eraser_and_the_other_end_of_a_pen_erase(painter: Painter) -> None:
    painter.take_brush(5)
    painter.press("2")
    painter.stroke((10, 10), (50, 10))
    painter.stroke((10, 20), (50, 20))
    painter.press("e")
    painter.stroke((10, 10), (50, 10))
    painter.press("2")
    _pen(painter, [(10, 20), (30, 20)], button=5)
    _pen(painter, [(10, 30), (30, 30)], button=0)
    labels = painter.labels()
    assert (labels[10, 30], labels[20, 20], labels[20, 45], labels[30, 20]) == (IGNORE, IGNORE, SKIN, SKIN)


def test_a_finger_paints(painter: Painter) -> None:
    painter.press("2")
    _fingers(painter, [[painter.on_screen(10, 10)], [painter.on_screen(30, 10)]])
    painter.page.wait_for_selector("[data-action=undo]:enabled")
    assert painter.labels()[10, 20] == SKIN


def test_two_fingers_neither_fill_nor_take_a_polygon_away(painter: Painter) -> None:
    at = painter.on_screen(32, 32)
    painter.press("f", "2")
    _two_fingers(painter, at, apart=[80, 120])
    assert (painter.labels() == IGNORE).all()

    painter.press("0", "p")
    for corner in ((10, 10), (50, 10), (50, 50)):
        _tap(painter, corner)
    _two_fingers(painter, at, apart=[80, 120])
    painter.press("0", "Enter")
    painter.page.wait_for_selector("[data-action=undo]:enabled")
    assert (painter.labels() == SKIN).sum() == pytest.approx(800, abs=50)  # of three corners


def test_a_finger_that_misses_the_first_corner_by_a_little_closes_the_polygon(painter: Painter) -> None:
    painter.press("p", "2")
    scale = painter.on_screen(1, 0)[0] - painter.on_screen(0, 0)[0]
    for corner in ((10, 10), (50, 10), (50, 50), (10 + 20 / scale, 10)):
        _tap(painter, corner)
    painter.page.wait_for_selector("[data-action=undo]:enabled")
    assert (painter.labels() == SKIN).any()


def test_a_class_is_added_and_renamed_in_gseg_toml(painter: Painter, project: Project) -> None:
    painter.press("c")
    painter.page.keyboard.type("Eye lashes")
    painter.press("Enter")
    painter.page.wait_for_selector(".class-row.current:has-text('Eye lashes')")
    painter.stroke((10, 10), (20, 10))
    assert painter.labels()[10, 15] == 3

    painter.press("3", "r")
    painter.page.keyboard.type("fur")
    painter.press("Enter")
    painter.page.wait_for_selector(".class-row:has-text('fur')")
    assert Project.open(project.dir).classes.names == ("background", "skin", "fur", "Eye lashes")


def test_a_name_that_is_being_typed_stays_when_another_class_arrives(painter: Painter, project: Project) -> None:
    painter.press("c")
    painter.page.keyboard.type("flo")
    with painter.page.expect_response("**/api/next"):  # the last that is asked for then
        _add_class(painter, "stem")
    painter.page.keyboard.type("wer")
    painter.press("Enter")
    painter.page.wait_for_selector(".class-row.current:has-text('flower')")
    assert Project.open(project.dir).classes.names == ("background", "skin", "hair", "stem", "flower")


def test_a_click_on_another_class_ends_the_typing_of_a_name_and_chooses_it(painter: Painter) -> None:
    painter.press("3", "r")
    painter.page.keyboard.type("fur")
    painter.page.click(".class-row:has-text('skin') .name", delay=100)
    painter.page.wait_for_selector(".class-row:has-text('fur')")
    painter.page.wait_for_selector(".class-row.current:has-text('skin')")


def test_keys_work_under_caps_lock_and_where_they_type_no_latin_letters(painter: Painter) -> None:
    painter.press("P")
    painter.page.wait_for_selector("[data-action=polygon][aria-pressed=true]")
    for key, code, tool in (("у", "KeyE", "eraser"), ("И", "KeyB", "brush")):
        painter.page.evaluate("(key) => dispatchEvent(new KeyboardEvent('keydown', key))", {"key": key, "code": code})
        painter.page.wait_for_selector(f"[data-action={tool}][aria-pressed=true]")


def test_the_brush_is_where_it_points_on_a_screen_of_other_resolution(painter: Painter) -> None:
    screen = {"width": 1280, "height": 720, "deviceScaleFactor": 1.5, "mobile": False}
    painter.page.context.new_cdp_session(painter.page).send("Emulation.setDeviceMetricsOverride", screen)
    painter.page.mouse.move(*painter.on_screen(10, 10))
    painter.until("document.querySelector('#stage canvas').width > 1280")
    painter.take_brush(1)
    painter.press("2")
    painter.click((40.5, 22.5))
    assert np.argwhere(painter.labels() == SKIN).tolist() == [[22, 40]]


def test_an_answer_that_breaks_off_is_asked_for_again(painter: Painter) -> None:
    def break_off(route: Route) -> None:
        route.fulfill(response=route.fetch(), body='{"rev":')

    painter.page.route("**/labels?*", break_off, times=1)
    painter.press("2")
    painter.stroke((10, 10), (20, 10))
    painter.stroke((10, 20), (20, 20))
    assert (painter.labels() == SKIN)[[10, 20], 15].all()


def test_further_samples_are_drawn_once_however_often_it_is_asked_for_meanwhile(painter: Painter) -> None:
    asked: list[str] = []
    painter.page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    key = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'm', code: 'KeyM', bubbles: true}));"
    painter.page.evaluate(
        f"() => {{ document.querySelector('.more').click(); {key} {key} }}"
    )  # before the first is done
    painter.until(f"document.querySelectorAll('.cell').length > {len(SEEDS)}")
    painter.page.wait_for_selector(".more[aria-busy=false]:enabled")
    assert len(asked) == 1
    assert painter.page.locator(".cell").count() == len(SEEDS) + 5


def test_a_page_that_is_come_back_to_hears_of_changes(painter: Painter) -> None:
    tell = "(kind) => dispatchEvent(new PageTransitionEvent(kind, { persisted: true }))"
    painter.page.evaluate(tell, "pagehide")
    expect(painter.page.locator("#saved")).to_have_attribute("data-state", "offline")
    painter.page.evaluate(tell, "pageshow")
    painter.until_saved()
    _add_class(painter, "stem")
    painter.page.wait_for_selector(".class-row:has-text('stem')")


def test_the_picture_has_most_of_a_narrow_window(painter: Painter) -> None:
    painter.page.set_viewport_size({"width": 360, "height": 740})
    box = painter.page.locator("#stage").bounding_box()
    assert box and box["width"] > 300 and box["height"] > 200
    hint = painter.page.locator("#hint").bounding_box()
    assert hint and box["x"] <= hint["x"] and hint["x"] + hint["width"] <= box["x"] + box["width"]
    title = "document.querySelector('#sample-title b')"
    assert painter.page.evaluate(f"{title}.scrollWidth <= {title}.clientWidth")


def _add_class(painter: Painter, name: str) -> None:
    """As another tab does."""
    origin = {"Origin": painter.api.removesuffix("/api")}
    assert painter.page.request.post(f"{painter.api}/classes", data={"name": name}, headers=origin).ok


def test_a_hidden_label_is_not_seen_and_the_picture_is_bare(painter: Painter) -> None:
    painter.page.mouse.move(0, 0)
    bare = _canvas(painter)
    painter.press("2")
    painter.stroke((10, 10), (20, 10))
    painter.page.mouse.move(0, 0)
    assert _canvas(painter) != bare
    painter.press("h")
    assert _canvas(painter) == bare


def test_strokes_wait_while_the_server_is_away(painter: Painter, context: BrowserContext) -> None:
    painter.press("2")
    context.set_offline(True)
    painter.stroke((10, 10), (20, 10))
    painter.stroke((10, 20), (20, 20))
    painter.page.wait_for_selector("#saved[data-state=offline]")
    assert "2 changes" in painter.text("#saved")
    context.set_offline(False)
    painter.page.wait_for_selector("#saved[data-state=saved]")
    assert (painter.labels() == SKIN)[[10, 20], 15].all()


def test_strokes_wait_while_the_project_is_away_and_nothing_claims_to_be_saved(
    painter: Painter, project: Project
) -> None:
    painter.press("2")
    away = project.dir.rename(project.dir.with_name("away"))
    painter.stroke((10, 10), (20, 10))
    painter.stroke((10, 20), (20, 20))
    painter.page.wait_for_selector("#saved[data-state=unsaved]")
    expect(painter.page.locator("#saved")).to_have_text("Not saved: 2 changes wait")
    expect(painter.page.locator(".toast")).to_contain_text("was moved or removed")
    away.rename(project.dir)
    assert (painter.labels() == SKIN)[[10, 20], 15].all()


def test_a_killed_server_has_every_stroke_and_what_can_be_undone(context: BrowserContext, project: Project) -> None:
    with _command(project) as (server, address):
        painter = Painter(context.new_page(), address, SEEDS[0])
        painter.press("2")
        painter.stroke((10, 10), (20, 10))
        first = painter.labels()
        painter.stroke((10, 20), (20, 20))
        second = painter.labels()
        server.kill()
        expect(painter.page.locator("#saved")).to_have_attribute("data-state", "offline")
    with _command(project) as (server, address):
        painter = Painter(painter.page, address, SEEDS[0])
        assert (painter.labels() == second).all()
        painter.press("Control+z")
        painter.page.wait_for_selector("[data-action=redo]:enabled")
        assert (painter.labels() == first).all()


def test_what_waits_in_a_page_that_was_left_open_goes_to_the_next_server(
    context: BrowserContext, project: Project
) -> None:
    with serving(project) as address:
        painter = Painter(context.new_page(), address, SEEDS[0])
        painter.press("2")
        painter.stroke((10, 10), (20, 10))
        painter.until_saved()
    painter.page.wait_for_selector("#saved[data-state=offline]")
    painter.stroke((10, 30), (20, 30))
    with serving(project) as address:
        Painter(context.new_page(), address, SEEDS[0])  # brings the new cookie
        assert (painter.labels() == SKIN)[[10, 30], 15].all()


def test_what_waits_is_not_saved_as_the_class_that_has_its_number_now(
    context: BrowserContext, project: Project
) -> None:
    with serving(project) as address:
        painter = Painter(context.new_page(), address, SEEDS[0])
    painter.page.wait_for_selector("#saved[data-state=offline]")
    painter.press("2")
    painter.stroke((10, 30), (20, 30))
    toml = project.path("gseg.toml")
    swapped = toml.read_text().replace("skin", "fur").replace("hair", "skin").replace("fur", "hair")
    toml.write_text(swapped)
    with serving(Project.open(project.dir)) as address:
        Painter(context.new_page(), address, SEEDS[0])
        expect(painter.page.locator(".toast")).to_contain_text("What you painted last was not saved")
        assert (painter.labels() == IGNORE).all()
        painter.page.wait_for_selector(".class-row.current:has-text('skin')")
        painter.stroke((10, 30), (20, 30))
        assert set(np.unique(painter.labels())) == {HAIR, IGNORE}  # the index that skin has now


def test_what_waits_is_saved_though_a_class_was_renamed_in_gseg_toml(context: BrowserContext, project: Project) -> None:
    with serving(project) as address:
        painter = Painter(context.new_page(), address, SEEDS[0])
        painter.press("2")
        painter.stroke((10, 10), (20, 10))
        painter.until_saved()
    painter.page.wait_for_selector("#saved[data-state=offline]")
    painter.stroke((10, 30), (20, 30))
    toml = project.path("gseg.toml")
    toml.write_text(toml.read_text().replace("skin", "face"))
    with serving(Project.open(project.dir)) as address:
        Painter(context.new_page(), address, SEEDS[0])
        assert (painter.labels() == SKIN)[[10, 30], 15].all()
        painter.page.wait_for_selector(".class-row.current:has-text('face')")


@contextmanager
def _command(project: Project) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`gseg label`, and the address that it prints."""
    command = [sys.executable, "-m", "gseg_cli", "-C", str(project.dir), "label", "--no-browser", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            yield server, server.stdout.readline().strip()
        finally:
            server.terminate()


def test_a_picture_that_is_gone_is_told_of(painter: Painter, project: Project) -> None:
    (project.samples_dir / "000001.png").unlink()
    painter.page.reload()
    painter.page.click(".cell[data-seed='1']")
    expect(painter.page.locator(".toast")).to_contain_text("there is no picture of sample 1")


def test_a_sample_that_the_next_server_does_not_have_is_left_and_what_waits_on_it_is_told_of(
    context: BrowserContext, project: Project
) -> None:
    with serving(project) as address:
        painter = Painter(context.new_page(), address, SEEDS[0])
    painter.page.wait_for_selector("#saved[data-state=offline]")
    painter.press("2")
    painter.stroke((10, 30), (20, 30))
    shutil.rmtree(project.samples_dir)
    generator = load_generator(project.gan_path)
    write_samples(generator, project.gan_path, SEEDS[1:], 0.7, project.samples_dir)
    with serving(project) as address:
        Painter(context.new_page(), address, SEEDS[1])
        toast = painter.page.locator(".toast")
        expect(toast).to_contain_text("Sample 000000 is gone")
        expect(toast).to_contain_text("What you painted last on it was not saved")
        painter.page.wait_for_selector(f".cell[data-seed='{SEEDS[1]}'][aria-current=true]")
        painter.until_saved()


def test_the_page_is_turned_as_often_as_asked_though_pictures_come_late_or_never(
    painter: Painter, project: Project
) -> None:
    (project.samples_dir / "000001.png").unlink()
    painter.page.reload()
    painter.until_open()
    painter.page.route("**/samples/2/image", lambda route: None)  # no answer yet
    painter.press("k")
    expect(painter.page.locator(".toast")).to_contain_text("there is no picture of sample 1")
    painter.press("k")
    expect(painter.page.locator(".cell[data-seed='2']")).to_have_attribute("aria-busy", "true")
    painter.press("k")
    painter.page.wait_for_selector(".cell[data-seed='3'][aria-current=true]")
    assert painter.page.locator(".cell[aria-busy=true]").count() == 0


def test_a_stroke_that_is_being_drawn_when_the_next_picture_arrives_is_finished_first(painter: Painter) -> None:
    held: list[Route] = []
    painter.page.route("**/samples/1/image", lambda route: held.append(route))  # no answer yet
    painter.press("2", "k")
    expect(painter.page.locator(".cell[data-seed='1']")).to_have_attribute("aria-busy", "true")
    painter.page.mouse.move(*painter.on_screen(10, 10))
    painter.page.mouse.down()
    painter.page.mouse.move(*painter.on_screen(20, 10))
    with painter.page.expect_response("**/samples/1/image"):
        for route in held:
            route.continue_()
    painter.page.wait_for_timeout(200)
    painter.page.mouse.move(*painter.on_screen(30, 10))
    painter.page.mouse.up()
    painter.page.wait_for_selector(".cell[data-seed='1'][aria-current=true]")
    assert (painter.labels()[10, 10:31] == SKIN).all()  # of the sample that was in view


def test_next_goes_where_the_server_proposes(painter: Painter) -> None:
    with painter.predicting():
        _paint_two_classes(painter)
    painter.page.wait_for_selector(".proposed:not([data-seed='0'])")
    proposed = painter.page.get_attribute(".proposed", "data-seed")
    assert painter.text("#why")
    painter.press("n")
    painter.page.wait_for_selector(f"[data-seed='{proposed}'][aria-current=true]")
    assert painter.page.url.endswith(f"#{proposed}")


def test_every_button_says_what_it_does_and_its_key(painter: Painter) -> None:
    painter.press("?")
    shown = painter.page.locator("#keys kbd").all_inner_texts()
    assert {"B", "E", "P", "F", "[", "]", "Ctrl+Z", "Ctrl+Shift+Z", "A", "N", "H", "U", "L"} <= set(shown)
    painter.press("Escape")
    for button in painter.page.locator("[data-action]").all():
        assert button.get_attribute("aria-keyshortcuts")
        assert button.get_attribute("aria-label") or button.inner_text()


def test_the_end_says_what_was_saved_and_what_to_type_next(painter: Painter, project: Project) -> None:
    painter.press("2")
    painter.stroke((10, 10), (20, 10))
    painter.until_saved()
    painter.press("q")
    painter.page.wait_for_selector("#commands code")
    assert "1 sample" in painter.text("#done-text")
    assert "Labelled nowhere, so never predicted: background, hair." in painter.text("#done-text")
    assert re.search(r"gseg .*fewshot-train", painter.text("#commands code"))


def test_photos_are_painted_on_and_predicted_but_nothing_beside_them(
    context: BrowserContext, project: Project, tmp_path: Path
) -> None:
    pixels = np.full((40, 80, 3), 20, np.uint8)
    pixels[:, 40:] = 230
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "anna.png")
    torch.manual_seed(0)
    subject = open_photos(project, tmp_path / "photos", 1, Lite0().eval().requires_grad_(False))
    with serving(project, PhotoSession(project, subject)) as address:
        painter = Painter(context.new_page(), address, seed=0)
        expect(painter.page.locator("#sample-title")).to_contain_text("anna.png 0 % labelled")
        assert [_opacity(painter, 48, y) for y in (20, 48)] == [0, 255]
        with painter.predicting():
            painter.press("1")
            painter.stroke((20, 16), (20, 80))  # from above the photo to below it
            painter.press("2")
            painter.stroke((75, 30), (75, 60))
        labels = painter.labels()
        assert (labels[24:72, 20] == BACKGROUND).all()
        assert (labels[:24] == IGNORE).all() and (labels[72:] == IGNORE).all()
        painter.press("a")
        expect(painter.page.locator("#sample-title")).to_contain_text("100 % labelled")
        painter.press("q")
        painter.page.wait_for_selector("#commands code")
        assert "1 photo of 1 labelled, saved in labelled/." in painter.text("#done-text")
        assert re.search(r"gseg .*student-train .*labelled", painter.text("#commands code"))
    mask = read_label_png(project.labelled_dir / "masks" / "anna.png")
    assert mask.shape == (48, 96) and set(np.unique(mask)) == {BACKGROUND, SKIN}


def test_a_photo_of_512_px_fills_a_laptop_s_screen_and_is_painted_where_the_cursor_is(
    context: BrowserContext, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (512, 512)).save(tmp_path / "photos" / "anna.png")
    subject = open_photos(project, tmp_path / "photos", 1, Lite0().eval().requires_grad_(False))
    with serving(project, PhotoSession(project, subject)) as address:
        painter = Painter(context.new_page(), address, seed=0)
        painter.page.set_viewport_size({"width": 1440, "height": 900})
        expect(painter.page.locator("#zoom")).to_have_text("133 %")
        painter.take_brush(1)
        painter.press("2")
        painter.click((90.5, 400.5))
        x, y = map(int, re.findall(r"\d+", painter.text("#readout"))[:2])
        assert np.argwhere(painter.labels() == SKIN).tolist() == [[y, x]]


def test_the_page_says_when_a_student_has_learned_from_the_photos(
    context: BrowserContext, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_session, "STEPS", 2)
    monkeypatch.setattr(photo_session, "LEAST", 1)
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photos" / "a.png")
    subject = open_photos(project, tmp_path / "photos", 1, load_lite0().requires_grad_(False))
    with serving(project, PhotoSession(project, subject)) as address:
        painter = Painter(context.new_page(), address, seed=0)
        with painter.predicting():
            painter.press("1")
            painter.stroke((10, 10), (10, 50))
            painter.press("2")
            painter.stroke((50, 10), (50, 50))
        painter.press("a")
        expect(painter.page.locator(".toast")).to_contain_text("A student has learned from 1 photo", timeout=60_000)


def _paint_two_classes(painter: Painter) -> None:
    """A teacher needs two to tell apart."""
    painter.press("2")
    painter.stroke((28, 34), (36, 38))
    painter.press("1")
    painter.stroke((3, 3), (3, 30))


def _picture(seed: int) -> str:
    """JavaScript for what a thumbnail shows."""
    return f"document.querySelector('[data-seed=\"{seed}\"] canvas').toDataURL()"


def _opacity(painter: Painter, x: float, y: float) -> int:
    """Of what the page shows at a point of the picture's square, 0 to 255."""
    _canvas(painter)
    box = painter.page.locator("#stage canvas").bounding_box()
    assert box
    at = [round(place - box[side]) for place, side in zip(painter.on_screen(x, y), "xy", strict=True)]
    data = f"document.querySelector('#stage canvas').getContext('2d').getImageData({at[0]}, {at[1]}, 1, 1).data"
    return painter.page.evaluate(f"{data}[3]")


def _canvas(painter: Painter) -> str:
    frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    painter.page.evaluate(frame)
    return painter.page.evaluate("document.querySelector('#stage canvas').toDataURL()")


def _pen(painter: Painter, points: list[tuple[float, float]], button: int) -> None:
    """Playwright has no pen."""
    places = [painter.on_screen(*point) for point in points]
    painter.page.evaluate(
        """([places, button]) => {
          const canvas = document.querySelector("#stage canvas");
          canvas.setPointerCapture = () => {};
          const tell = (type, [clientX, clientY]) => canvas.dispatchEvent(new PointerEvent(type, {
            clientX, clientY, button, buttons: button === 5 ? 32 : 1, pointerType: "pen", pointerId: 7, bubbles: true,
          }));
          tell("pointerdown", places[0]);
          for (const place of places) tell("pointermove", place);
          tell("pointerup", places.at(-1));
        }""",
        [places, button],
    )


def _fingers(painter: Painter, frames: list[list[tuple[float, float]]]) -> None:
    """Touches at the places of one frame after the other."""
    session = painter.page.context.new_cdp_session(painter.page)

    def tell(kind: str, places: list[tuple[float, float]]) -> None:
        points: list[dict[str, Any]] = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    tell("touchStart", frames[0])
    for frame in frames[1:]:
        tell("touchMove", frame)
    tell("touchEnd", [])


def _tap(painter: Painter, point: tuple[float, float]) -> None:
    _fingers(painter, [[painter.on_screen(*point)]])


def _two_fingers(painter: Painter, at: tuple[float, float], apart: list[int]) -> None:
    x, y = at
    _fingers(painter, [[(x - d / 2, y), (x + d / 2, y)] for d in apart])
