"""What the page asks, and what it is told: painting, undoing, accepting, classes, and mistakes."""

import base64
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.project import Project
from gseg_runtime.class_map import IGNORE
from tests.label.conftest import SEEDS

SIZE = 16


def put(page, seed=3, rev=0, x=0, y=0, w=4, h=2, pixels=None):
    pixels = np.full(w * h, 1, np.uint8) if pixels is None else np.asarray(pixels, np.uint8)
    where = {"rev": rev, "x": x, "y": y, "w": w, "h": h}
    return page.put(f"/api/samples/{seed}/labels", params=where, content=pixels.tobytes())


def labels(page, seed=3):
    answer = page.get(f"/api/samples/{seed}/labels")
    return np.frombuffer(answer.content, np.uint8).reshape(SIZE, SIZE), answer.headers


def wait_for(found: Callable[[], Any]) -> Any:
    """What it finds, as soon as it finds something."""
    for _ in range(200):
        if result := found():
            return result
        time.sleep(0.05)
    raise AssertionError("it never came")


def sample(page, seed=3):
    return next(one for one in page.get("/api/project").json()["samples"] if one["seed"] == seed)


def taught(page, stage="mlp"):
    """A sample with two strokes, and its prediction."""
    put(page, pixels=[1] * 8)
    put(page, rev=1, y=10, pixels=[2] * 8)
    return wait_for(lambda: (one := sample(page))["stage"] == stage and one)


def test_the_project_has_all_that_the_page_begins_with(page, project):
    told = page.get("/api/project").json()
    assert (told["name"], told["size"]) == ("project", SIZE)
    assert told["classes"][1] == {"index": 1, "name": "medium", "color": project.classes.to_json()[1]["color"]}
    window = {"x": 0, "y": 0, "w": SIZE, "h": SIZE}
    nothing = {"rev": 0, "labelled": 0.0, "window": window, "prediction": None, "stage": None, "doubt": None}
    assert told["samples"] == [{"seed": seed, "title": f"Sample {seed:06d}", **nothing} for seed in SEEDS]
    assert (told["noun"], told["folder"]) == ("sample", "annotations/")
    assert "fewshot-train" in told["commands"]["train"]


def test_the_picture_of_a_sample_is_its_file(page, project):
    answer = page.get("/api/samples/5/image")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == (project.samples_dir / "000005.png").read_bytes()


def test_a_sample_is_unlabelled_until_a_stroke_is_put(page):
    found, headers = labels(page)
    assert (found == IGNORE).all()
    assert [headers[f"x-{name}"] for name in ("rev", "can-undo", "can-redo")] == ["0", "0", "0"]
    answer = put(page, x=2, y=3, w=2, h=2, pixels=[0, 1, 2, 255])
    assert answer.json() == {"rev": 1, "can_undo": True, "can_redo": False}
    assert labels(page)[0][3:5, 2:4].tolist() == [[0, 1], [2, 255]]
    assert sample(page)["labelled"] == 3 / SIZE**2


def test_a_stroke_on_an_old_revision_is_a_conflict_and_changes_nothing(page):
    put(page)
    answer = put(page, pixels=[2] * 8)
    assert (answer.status_code, answer.json()["rev"]) == (409, 1)
    assert page.post("/api/samples/3/undo", json={"rev": 0}).status_code == 409
    assert (labels(page)[0][:2, :4] == 1).all()


def test_undo_and_redo_are_patches_and_end_with_204(page):
    put(page, pixels=[1] * 8)
    put(page, rev=1, x=1, y=1, w=2, h=1, pixels=[2, 2])
    patch = page.post("/api/samples/3/undo", json={"rev": 2}).json()
    assert [patch[key] for key in "xywh"] == [1, 1, 2, 1]
    assert base64.b64decode(patch["labels"]) == b"\1\1"
    assert (patch["rev"], patch["can_undo"], patch["can_redo"]) == (3, True, True)
    assert base64.b64decode(page.post("/api/samples/3/redo", json={"rev": 3}).json()["labels"]) == b"\2\2"
    assert page.post("/api/samples/3/redo", json={"rev": 4}).status_code == 204
    assert page.post("/api/samples/5/undo", json={"rev": 0}).status_code == 204


def test_what_is_painted_is_what_fewshot_train_reads(page, project):
    put(page, seed=5, x=4, y=4, w=2, h=1, pixels=[0, 2])
    there = AnnotationSet.load(project.annotations_dir)
    assert (there.seeds, there.pixel_counts.tolist()) == ((5,), [[1, 0, 1]])


