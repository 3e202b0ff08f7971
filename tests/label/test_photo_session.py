"""While photos are painted on, a student learns from those that are labelled all over, and helps to predict others."""

import threading
import time

import numpy as np
import pytest
from PIL import Image

from gseg_cli.distill.net_config import PRETRAINED, NetConfig
from gseg_cli.distill.student import make_student
from gseg_cli.label import photo_session
from gseg_cli.label.journal import Rectangle
from gseg_cli.label.photo_session import PhotoSession
from gseg_cli.label.photos import open_photos
from gseg_cli.pretrained.lite0 import load_lite0
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from tests.tiny import CLASSES

SIDE, PATIENCE_S = 64, 60


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Open a session of four photos whose right halves are light; what it publishes is in `told`."""
    monkeypatch.setattr(photo_session, "STEPS", 2)
    (tmp_path / "photos").mkdir()
    for i in range(4):
        pixels = np.full((SIDE, SIDE, 3), 20 + 10 * i, np.uint8)
        pixels[:, SIDE // 2 :] = 230
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    project = Project.create(tmp_path / "project", classes=CLASSES)
    sessions = []

    def open_session(count=4):
        for session in sessions:
            session.close()
        encoder = load_lite0().requires_grad_(False)
        sessions[:] = [PhotoSession(project, open_photos(project, tmp_path / "photos", count, encoder))]
        told = sessions[0].told = []
        monkeypatch.setattr(sessions[0].events, "publish", lambda name, **data: told.append((name, data)))
        return sessions[0]

    yield open_session
    for session in sessions:
        session.close()


def paint(session, seed, columns=SIDE, labels=(0, 1)):
    """The left half and the right one, on so many columns of the photo."""
    for x, width, label in (0, SIDE // 2, labels[0]), (SIDE // 2, columns - SIDE // 2, labels[1]):
        where = Rectangle(x, 0, width, SIDE)
        session.draw(seed, session.store.state(seed).rev, where, np.full((SIDE, width), label, np.uint8))


def wait_for(what):
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_three_photos_that_are_labelled_all_over_teach_a_student_whose_opinion_the_teacher_sees(opened):
    session = opened()
    before = session.subject.feature_channels
    for seed in range(3):
        paint(session, seed)
    wait_for(lambda: ("student", {"photos": 3}) in session.told)
    assert session.subject.student.config.num_classes == len(CLASSES)
    assert len(session.subject.feature_channels) == len(before) + 1
    told = len(session.told)
    wait_for(lambda: any(n == "prediction" and d["seed"] == 3 and d["stage"] == "mlp" for n, d in session.told[told:]))
    found = session.teacher.shelf.newest(3).small.labels
    assert (found[:, : SIDE // 2 - 4] == 0).all() and (found[:, SIDE // 2 + 4 :] == 1).all()


def test_two_whole_photos_and_a_few_strokes_on_another_teach_no_student(opened, monkeypatch):
    begun = []
    monkeypatch.setattr(photo_session, "study", lambda *given: begun.append(given) or iter(()))
    session = opened()
    paint(session, 0)
    paint(session, 1)
    paint(session, 2, columns=SIDE // 2 + 8)
    wait_for(lambda: session._studied == {0, 1})
    session._apprentice.call(lambda: None)  # comes after that
    assert not begun


def test_three_photos_of_a_single_class_are_no_failure(opened, monkeypatch, caplog):
    session = opened()
    session.store.classes = ClassMap.of_names(["all"])
    for seed in range(3):
        paint(session, seed, labels=(0, 0))
    wait_for(lambda: session._studied == {0, 1, 2})
    session._apprentice.call(lambda: None)
    assert not caplog.records


def test_what_is_undone_is_forgotten_by_the_student_too_and_learned_anew_once_it_is_there_again(opened):
    session = opened()
    for seed in range(3):
        paint(session, seed)
    wait_for(lambda: ("student", {"photos": 3}) in session.told)
    session.undo(2, session.store.state(2).rev)
    wait_for(lambda: session.teacher._subject.student is None)
    session.redo(2, session.store.state(2).rev)
    wait_for(lambda: session.told.count(("student", {"photos": 3})) == 2)
    assert session.subject.student


def test_a_student_of_labels_that_were_undone_meanwhile_does_not_come(opened, monkeypatch):
    monkeypatch.setattr(photo_session, "STEPS", 10_000)
    session = opened()
    for seed in range(3):
        paint(session, seed)
    wait_for(lambda: session._studied == {0, 1, 2})
    session.undo(2, session.store.state(2).rev)
    wait_for(lambda: session._studied == {0, 1})
    assert session.subject.student is None


def test_a_session_that_is_opened_again_learns_from_the_photos_that_are_there(opened):
    session = opened()
    for seed in range(3):
        paint(session, seed)
    session = opened()
    wait_for(lambda: session.subject.student is not None)


def test_more_photos_and_a_further_class_go_with_a_student(opened):
    session = opened()
    for seed in range(3):
        paint(session, seed)
    wait_for(lambda: session.subject.student is not None)
    session.add_class("more", None)
    paint(session, 3)
    wait_for(lambda: ("student", {"photos": 4}) in session.told)
    assert session.subject.student.config.num_classes == len(CLASSES) + 1


def test_a_student_that_is_ready_while_photos_come_is_not_lost(opened, monkeypatch):
    session = opened(2)
    know, student = session.teacher.know, make_student(NetConfig(size=PRETRAINED, num_classes=2, input_size=SIDE))
    meanwhile = threading.Thread(target=session._take, args=[student])

    def know_late(subject):
        if not meanwhile.ident:
            meanwhile.start()
            meanwhile.join(0.5)
        know(subject)

    monkeypatch.setattr(session.teacher, "know", know_late)
    session.more(2)
    meanwhile.join()
    assert len(session.subject.names) == 4
    assert session.teacher._subject.student is session.subject.student is student


def test_a_training_that_fails_is_told_to_the_page_which_goes_on_predicting(opened, monkeypatch, caplog):
    def fail(*given):
        raise MemoryError

    monkeypatch.setattr(photo_session, "study", fail)
    session = opened()
    for seed in range(3):
        paint(session, seed)
    wait_for(lambda: ("student_failed", {}) in session.told)
    told = len(session.told)
    paint(session, 3)
    wait_for(lambda: any(name == "fit" for name, _ in session.told[told:]))
    assert session.subject.student is None and "MemoryError" in caplog.text


def test_closing_a_session_does_not_wait_for_its_student(opened, monkeypatch):
    monkeypatch.setattr(photo_session, "STEPS", 10_000)
    session = opened()
    for seed in range(3):
        paint(session, seed)
    session.close()
    assert session.subject.student is None


def test_a_second_ctrl_c_while_a_session_closes_leaves_no_thread_and_no_lock(opened, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    session = opened()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(session._apprentice._thread, "join", interrupted)
        session.close()
    assert not session.store.lock.is_held
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("gseg label")])
