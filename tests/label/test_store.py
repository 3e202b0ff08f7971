"""Nothing that was painted is lost, and nobody's labels are mixed."""

import errno
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.app import main
from gseg_cli.gan.load import load_generator, save_gan
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_cli.gan.sample import write_samples
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.label.errors import NotThereError, StaleError, UnsavedError
from gseg_cli.label.gan_samples import GanSamples
from gseg_cli.label.journal import Rectangle
from gseg_cli.label.lock import FolderLock
from gseg_cli.label.store import LabelStore
from gseg_cli.project import Project
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import read_label_png, write_label_png
from tests.label.conftest import SEEDS
from tests.tiny import CLASSES, CONFIG

SIZE = 16
DOT = Rectangle(4, 4, 2, 1)


def store_of(project, samples):
    return LabelStore(project, GanSamples(project.gan_path, load_generator(project.gan_path), samples))


def opened(project):
    return store_of(project, SampleSet.load(project.samples_dir))


def dot(store, label, seed=3, where=DOT):
    return store.draw(seed, store.state(seed).rev, where, np.full((where.h, where.w), label, np.uint8))


def imported(project, seed=3, label=1):
    """Annotations as annotate-import writes them."""
    samples = SampleSet.load(project.samples_dir)
    labels = np.full((1, SIZE, SIZE), label, np.uint8)
    made = (project.classes, samples.gan_sha256, samples.truncation_psi)
    annotations = AnnotationSet(labels, samples.ws_of([seed]), (seed,), *made)
    annotations.save(project.annotations_dir, source="test", overwrite=True)


def test_a_store_that_is_opened_again_has_every_label_and_every_undo(project):
    store = opened(project)
    dot(store, 1)
    dot(store, 2)
    store.undo(3, 2)
    store.close()
    again = opened(project)
    assert (again.state(3).rev, again.state(3).can_undo, again.state(3).can_redo) == (3, True, True)
    assert (again.labels(3)[DOT.slices] == 1).all()
    again.undo(3, 3)
    assert (again.labels(3) == IGNORE).all()
    again.close()


def test_a_kill_in_a_burst_of_strokes_loses_nothing_that_was_acknowledged(project):
    command = [sys.executable, "-m", "tests.label.burst", str(project.dir)]
    burst = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert burst.stdout
    lines = [burst.stdout.readline() for _ in range(40)]
    burst.kill()
    lines += burst.stdout.read().splitlines()
    burst.wait()
    burst.stdout.close()
    acknowledged = {int(seed): (int(rev), labels) for seed, rev, labels in map(str.split, filter(is_whole, lines))}
    store = opened(project)
    for seed, (rev, labels) in acknowledged.items():
        assert store.state(seed).rev in (rev, rev + 1)  # the one that it was at may be there, or not
        if store.state(seed).rev == rev:
            assert store.labels(seed).tobytes().hex() == labels
        while store.state(seed).can_undo:
            store.undo(seed, store.state(seed).rev)
        assert (store.labels(seed) == IGNORE).all()
    store.close()


def is_whole(line):
    return len(line.split()) == 3 and len(line.split()[2]) == 2 * SIZE**2


def test_annotations_follow_each_stroke_and_hold_labelled_samples_only(project):
    store = opened(project)
    dot(store, 2, seed=5)
    there = AnnotationSet.load(project.annotations_dir)
    assert (there.seeds, there.pixel_counts.tolist()) == ((5,), [[0, 0, 2]])
    dot(store, 1, seed=8)
    dot(store, 0, seed=5)
    there = AnnotationSet.load(project.annotations_dir)
    assert (there.seeds, there.pixel_counts.tolist()) == ((5, 8), [[2, 0, 0], [0, 2, 0]])
    dot(store, IGNORE, seed=5)
    assert AnnotationSet.load(project.annotations_dir).seeds == (8,)
    dot(store, IGNORE, seed=8)
    assert list(project.annotations_dir.glob("*.png")) == []
    store.close()


def test_fewshot_train_takes_what_was_painted_as_it_is(project):
    store = opened(project)
    dot(store, 1)
    dot(store, 2, where=Rectangle(0, 9, 5, 3))
    store.close()
    assert main(["-C", str(project.dir), "fewshot-train", "--steps", "2", "--device", "cpu"]) == 0