WRONG = [
    {"x": 13}, {"y": 15}, {"w": 0}, {"w": 17}, {"x": -1}, {"x": "a"}, {"rev": ""}, {"rev": "1e3"}, {"h": 10**9},
    {"x": "٣"}, {"w": 2**31, "h": 2**31},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_rectangle_that_is_none_or_leaves_the_picture_is_refused(page, session, wrong):
    where = {"rev": 0, "x": 0, "y": 0, "w": 4, "h": 2, **wrong}
    answer = page.put("/api/samples/3/labels", params=where, content=bytes(8))
    assert (answer.status_code, set(answer.json())) == (400, {"error", "hint"})
    assert session.store.state(3).rev == 0


@pytest.mark.parametrize("count", [0, 7, 9])
def test_pixels_that_do_not_fill_the_rectangle_are_refused(page, count):
    answer = page.put("/api/samples/3/labels?rev=0&x=0&y=0&w=4&h=2", content=bytes(count))
    assert answer.status_code == 400


@pytest.mark.parametrize("label", [3, 100, 254])
def test_labels_beyond_the_palette_are_refused(page, label):
    assert put(page, pixels=[label] * 8).status_code == 400
    assert (labels(page)[0] == IGNORE).all()


@pytest.mark.parametrize("seed", ["4", "-1", "x", "3.0", "03x", "%2e%2e", "..%2f3", "9" * 5000, "٣", "3%00"])
@pytest.mark.parametrize("what", ["labels", "image", "small/1", "prediction/1", "prediction/..%2f..%2fapp.py"])
def test_an_id_that_is_none_is_not_found(page, seed, what):
    assert page.get(f"/api/samples/{seed}/{what}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/samples/3/labels"), ("POST", "/api/samples/3/labels"), ("PUT", "/api/project"),
     ("GET", "/api/samples/3/undo"), ("PUT", "/"), ("TRACE", "/api/project"), ("OPTIONS", "/api/project")],
)  # fmt: skip
def test_other_methods_are_not_allowed(page, method, path):
    assert page.request(method, path).status_code == 405


BODIES = [b"", b"{", b"[]", b"3", b'{"rev": "0"}', b'{"rev": true}', b'{"rev": 0.5}', b"[" * 60000, b"\xff"]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", ["samples/3/undo", "samples/3/redo", "samples/3/accept", "samples"])
def test_a_body_that_is_not_what_it_should_be_is_refused(page, path, body):
    answer = page.post(f"/api/{path}", content=body)
    assert (answer.status_code, set(answer.json())) == (400, {"error", "hint"})


def test_two_classes_of_strokes_are_answered_by_ridge_and_then_by_the_mlp_on_every_sample(page):
    one = taught(page)
    assert 0 <= one["doubt"] <= 1
    whole = page.get(f"/api/samples/3/prediction/{one['prediction']}").content
    assert len(whole) == 2 * SIZE**2
    assert set(whole[: SIZE**2]) <= {0, 1, 2}
    small = page.get(f"/api/samples/3/small/{one['prediction']}")
    assert len(small.content) == 2 * int(small.headers["x-size"]) ** 2
    wait_for(lambda: all(other["stage"] == "mlp" for other in page.get("/api/project").json()["samples"]))


def test_the_sample_that_the_page_turns_to_is_predicted_whole(page):
    taught(page)
    labels(page, seed=8)

    def found():
        name = sample(page, 8)["prediction"]
        return name and page.get(f"/api/samples/8/prediction/{name}").status_code == 200

    wait_for(found)


def test_what_was_undone_is_forgotten(page):
    taught(page)
    page.post("/api/samples/3/undo", json={"rev": 2})
    wait_for(lambda: sample(page)["prediction"] is None)


def test_accepting_a_prediction_is_one_step_that_can_be_undone(page):
    one = taught(page)
    wish = {"rev": 2, "id": one["prediction"], "part": "all", "only_unlabelled": True, "locked": []}
    patch = page.post("/api/samples/3/accept", json=wish).json()
    assert page.post("/api/samples/3/accept", json=wish).json() == patch  # as when the answer was lost
    assert (patch["rev"], patch["can_undo"]) == (3, True)
    now, _ = labels(page)
    assert (now != IGNORE).all() and (now[:2, :4] == 1).all() and (now[10:12, :4] == 2).all()
    assert page.post("/api/samples/3/undo", json={"rev": 3}).status_code == 200
    assert (labels(page)[0] != IGNORE).sum() == 16


def test_a_stroke_that_is_newer_than_the_prediction_outlasts_its_acceptance(page):
    found = taught(page)
    before = labels(page)[0]
    put(page, rev=2, y=12, w=SIZE, pixels=[0] * 2 * SIZE)  # a class that was not predicted
    page.post("/api/samples/3/accept", json={"rev": 3, "id": found["prediction"], "part": "all"})
    accepted = labels(page)[0]
    assert (accepted[12:14] == 0).all()
    assert set(np.unique(accepted[before == IGNORE])) <= {0, 1, 2} and IGNORE not in accepted


def test_a_prediction_that_is_gone_cannot_be_accepted(page):
    answer = page.post("/api/samples/3/accept", json={"rev": 0, "id": "99", "part": "all"})
    assert answer.status_code == 404


