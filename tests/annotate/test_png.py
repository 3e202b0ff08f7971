"""What people drew is taken in exactly, tied to the right samples, or refused before anything is written."""

import json
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.paint import tie
from gseg_cli.annotate.recognise import read_source
from gseg_cli.annotate.review import review
from gseg_cli.app import main
from gseg_cli.gan.load import load_generator, save_gan
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2, StyleGAN2Config
from gseg_cli.gan.sample import write_samples
from gseg_cli.picture_files import write_picture
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError

SIZE = 16
CONFIG = StyleGAN2Config(img_resolution=SIZE, channel_base=128, channel_max=16, z_dim=16, w_dim=16)
CLASSES = ClassMap.of_names(["background", "skin", "eyes"])
ANNOTATION_FILES = ["annotations.json", "latents.safetensors"]
IMPORTED_FILES = [*ANNOTATION_FILES, "preview"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Real samples of the seeds 0 to 11."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("samples")
    gan = folder / "gan.safetensors"
    save_gan(gan, StyleGAN2(CONFIG), Discriminator(CONFIG), {})
    return write_samples(load_generator(gan), gan, range(12), 0.7, folder / "samples")


@pytest.fixture
def project(samples, tmp_path):
    gan = samples.dir.parent / "gan.safetensors"
    return Project.create(tmp_path / "faces", classes=CLASSES, gan=str(gan))


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "drawn"
    folder.mkdir()
    return folder


def face(shift=0):
    """Half background, half skin, and eyes of 24 pixels."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[8:] = 1
    labels[4:8, 2 + shift : 8 + shift] = 2
    return labels


def draw(path, labels, mode="P"):
    image = Image.fromarray(labels)
    if mode == "P":
        image.putpalette([7, 8, 9] * 256)  # the colours mean nothing, the indices everything
    image.save(path)
    return path


def run(project, samples, source, *args):
    return main(["annotate-import", str(source), "--samples", str(samples.dir), "-C", str(project.dir), *args])


def import_pngs(source, samples, classes):
    names = Names(classes)
    kind, reading = read_source(source, names)
    assert kind == "label maps"
    return tie(reading, samples, names)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("mode", ["P", "L"])
def test_indexed_and_greyscale_pngs_are_read_exactly(samples, source, mode):
    labels = face()
    labels[0, 0] = 255
    draw(source / "000003.png", labels, mode)
    found = import_pngs(source, samples, CLASSES)
    assert found.failures == () and found.warnings == ()
    assert np.array_equal(found.annotations.labels, labels[None]) and found.annotations.seeds == (3,)


def test_a_black_and_white_png_means_classes_0_and_1(samples, source):
    labels = np.minimum(face(), 1)
    Image.fromarray(labels.astype(bool)).save(source / "3.png")
    with Image.open(source / "3.png") as image:
        assert image.mode == "1"
    assert np.array_equal(import_pngs(source, samples, CLASSES).annotations.labels[0], labels)


def test_few_colours_in_an_indexed_png_take_fewer_bits_and_are_read_all_the_same(samples, source):
    image = Image.fromarray(face())
    image.putpalette([7, 8, 9] * 4)
    image.save(source / "3.png", bits=2)
    assert (source / "3.png").read_bytes()[24] == 2
    assert np.array_equal(import_pngs(source, samples, CLASSES).annotations.labels[0], face())


@pytest.mark.parametrize(
    ("name", "seed"),
    [("000003.png", 3), ("3.PNG", 3), ("seed3_mask.png", 3), ("11.png", 11), ("000000.png", 0), ("2024-07-99.png", 7)],
)
def test_a_file_belongs_to_the_one_seed_in_its_name(samples, source, name, seed):
    draw(source / name, face())
    annotations = import_pngs(source / name, samples, CLASSES).annotations
    assert annotations.seeds == (seed,)
    assert np.array_equal(annotations.ws, samples.ws_of([seed]))
    assert (annotations.gan_sha256, annotations.truncation_psi) == (samples.gan_sha256, 0.7)


def bad_files():
    wrong_class = face()
    wrong_class[5, 5] = 3
    colour = np.full((SIZE, SIZE, 3), 200, np.uint8)
    return {
        "no seed": ("nose.png", face(), "L", "expected the seed of a sample in the name, it holds no number"),
        "unknown seed": ("000012.png", face(), "L", "expected the seed of a sample in the name, got 12"),
        "two seeds": ("3_v2.png", face(), "L", "the name contains the seeds of 2 samples, 2 and 3"),
        "size": ("4.png", face()[:, :12], "P", "expected 16x16 pixels like the samples, got 12x16"),
        "class": ("4.png", wrong_class, "P", "class index 3, but there are 3 classes"),
        "colour": ("4.png", colour, "RGB", "256 pixels are #c8c8c8, which is not the colour of any class"),
        "depth": ("4.png", np.full((SIZE, SIZE), 300, np.uint16), "L", "expected class indices up to 255, got 300"),
    }


@pytest.mark.parametrize("case", bad_files())
def test_a_bad_file_is_named_and_nothing_is_written(project, samples, source, capsys, case):
    name, pixels, mode, message = bad_files()[case]
    draw(source / "000000.png", face())
    draw(source / name, pixels, mode)
    assert run(project, samples, source) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {source / name}: ") and message in captured.err and "hint: " in captured.err
    assert captured.out == "" and "--partial" in captured.err
    assert names(project.annotations_dir) == []


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"x" * 40])
def test_a_broken_file_is_one_line(project, samples, source, capsys, content):
    (source / "3.png").write_bytes(content)
    assert run(project, samples, source) == 1
    assert capsys.readouterr().err.startswith(f"error: {source / '3.png'}: ")


def test_partial_takes_the_good_ones_and_says_so_with_code_3(project, samples, source, capsys):
    draw(source / "000000.png", face())
    draw(source / "000001.png", face()[:8])
    draw(source / "stray.png", face())
    assert run(project, samples, source, "--partial", "--json") == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] == "partial" and answer["data"]["seeds"] == [0]
    first, second = (error["message"] for error in answer["errors"])
    assert str(source / "stray.png") in first and str(source / "000001.png") in second
    assert names(project.annotations_dir) == ["000000.png", *IMPORTED_FILES]
    assert names(project.annotations_dir / "preview") == ["000000.png", "sheet.png"]


def test_partial_without_a_good_one_is_an_error_that_writes_nothing(project, samples, source, capsys):
    draw(source / "stray.png", face())
    assert run(project, samples, source, "--partial", "--json") == 1
    assert json.loads(capsys.readouterr().out)["status"] == "error"
    assert names(project.annotations_dir) == []


def test_two_files_for_one_sample_are_both_named_and_neither_is_taken(samples, source):
    draw(source / "000003.png", face())
    draw(source / "mask_3.png", face(shift=1))
    draw(source / "4.png", face())
    found = import_pngs(source, samples, CLASSES)
    (failure,) = found.failures
    assert str(source / "000003.png") in failure.message and str(source / "mask_3.png") in failure.message
    assert found.annotations.seeds == (4,)


def test_no_source_and_no_png_are_errors(project, samples, source, capsys):
    assert run(project, samples, source / "nothing") == 1
    assert "no such file or folder" in capsys.readouterr().err
    assert run(project, samples, source) == 1
    assert "an empty folder or zip, but no annotations" in capsys.readouterr().err


def test_files_that_are_no_pngs_are_left_out_with_a_word(samples, source):
    draw(source / "3.png", face())
    draw(source / "._3.png", face())  # what macOS leaves on other disks
    (source / "4.jpg").write_bytes(b"")
    (warning,) = import_pngs(source, samples, CLASSES).warnings
    assert "skipped 1 file without a label map" in warning and "4.jpg" in warning


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_class_indices_in_three_equal_channels_are_read_by_index_and_said(samples, source, mode):
    """By colour they would all be background: they differ from black by less than colours may drift."""
    labels = face()
    labels[0] = 255
    Image.fromarray(labels).convert(mode).save(source / "3.png")
    found = import_pngs(source, samples, CLASSES)
    assert np.array_equal(found.all().labels[0], labels)
    assert found.warnings == (
        f"{source / '3.png'}: class indices in three channels, so it is read by index, not by colour",
    )


def test_numbers_of_objects_saved_as_colours_are_an_error_that_tells_the_way(samples, source):
    """As Segments.ai and panoptic data sets have them. By colour nearly all of them would be a black background."""
    numbers = np.zeros((*face().shape, 4), np.uint8)
    numbers[..., 0], numbers[..., 3] = face(), 255
    Image.fromarray(numbers).save(source / "3.png")
    (failure,) = import_pngs(source, samples, CLASSES).failures
    assert "numbers of objects, saved as colours" in failure.message and "class indices" in failure.hint


def test_numbers_of_more_objects_than_a_byte_holds_are_told_alike(samples, source):
    numbers = np.zeros((*face().shape, 3), np.uint8)
    numbers[..., 0], numbers[:20, :, 1] = face(), 1  # 256 and up
    Image.fromarray(numbers).save(source / "3.png")
    (failure,) = import_pngs(source, samples, CLASSES).failures
    assert "numbers of objects, saved as colours" in failure.message


def test_reds_are_colours_where_a_class_is_red(samples, source):
    classes = ClassMap(("background", "skin", "eyes"), ((0, 0, 0), (255, 0, 0), (0, 255, 0)))
    Image.fromarray(np.stack([255 * (face() == 1)] + 2 * [0 * face()], -1).astype(np.uint8)).save(source / "3.png")
    found = import_pngs(source, samples, classes)
    assert not found.failures and np.array_equal(found.all().labels[0], face() == 1)


def test_a_mask_in_black_and_white_stays_one_where_these_are_class_colours(samples, source):
    classes = ClassMap(("background", "skin", "eyes"), ((0, 0, 0), (255, 255, 255), (1, 1, 1)))
    Image.fromarray(np.where(face() == 1, 255, 0).astype(np.uint8)).convert("RGB").save(source / "3.png")
    found = import_pngs(source, samples, classes)
    assert np.array_equal(found.all().labels[0], face() == 1) and found.warnings == ()


def test_white_that_is_no_class_colour_is_an_error_and_not_ignored(samples, source):
    Image.fromarray(np.where(face() == 1, 255, 0).astype(np.uint8)).convert("RGB").save(source / "3.png")
    (failure,) = import_pngs(source, samples, CLASSES).failures
    assert "#ffffff, which is not the colour of any class" in failure.message


def test_greys_that_are_class_indices_and_colours_of_other_classes_are_refused(samples, source):
    classes = ClassMap(("background", "skin", "eyes"), ((0, 0, 0), (255, 255, 255), (90, 0, 0)))
    labels = face()
    labels[0] = 255  # ignored, or skin
    Image.fromarray(labels).convert("RGB").save(source / "3.png")
    (failure,) = import_pngs(source, samples, classes).failures
    assert "value 255 is a class index, but its grey is the colour of another class" in failure.message


def test_a_mask_of_0_and_255_is_suspicious(samples, source):
    draw(source / "1.png", np.where(face() == 2, 255, 0).astype(np.uint8), "L")
    sparse = np.full((SIZE, SIZE), 255, np.uint8)
    sparse[:4, :4] = 1
    draw(source / "2.png", sparse, "L")
    first, second = import_pngs(source, samples, CLASSES).warnings
    assert first.startswith(f"{source / '1.png'}: only 0 (background) and 255 (ignore)")
    assert second == f"{source / '2.png'}: 94% of it is 255, which means ignore"


def test_the_command_shows_pixels_per_class_and_warnings(project, samples, source, capsys):
    few, none = face(), np.minimum(face(), 1)
    few[4:8] = 0
    few[4, 4:8] = 2
    draw(source / "5.png", few)
    draw(source / "2.png", none * 0 + 1)
    assert run(project, samples, source) == 0
    captured = capsys.readouterr()
    rows = {line.split()[1]: line.split()[3::2] for line in captured.out.splitlines() if len(line.split()) > 6}
    assert rows["eyes"][0] == "4" and rows["eyes"][2] == "1" and rows["skin"][0] == "384"
    assert "warning: class eyes: fewer than 20 pixels (4)\n" in captured.err
    assert "warning: class eyes: on one sample only, 000005.png\n" in captured.err
    assert "class skin" not in captured.err
    facts = json.loads((project.annotations_dir / "annotations.json").read_text())
    assert facts["pixels_per_class"] == {"background": 124, "skin": 384, "eyes": 4}
    assert (facts["seeds"], facts["source"], facts["classes"]) == ([2, 5], str(source), CLASSES.to_json())
    assert names(project.annotations_dir) == ["000002.png", "000005.png", *IMPORTED_FILES]


def annotations_of(samples, labels, seeds):
    return AnnotationSet(labels, samples.ws_of(seeds), seeds, CLASSES, samples.gan_sha256, samples.truncation_psi)


def test_a_class_nobody_drew_is_warned_about_once(samples):
    warnings = review(annotations_of(samples, np.stack([np.minimum(face(), 1)] * 2), (0, 1)))
    assert warnings == ["class eyes: not labelled anywhere, so it will never be predicted"]


def test_annotations_survive_the_disk(samples, tmp_path):
    labels = np.stack([face(), face(shift=4)])
    labels[1, 0] = 255
    written = annotations_of(samples, labels, (7, 2))
    written.save(tmp_path / "a", source="a test")
    loaded = AnnotationSet.load(tmp_path / "a")
    assert np.array_equal(loaded.labels, labels) and np.array_equal(loaded.ws, samples.ws_of([7, 2]))
    assert (loaded.seeds, loaded.classes) == ((7, 2), CLASSES)
    assert (loaded.gan_sha256, loaded.truncation_psi) == (samples.gan_sha256, 0.7)
    assert loaded.pixel_counts.tolist() == [[104, 128, 24], [88, 128, 24]]


def test_parts_that_do_not_fit_are_refused(samples):
    for labels, seeds in ((face()[None], (0, 1)), (np.stack([face()] * 2), (0, 0)), (face()[None] + 1, (0,))):
        with pytest.raises(GsegError, match="annotation"):
            annotations_of(samples, labels, seeds)
    with pytest.raises(GsegError, match="at least one seed"):
        annotations_of(samples, np.zeros((0, SIZE, SIZE), np.uint8), ())


def test_annotations_are_replaced_only_when_asked_and_never_after_edits_by_hand(samples, tmp_path):
    folder = tmp_path / "a"
    annotations_of(samples, face()[None], (0,)).save(folder, source="first")
    other = annotations_of(samples, face()[None], (1,))
    with pytest.raises(GsegError, match="not empty") as caught:
        other.save(folder, source="second")
    assert "--overwrite" in caught.value.hint
    other.save(folder, source="second", overwrite=True)
    assert names(folder) == ["000001.png", *ANNOTATION_FILES]
    draw(folder / "000001.png", face(shift=2))  # as a paint program saves it
    with pytest.raises(GsegError, match=r"000001\.png"):
        annotations_of(samples, face()[None], (0,)).save(folder, source="third", overwrite=True)
    assert np.array_equal(AnnotationSet.load(folder).labels[0], face(shift=2))


def test_annotations_stay_until_all_that_replaces_them_is_written(samples, tmp_path, monkeypatch):
    folder = tmp_path / "a"
    before = annotations_of(samples, np.stack([face(), face(shift=4)]), (0, 3))
    before.save(folder, source="first")

    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("gseg_cli.annotate.annotation_set.save_latents", stopped)
    with pytest.raises(KeyboardInterrupt):
        annotations_of(samples, face()[None], (1,)).save(folder, source="second", overwrite=True)
    assert np.array_equal(AnnotationSet.load(folder).labels, before.labels)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def two_and_one_more(samples):
    """Annotations, and these with another one, as --add joins them."""
    two = annotations_of(samples, np.stack([face(), face(shift=4)]), (0, 3))
    return two, two.joined(annotations_of(samples, face(shift=2)[None], (1,)))


def holds(folder, annotations):
    there = AnnotationSet.load(folder)
    return there.seeds == annotations.seeds and np.array_equal(there.labels, annotations.labels)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_ctrl_c_at_any_renaming_leaves_the_old_annotations_or_the_new_ones(samples, tmp_path, monkeypatch, is_done):
    two, three = two_and_one_more(samples)
    really = os.replace
    for number in count():
        two.save(tmp_path / "a", source="first", overwrite=True)
        calls = count()

        def stopped(path, target, number=number, calls=calls):
            is_its_turn = next(calls) == number
            if is_done or not is_its_turn:
                really(path, target)
            if is_its_turn:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stopped)
            patch.setattr(os, "rename", stopped)
            try:
                three.save(tmp_path / "a", source="second", overwrite=True)
            except KeyboardInterrupt:
                assert holds(tmp_path / "a", two) or holds(tmp_path / "a", three)
                continue
        break
    assert holds(tmp_path / "a", three) and number >= len(names(tmp_path / "a"))


def test_what_cannot_be_removed_costs_no_annotation(samples, tmp_path, monkeypatch):
    """As where preview/ belongs to another user."""
    two, three = two_and_one_more(samples)
    two.save(tmp_path / "a", source="first")
    write_picture(tmp_path / "a/preview/000000.png", np.zeros((8, 8, 3), np.uint8))
    really = Path.unlink

    def refused(path, missing_ok=False):
        if path.parent.name == "preview":
            raise PermissionError(13, "Permission denied", str(path))
        really(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(GsegError, match=r"preview/000000\.png"):
        three.save(tmp_path / "a", source="second", overwrite=True)
    assert holds(tmp_path / "a", three)


def test_the_source_is_not_overwritten_by_its_own_import(project, samples, capsys):
    annotations_of(samples, face()[None], (0,)).save(project.annotations_dir, source="first")
    assert run(project, samples, project.annotations_dir, "--overwrite") == 2
    assert names(project.annotations_dir) == ["000000.png", *ANNOTATION_FILES]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("000001.png", lambda path: path.unlink(), "000001.png: No such file"),
        ("000001.png", lambda path: draw(path, face()[:8]), "expected 16x16 pixels like the others, got 16x8"),
        ("000001.png", lambda path: draw(path, face() + 7), "class index 7, but there are 3 classes"),
        ("000005.png", lambda path: draw(path, face()), "000005.png: not listed in annotations.json"),
        ("latents.safetensors", lambda path: path.unlink(), "latents.safetensors: No such file"),
        ("latents.safetensors", lambda path: path.write_bytes(b"x" * 99), "not a safetensors file"),
        ("annotations.json", lambda path: path.unlink(), "no annotations.json in this folder"),
        ("annotations.json", lambda path: path.write_text("[]"), "expected an object of kind 'annotations', got list"),
        ("annotations.json", lambda path: edit(path, classes=[{"name": ""}]), "expected a name of printable"),
        ("annotations.json", lambda path: edit(path, gan={"sha256": None}), "gan: expected its sha256"),
        ("annotations.json", lambda path: edit(path, seeds=[0, -1]), "expected different whole numbers from 0"),
    ],
)
def test_a_damaged_folder_is_told_in_one_line(samples, tmp_path, name, damage, message):
    annotations_of(samples, np.stack([face()] * 2), (0, 1)).save(tmp_path, source="a test")
    damage(tmp_path / name)
    with pytest.raises(GsegError) as caught:
        AnnotationSet.load(tmp_path)
    assert message in caught.value.message and "\n" not in caught.value.message


def edit(path, **change):
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_annotations_are_imported_where_torch_is_not_installed(project, samples, source):
    draw(source / "3.png", face())
    code = "import sys; sys.modules['torch'] = None; from gseg_cli.app import main; sys.exit(main(sys.argv[1:]))"
    args = ["annotate-import", str(source), "--samples", str(samples.dir), "-C", str(project.dir)]
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert AnnotationSet.load(project.annotations_dir).seeds == (3,)