def test_what_was_imported_can_be_corrected_and_the_correction_undone(project):
    imported(project)
    store = opened(project)
    assert (store.labels(3) == 1).all() and not store.state(3).can_undo
    dot(store, 2)
    assert AnnotationSet.load(project.annotations_dir).pixel_counts.tolist() == [[0, SIZE**2 - 2, 2]]
    store.undo(3, 1)
    assert (AnnotationSet.load(project.annotations_dir).labels == 1).all()
    store.close()


def test_labels_that_were_changed_by_another_program_meanwhile_are_taken_and_can_be_undone(project):
    store = opened(project)
    dot(store, 1)
    store.close()
    write_label_png(project.annotations_dir / "000003.png", np.full((SIZE, SIZE), 2, np.uint8), project.classes)
    again = opened(project)
    assert (again.labels(3) == 2).all()
    again.undo(3, again.state(3).rev)
    assert (again.labels(3)[DOT.slices] == 1).all()
    again.close()


@pytest.mark.parametrize("label", [1, None])
def test_what_was_imported_anew_after_the_newest_stroke_stays(project, label):
    """It is what was there before the stroke, as after a kill."""
    imported(project, seed=5)
    if label is not None:
        imported(project, label=label)
    store = opened(project)
    dot(store, 2)
    store.close()
    time.sleep(0.02)  # the clock of a disk is coarse
    imported(project, seed=5) if label is None else imported(project, label=label)
    again = opened(project)
    assert (again.labels(3) == (IGNORE if label is None else label)).all()
    again.undo(3, again.state(3).rev)
    assert (again.labels(3)[DOT.slices] == 2).all()
    again.close()


def test_annotations_of_samples_that_are_not_painted_on_stay(project):
    imported(project)
    samples = SampleSet.load(project.samples_dir)
    few = replace(samples, seeds=tuple(SEEDS[1:]), ws=samples.ws[1:])
    store = store_of(project, few)
    dot(store, 2, seed=5)
    assert store.found_classes() == [1, 2]  # labelled somewhere, though not on the page
    store.close()
    there = AnnotationSet.load(project.annotations_dir)
    assert there.seeds == (3, 5) and (there.labels[0] == 1).all()


def test_annotations_of_a_sample_that_is_drawn_later_are_what_it_begins_with(project, tiny_gan):
    imported(project, seed=5, label=2)
    generator, all_samples = load_generator(tiny_gan), SampleSet.load(project.samples_dir)
    shutil.rmtree(project.samples_dir)
    store = store_of(project, write_samples(generator, tiny_gan, [3], 1.0, project.samples_dir))
    store.add(GanSamples(project.gan_path, generator, all_samples))
    assert (store.labels(5) == 2).all()
    dot(store, 1, seed=5)
    store.close()
    annotations = AnnotationSet.load(project.annotations_dir)
    assert annotations.seeds == (5,)
    assert (annotations.labels[0] == 2).sum() == SIZE**2 - DOT.w * DOT.h


def test_a_change_on_an_old_revision_is_refused_with_the_newest(project):
    store = opened(project)
    dot(store, 1)
    with pytest.raises(StaleError) as caught:
        store.draw(3, 0, DOT, np.zeros((1, 2), np.uint8))
    assert caught.value.rev == 1
    for change in (store.undo, store.redo):
        if change == store.redo:
            store.undo(3, 1)
        with pytest.raises(StaleError):
            change(3, 0)
    store.close()


def test_a_change_whose_answer_was_lost_is_answered_again_and_not_made_twice(project):
    """As a page sends it again when the connection broke; also after the server was started anew."""
    store = opened(project)
    pixels = np.full((DOT.h, DOT.w), 1, np.uint8)
    first = store.draw(3, 0, DOT, pixels)
    assert store.draw(3, 0, DOT, pixels) == first
    store.close()
    store = opened(project)
    assert store.draw(3, 0, DOT, pixels) == first
    for step, rev in ((store.undo, 1), (store.redo, 2)):
        once, again = step(3, rev), step(3, rev)
        assert once.state == again.state and np.array_equal(once.labels, again.labels) and again.state.rev == rev + 1
    for other in (lambda: store.undo(3, 2), lambda: store.draw(3, 2, DOT, pixels), lambda: store.redo(3, 1)):
        with pytest.raises(StaleError):
            other()
    store.close()


def test_labels_drawn_on_samples_of_another_gan_stay_with_it(project):
    store, samples = opened(project), SampleSet.load(project.samples_dir)
    dot(store, 1)
    store.close()
    shutil.rmtree(project.annotations_dir)
    other = store_of(project, replace(samples, gan_sha256="b" * 64))
    assert (other.labels(3) == IGNORE).all() and not other.state(3).can_undo
    other.close()


