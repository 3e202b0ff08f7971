"""The history of a label map survives whatever ends the process, at whatever byte."""

import json

import numpy as np
import pytest

from gseg_cli.label.journal import Journal, Rectangle
from gseg_runtime.class_map import IGNORE

SIZE = 8
NAMES = ("background", "skin", "hair")
BLANK = np.full((SIZE, SIZE), IGNORE, np.uint8)


def stroke(journal, random):
    x, y = random.integers(0, SIZE - 3, 2).tolist()
    journal.draw(Rectangle(x, y, 3, 2), random.integers(0, 3, (2, 3), np.uint8))


def painted(path, count=6):
    """A journal with strokes, an undo and a redo in it, and the labels after each change."""
    journal, random = Journal(path, BLANK, NAMES), np.random.default_rng(0)
    states = [journal.labels]
    for number in range(count):
        stroke(journal, random)
        states.append(journal.labels)
        if number in (2, 3):
            journal.undo()
            states.append(journal.labels)
        if number == 3:
            journal.redo()
            states.append(journal.labels)
    return journal, states


def same(one, two):
    facts = [(journal.rev, journal.can_undo, journal.can_redo) for journal in (one, two)]
    return facts[0] == facts[1] and np.array_equal(one.labels, two.labels)


def test_a_journal_that_is_opened_again_goes_on_where_it_was_with_all_its_history(tmp_path):
    journal, _ = painted(tmp_path / "a.journal")
    again = Journal(tmp_path / "a.journal", BLANK, NAMES)
    assert same(journal, again)
    while journal.can_undo:
        journal.undo()
        again.undo()
        assert np.array_equal(journal.labels, again.labels)
    assert (again.labels == IGNORE).all()


def test_a_journal_that_was_cut_at_any_byte_opens_with_what_was_whole(tmp_path):
    path = tmp_path / "a.journal"
    _, states = painted(path)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        journal = Journal(path, BLANK, NAMES)
        num_changes = max(0, data[:length].count(b"\n") - 1)
        assert journal.rev == num_changes
        assert np.array_equal(journal.labels, states[num_changes])


def test_after_a_cut_it_goes_on_being_written(tmp_path):
    path = tmp_path / "a.journal"
    painted(path)
    path.write_bytes(path.read_bytes()[:-5])
    journal = Journal(path, BLANK, NAMES)
    stroke(journal, np.random.default_rng(1))
    assert same(journal, Journal(path, BLANK, NAMES))


NOISE = [b"", b"\n", b"{}\n", b"[1]\n", b"null\n", b'{"format": 1}\n', b"\xff\xfe\n", b'"undo"\n', b'"redo"\n',
         b'{"x": 7, "y": 0, "w": 2, "h": 1, "before": "", "after": ""}\n', b"[" * 10_000 + b"\n",
         b'{"x": 0, "y": 0, "w": 1, "h": 1, "before": "eJw=", "after": "!"}\n', b'{"classes": [[]]}\n']  # fmt: skip


@pytest.mark.parametrize("noise", NOISE)
def test_noise_instead_of_a_journal_is_an_empty_history(tmp_path, noise):
    path = tmp_path / "a.journal"
    path.write_bytes(noise)
    journal = Journal(path, BLANK, NAMES)
    assert (journal.rev, journal.can_undo) == (0, False)
    stroke(journal, np.random.default_rng(0))
    assert same(journal, Journal(path, BLANK, NAMES))


@pytest.mark.parametrize("noise", [noise for noise in NOISE if noise != b'"undo"\n'])
def test_noise_at_the_end_takes_nothing_away(tmp_path, noise):
    path = tmp_path / "a.journal"
    journal = Journal(path, BLANK, NAMES)
    stroke(journal, np.random.default_rng(0))
    path.write_bytes(path.read_bytes() + noise)
    assert same(journal, Journal(path, BLANK, NAMES))


def test_a_new_stroke_ends_what_could_be_redone(tmp_path):
    journal, random = Journal(tmp_path / "a.journal", BLANK, NAMES), np.random.default_rng(0)
    stroke(journal, random)
    journal.undo()
    stroke(journal, random)
    assert not journal.can_redo


def test_a_stroke_that_the_disk_did_not_take_is_not_there_later(tmp_path, monkeypatch):
    path = tmp_path / "a.journal"
    journal, random = Journal(path, BLANK, NAMES), np.random.default_rng(0)
    stroke(journal, random)

    def full(number):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr("gseg_cli.label.journal.os.fsync", full)
        stroke(journal, random)
    assert same(journal, Journal(path, BLANK, NAMES))
    stroke(journal, random)
    assert same(journal, Journal(path, BLANK, NAMES))


def test_classes_that_were_renamed_one_after_the_other_keep_the_history(tmp_path):
    journal, _ = painted(tmp_path / "a.journal")
    for names in (("background", "face", "hair"), ("background", "face", "locks"), ("ground", "face", "locks", "hair")):
        journal.tell(names)
    assert same(journal, Journal(tmp_path / "a.journal", BLANK, names))
    journal.draw(Rectangle(0, 0, 1, 1), np.full((1, 1), 3, np.uint8))
    assert same(journal, Journal(tmp_path / "a.journal", BLANK, (*names, "hat")))


@pytest.mark.parametrize("names", [NAMES[:1] + NAMES[:0:-1], NAMES[:2], ("background", "hair", "hat")])
def test_strokes_do_not_come_back_as_another_class(tmp_path, names):
    """As after classes were swapped or taken out in gseg.toml; what undoes that finds the history as it was."""
    before, _ = painted(tmp_path / "a.journal")
    other = Journal(tmp_path / "a.journal", BLANK, names)
    assert (other.rev, other.can_undo, (other.labels == IGNORE).all()) == (0, False, True)
    assert same(before, Journal(tmp_path / "a.journal", BLANK, NAMES))
    other.draw(Rectangle(0, 0, 1, 1), np.full((1, 1), 1, np.uint8))
    assert same(other, Journal(tmp_path / "a.journal", BLANK, names))


def test_a_journal_of_old_without_names_goes_on_as_far_as_its_classes_are_there(tmp_path):
    path = tmp_path / "a.journal"
    journal = Journal(path, BLANK, NAMES)
    for label in (1, 2):
        journal.draw(Rectangle(label, 0, 1, 1), np.full((1, 1), label, np.uint8))
    path.write_text(path.read_text().replace(f', "classes": {json.dumps(NAMES)}', ""))
    assert same(journal, Journal(path, BLANK, NAMES))
    fewer = Journal(path, BLANK, NAMES[:2])
    assert (fewer.rev, np.unique(fewer.labels).tolist()) == (1, [1, IGNORE])


def test_labels_that_were_handed_out_never_change(tmp_path):
    journal, random = Journal(tmp_path / "a.journal", BLANK, NAMES), np.random.default_rng(0)
    before = journal.labels
    stroke(journal, random)
    assert (before == IGNORE).all()