WISHES = [{}, {"id": 3}, {"id": "1", "part": "x"}, {"id": "1", "part": "class"}, {"id": "1", "part": "all", "class": 1},
          {"id": "1", "locked": 3}, {"id": "1", "locked": ["a"]}]  # fmt: skip


@pytest.mark.parametrize("wish", WISHES)
def test_an_unclear_wish_is_refused(page, wish):
    assert page.post("/api/samples/3/accept", json={"rev": 0, **wish}).status_code == 400


def test_a_class_can_be_added_renamed_and_recoloured_and_gseg_toml_has_it(page, project):
    added = page.post("/api/classes", json={"name": "hat", "color": "#102030"}).json()["classes"]
    assert added[3] == {"index": 3, "name": "hat", "color": "#102030"}
    changed = page.patch("/api/classes/1", json={"name": "grey", "color": "#808080"}).json()["classes"]
    assert changed[1] == {"index": 1, "name": "grey", "color": "#808080"}
    assert Project.open(project.dir).classes.to_json() == [
        {"name": one["name"], "color": one["color"]} for one in changed
    ]
    assert put(page, pixels=[3] * 8).status_code == 200
    assert AnnotationSet.load(project.annotations_dir).classes.names == ("dark", "grey", "light", "hat")


BAD_CLASSES = [{}, {"name": ""}, {"name": "  "}, {"name": "dark"}, {"name": "a\nb"}, {"name": 3},
               {"name": "hat", "color": "red"}, {"name": "hat", "color": 3}]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_CLASSES)
def test_a_bad_name_or_colour_is_refused_and_gseg_toml_stays(page, project, bad):
    before = project.path("gseg.toml").read_bytes()
    answer = page.post("/api/classes", json=bad)
    assert (answer.status_code, set(answer.json())) == (400, {"error", "hint"})
    assert project.path("gseg.toml").read_bytes() == before


def test_a_class_that_is_not_there_cannot_be_renamed(page):
    assert page.patch("/api/classes/7", json={"name": "x"}).status_code == 400
    assert page.patch("/api/classes/x", json={"name": "x"}).status_code == 404


def test_what_is_missing_everywhere_is_to_be_labelled_next(page):
    first = page.get("/api/next").json()
    assert (first["class"], first["seed"] in SEEDS) == (0, True) and "dark" in first["why"]
    put(page, w=3, h=1, pixels=[0, 1, 2])
    put(page, seed=5, w=3, h=1, pixels=[0, 1, 2])
    wait_for(lambda: sample(page, 8)["doubt"] is not None)
    after = page.get("/api/next").json()
    assert (after["seed"], "class" in after) == (8, False)


def test_more_samples_can_be_drawn_and_painted_on(page, project):
    told = page.post("/api/samples", json={"count": 2}).json()["samples"]
    assert len(told) == 5
    new = next(one["seed"] for one in told if one["seed"] not in SEEDS)
    assert page.get(f"/api/samples/{new}/image").status_code == 200
    assert put(page, seed=new).status_code == 200
    assert AnnotationSet.load(project.annotations_dir).seeds == (new,)


@pytest.mark.parametrize("count", [0, -1, 101, 10**9])
def test_a_count_of_samples_that_nobody_means_is_refused(page, count):
    assert page.post("/api/samples", json={"count": count}).status_code == 400


def test_a_page_whose_indices_meant_other_classes_changes_nothing(page):
    known = labels(page)[1]["X-Classes"]
    page.patch("/api/classes/1", json={"name": "grey"})
    page.post("/api/classes", json={"name": "hat"})
    where = {"rev": 0, "x": 0, "y": 0, "w": 1, "h": 1}
    assert page.put("/api/samples/3/labels", params={**where, "classes": "3-0"}, content=b"1").status_code == 409
    for action in ("undo", "redo", "accept"):
        answer = page.post(f"/api/samples/3/{action}", params={"classes": "3-0"}, json={"rev": 0})
        assert answer.status_code == 409
    assert page.put("/api/samples/3/labels", params={**where, "classes": known}, content=b"\x01").status_code == 200


def test_a_project_that_was_moved_takes_strokes_and_classes_as_soon_as_it_is_back(page, project):
    moved = project.dir.rename(project.dir.with_name("moved"))
    assert put(page).status_code == 503
    answer = page.post("/api/classes", json={"name": "hat"})
    assert "was moved or removed" in answer.json()["error"] and not project.dir.exists()
    moved.rename(project.dir)
    assert put(page).json()["rev"] == 1


def test_a_full_disk_is_told_and_the_page_may_send_the_stroke_again(page, monkeypatch):
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gseg_cli.label.journal.os.fsync", full)
    answer = put(page)
    assert answer.status_code == 503 and "No space left" in answer.json()["error"]
    monkeypatch.undo()
    assert put(page).json()["rev"] == 1