def lose_annotations(project, index):
    """After a stroke of that class on two samples."""
    store = opened(project)
    for seed in SEEDS[:2]:
        dot(store, index, seed)
    store.close()
    shutil.rmtree(project.annotations_dir)


def test_annotations_that_were_taken_away_stay_away_and_can_be_undone_to(project):
    lose_annotations(project, 1)
    again = opened(project)
    for seed in SEEDS[:2]:
        assert (again.labels(seed) == IGNORE).all()
        again.undo(seed, again.state(seed).rev)
        assert (again.labels(seed)[DOT.slices] == 1).all()
    again.close()


def test_a_sample_that_is_not_there_cannot_be_painted_on(project):
    store = opened(project)
    with pytest.raises(NotThereError):
        dot(store, 1, seed=4)
    store.close()


def test_a_second_process_is_refused_and_told_who_has_it(project):
    store = opened(project)
    with pytest.raises(GsegError, match=r"in use by process \d+ on "):
        opened(project)
    store.close()
    opened(project).close()


def test_a_project_that_was_moved_is_not_begun_anew_where_it_was(project):
    store = opened(project)
    dot(store, 1)
    moved = project.dir.rename(project.dir.with_name("moved"))
    for change in (lambda: dot(store, 2), lambda: dot(store, 2, seed=5), lambda: store.undo(3, 1), store.close):
        with pytest.raises(GsegError, match="was moved or removed, so nothing more is saved"):
            change()
    assert not project.dir.exists()
    again = opened(Project.open(moved))
    assert (again.labels(3)[DOT.slices] == 1).all()
    again.close()


@pytest.mark.parametrize("write", ["save_latents", "write_label_png", "write_description"])
def test_what_a_full_disk_kept_from_the_annotations_is_there_after_the_same_change_is_sent_again(
    project, monkeypatch, write
):
    def full(*args, **options):
        raise GsegError("cannot be written: No space left on device")

    store = opened(project)
    dot(store, 1)
    monkeypatch.setattr(f"gseg_cli.annotate.annotation_set.{write}", full)
    with pytest.raises(UnsavedError):
        store.draw(5, 0, DOT, np.full((1, 2), 2, np.uint8))
    monkeypatch.undo()
    assert store.draw(5, 0, DOT, np.full((1, 2), 2, np.uint8)).rev == 1
    annotations = AnnotationSet.load(project.annotations_dir)
    assert annotations.seeds == (3, 5)
    assert (annotations.labels[1][DOT.slices] == 2).all()
    store.close()


def test_annotations_of_another_gan_are_refused_and_stay(project):
    imported(project)
    path = project.annotations_dir / "annotations.json"
    sha256 = SampleSet.load(project.samples_dir).gan_sha256
    path.write_text(path.read_text().replace(sha256, "f" * 64))
    before = path.read_bytes()
    with pytest.raises(GsegError, match="annotations"):
        opened(project)
    assert path.read_bytes() == before


def test_a_folder_of_somebody_elses_files_is_refused(project):
    (project.annotations_dir / "mine.txt").write_text("mine")
    with pytest.raises(GsegError, match="annotations"):
        opened(project)


def test_a_label_map_that_a_killed_process_did_not_come_to_list_is_no_obstacle(project):
    store = opened(project)
    dot(store, 1, seed=5)
    listing = project.annotations_dir / "annotations.json"
    before = shutil.copy2(listing, project.dir / "before")
    dot(store, 1)
    store.lock.release()
    before.replace(listing)
    again = opened(project)
    assert (again.labels(3)[DOT.slices] == 1).all()
    assert AnnotationSet.load(project.annotations_dir).seeds == (3, 5)
    again.close()


def test_what_a_killed_process_was_writing_first_of_all_is_no_obstacle(project):
    (project.annotations_dir / ".gseg-tmp-0123.png").write_bytes(b"half")
    opened(project).close()
    assert list(project.annotations_dir.iterdir()) == []


def test_annotations_may_be_a_link_to_another_disk(project, tmp_path, monkeypatch):
    project.annotations_dir.rename(tmp_path / "disk")
    project.annotations_dir.symlink_to(tmp_path / "disk")
    really = os.replace

    def replace_on_one_disk(source, target):
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        really(source, target)

    monkeypatch.setattr(os, "replace", replace_on_one_disk)
    store = opened(project)
    dot(store, 1)
    dot(store, 2, seed=5)
    store.close()
    assert AnnotationSet.load(project.annotations_dir).seeds == (3, 5)


def test_when_all_is_undone_the_folder_is_empty_and_can_be_used_again(project):
    store = opened(project)
    dot(store, 1)
    store.close()  # makes previews
    again = opened(project)
    again.undo(3, 1)
    assert list(project.annotations_dir.iterdir()) == []
    again.close()
    store = opened(project)
    assert store.state(3).can_redo
    store.redo(3, 2)
    store.close()
    assert AnnotationSet.load(project.annotations_dir).seeds == (3,)


def test_previews_are_made_at_the_end(project):
    store = opened(project)
    dot(store, 1)
    store.close()
    assert (project.annotations_dir / "preview" / "000003.png").is_file()
    assert '"medium": 2' in (project.annotations_dir / "annotations.json").read_text()


def test_a_renamed_class_is_renamed_in_the_annotations_too(project):
    store = opened(project)
    dot(store, 1)
    names = ("dark", "grey", "light")
    store.recolour(replace(project.classes, names=("dark", "medium", "light")))
    store.recolour(replace(project.classes, names=names))
    assert AnnotationSet.load(project.annotations_dir).classes.names == names
    assert (read_label_png(project.annotations_dir / "000003.png")[DOT.slices] == 1).all()
    store.close()
    again = opened(replace(project, classes=replace(project.classes, names=names)))
    assert again.state(3).can_undo
    again.close()


def test_a_class_that_was_renamed_on_the_page_opens_again(project):
    from gseg_cli.label.palette import changed, write_changed

    store = opened(project)
    dot(store, 1)
    classes = changed(project.classes, 1, "grey")
    write_changed(project.path("gseg.toml"), project.classes, classes)
    store.recolour(classes)
    store.close()
    opened(Project.open(project.dir)).close()


def test_a_drive_without_locks_can_be_labelled_on(project, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("gseg_cli.label.lock.fcntl.flock", no_locks)
    lock = FolderLock(project.label_dir)
    lock.check()
    lock.release()


def test_a_class_that_was_renamed_by_hand_does_not_lock_the_annotations_out(project):
    store = opened(project)
    dot(store, 1)
    store.close()
    names = ("dark", "grey", "light")
    again = opened(replace(project, classes=replace(project.classes, names=names)))
    assert again.state(3).can_undo
    again.close()
    assert AnnotationSet.load(project.annotations_dir).classes.names == names


def test_where_two_classes_were_renamed_by_hand_nobody_is_told_to_discard_the_labels(project):
    store = opened(project)
    dot(store, 1)
    store.close()
    with pytest.raises(GsegError, match="have the classes") as caught:
        opened(replace(project, classes=replace(project.classes, names=("black", "grey", "light"))))
    assert "gseg.toml" in caught.value.hint and "overwrite" not in caught.value.hint


def test_strokes_of_a_class_that_was_taken_out_are_no_obstacle(project):
    lose_annotations(project, 2)
    fewer = replace(project, classes=ClassMap(CLASSES.names[:2], CLASSES.colors[:2]))
    again = opened(fewer)
    assert (again.labels(3) == IGNORE).all() and again.undo(3, again.state(3).rev) is None
    dot(again, 1)
    again.close()
    assert AnnotationSet.load(project.annotations_dir).seeds == (3,)


def test_nothing_is_labelled_in_the_bars_of_a_rectangular_gan(tmp_path):
    generator = StyleGAN2(replace(CONFIG, img_resolution=32, first_layer=(4, 2))).eval().requires_grad_(False)
    save_gan(tmp_path / "gan.safetensors", generator, Discriminator(generator.config), {})
    project = Project.create(tmp_path / "project", classes=CLASSES, gan=str(tmp_path / "gan.safetensors"))
    write_samples(generator, project.gan_path, [3], 1.0, project.samples_dir)
    store = store_of(project, SampleSet.load(project.samples_dir))
    store.draw(3, 0, Rectangle(0, 0, 32, 4), np.ones((4, 32), np.uint8))
    labels = store.labels(3)
    assert (labels[:4, 8:24] == 1).all() and (labels[:4, :8] == IGNORE).all() and (labels[:4, 24:] == IGNORE).all()
    store.close()
