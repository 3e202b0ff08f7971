"""Labelled photos come into training as `gseg segment` would see them, or are refused by name."""

import json
import shutil
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.checkpoint import read_meta
from gseg_cli.distill import labelled_photos as module
from gseg_cli.distill import stage
from gseg_cli.distill.config import (
    GEOMETRIES,
    DistillConfig,
    PairsConfig,
    StudentConfig,
    configure,
    usual_labelled_share,
)
from gseg_cli.distill.labelled_photos import about_labelled, classes_of, read_labelled, unlabelled_photos
from gseg_cli.distill.stage import resume_distill, run_distill
from gseg_cli.distill.student import load_student
from gseg_cli.distill.trainer import StudentTrainer, chunk_counts
from gseg_cli.gan.load import load_generator
from gseg_cli.project import Project
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import write_label_png
from tests.tiny import CLASSES, annotate, brightness_labels

CPU = torch.device("cpu")


def write_photo(folder, name, labels, classes=CLASSES):
    """A photo whose red says its class, and its mask."""
    for part in ("images", "masks"):
        (folder / part / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.repeat(labels[..., None] * 100, 3, axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
    write_label_png(folder / "masks" / f"{name}.png", labels, classes)


def test_photos_in_tiles_are_shown_piece_by_piece_and_of_very_many_pieces_some_of_each_photo(tmp_path, monkeypatch):
    labels = np.random.default_rng(0).integers(0, 3, (40, 64), np.uint8)
    write_photo(tmp_path, "large", labels)
    write_photo(tmp_path, "small", labels[:10, :12].copy())
    pairs = read_labelled(tmp_path, CLASSES, 16, tile=16)
    tiles, whole = pairs.first[:-1].numpy(), pairs.first[-1].numpy()  # the small photo fills its square alone
    assert len(tiles) == 4 * 7 and np.isin(tiles, labels).all() and (whole == IGNORE).any()
    assert (tiles[0] == labels[:16, :16]).all() and (tiles[-1] == labels[-16:, -16:]).all()
    assert (pairs.images[:-1, ..., 0].numpy() == tiles * 100).all()
    monkeypatch.setattr(module, "MOST_PIXELS", 10 * 16**2)
    few, again = (read_labelled(tmp_path, CLASSES, 16, tile=16).first for _ in range(2))
    assert len(few) == 5 + 1 and (few == again).all()
    assert all(any((one == tile).all() for tile in tiles) for one in few[:-1].numpy())


def test_of_many_photos_in_tiles_no_place_is_left_out(tmp_path, monkeypatch):
    """One of each, evenly spread, would be the upper left corner; every ninth of rows of nine is of one column."""
    for i in range(30):
        write_photo(tmp_path, f"{i:02d}", np.repeat(np.arange(5, dtype=np.uint8) // 2, 8)[None].repeat(40, axis=0))
    monkeypatch.setattr(module, "MOST_PIXELS", 30 * 16**2)
    first = read_labelled(tmp_path, CLASSES, 16, tile=16).first
    assert len(first) == 30 and {tuple(tile.unique().tolist()) for tile in first} == {(0,), (0, 1), (1,), (1, 2)}


def test_of_large_photos_no_more_is_kept_than_the_tiles_to_learn_from(tmp_path, monkeypatch):
    for i in range(12):
        write_photo(tmp_path, str(i), np.full((500, 500), i % 3, np.uint8))
    monkeypatch.setattr(module, "MOST_PIXELS", 24 * 16**2)
    read_labelled(tmp_path, CLASSES, 16, tile=16)
    tracemalloc.start()
    read_labelled(tmp_path, CLASSES, 16, tile=16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 500**2 * 4  # one photo with labels and what decoding takes; all twelve would be twice that


@pytest.fixture
def folder(tmp_path):
    labels = np.zeros((20, 10), np.uint8)
    labels[10:] = 1
    write_photo(tmp_path / "labelled", "a", labels)
    write_photo(tmp_path / "labelled", "deep/b", labels.T.copy())
    Image.new("RGB", (9, 9)).save(tmp_path / "labelled" / "images" / "unlabelled.jpg")
    return tmp_path / "labelled"


def test_photos_and_masks_stand_in_the_square_as_at_run_time(folder):
    pairs = read_labelled(folder, CLASSES, 16)
    assert pairs.images.shape == (2, 16, 16, 3)
    first = pairs.first[0]
    assert (first[:, :4] == 255).all() and (first[:8, 4:12] == 0).all() and (first[8:, 4:12] == 1).all()
    inside = first != 255
    assert (pairs.images[0][inside][:, 0] // 90 == first[inside]).all() and (pairs.images[0][~inside] == 128).all()
    assert (pairs.first[1][4:12, :8] == 0).all() and (pairs.share == 255).all()


def test_classes_are_matched_by_name_where_the_folder_names_them(folder):
    own = ClassMap.of_names(list(CLASSES.names[::-1]))
    (folder / "dataset.json").write_text(json.dumps({"classes": own.to_json()}))
    pairs = read_labelled(folder, CLASSES, 16)
    assert set(pairs.first.unique().tolist()) == {len(CLASSES) - 1, len(CLASSES) - 2, 255}
    (folder / "dataset.json").write_text(json.dumps({"classes": ClassMap.of_names(["sky", "wing"]).to_json()}))
    with pytest.raises(GsegError, match=r"class 'sky' is not one of dark, medium, light"):
        read_labelled(folder, CLASSES, 16)


def test_a_value_beyond_the_classes_that_the_folder_names_is_an_error(folder):
    (folder / "dataset.json").write_text(json.dumps({"classes": ClassMap.of_names(CLASSES.names[:1]).to_json()}))
    with pytest.raises(GsegError, match=r"a\.png: class index 1, but there are 1 classes"):
        read_labelled(folder, CLASSES, 16)


def test_masks_in_linked_folders_count(folder):
    (folder / "masks" / "deep").rename(folder.parent / "deep")
    (folder / "masks" / "deep").symlink_to(folder.parent / "deep")
    assert len(read_labelled(folder, CLASSES, 16)) == 2


@pytest.mark.parametrize("chunk", [2, 3, 16])
@pytest.mark.parametrize("shares", [[], [0.25], [0.71, 0.07], [0.33, 0.33], [0.94, 0.03]])
def test_every_source_has_its_share_of_small_chunks_too(shares, chunk):
    drawn = np.array([chunk_counts(shares, chunk, turn) for turn in range(1000)])
    assert (drawn >= 0).all() and (drawn.sum(axis=1) == chunk).all()
    most = max(len(shares), 1) / 2 / chunk if (drawn == drawn[0]).all() else 0.002  # as far as rounding goes
    assert np.abs(drawn.mean(axis=0) / chunk - [1 - sum(shares), *shares]).max() <= most


def write_mask(folder, labels):
    write_label_png(folder / "masks" / "a.png", labels.astype(np.uint8), CLASSES)


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (lambda f: (f / "images" / "a.png").unlink(), r"a\.png: no photo of this name"),
        (lambda f: [p.unlink() for p in (f / "masks").rglob("*.png")], "no label map"),
        (lambda f: Image.new("RGB", (10, 20)).save(f / "images" / "a.jpg"), r"a\.png: belongs to a.jpg and a.png"),
        (
            lambda f: shutil.copyfile(f / "masks" / "a.png", f / "masks" / "a.PNG"),
            r"a\.(png|PNG): another mask has this name",
        ),
        (lambda f: (f / "masks").rename(f / "labels"), "masks: no such folder"),
        (
            lambda f: write_mask(f, np.zeros((10, 20))),
            "20 x 10 pixels, but",
        ),
        (lambda f: write_mask(f, np.full((20, 10), 9)), r"a\.png.*index 9"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(folder, harm, match):
    harm(folder)
    with pytest.raises(GsegError, match=match):
        read_labelled(folder, CLASSES, 16)


def test_a_mask_may_have_its_ending_in_capitals(folder):
    before = read_labelled(folder, CLASSES, 16)
    (folder / "masks" / "a.png").rename(folder / "masks" / "a.PNG")
    after = read_labelled(folder, CLASSES, 16)
    assert torch.equal(before.images, after.images) and torch.equal(before.first, after.first)


@pytest.mark.parametrize(("share", "expected"), [(None, [6, 2, 8]), (0.25, [9, 3, 4])])
def test_two_photos_are_half_of_each_step_unless_told_and_samples_share_the_rest(folder, share, expected):
    photos = read_labelled(folder, CLASSES, 16)
    pairs, annotated = (replace(photos, images=torch.full_like(photos.images, value)) for value in (7, 9))
    config = DistillConfig(student="tiny", batch=16, labelled_share=share)
    drawn = StudentTrainer(pairs, CLASSES, config, CPU, annotated=annotated, labelled=photos)._draw(0)
    of_samples = [int((drawn.images == value).flatten(1).all(dim=1).sum()) for value in (7, 9)]
    assert [*of_samples, 16 - sum(of_samples)] == expected


def test_the_more_labelled_photos_there_are_the_more_of_a_step_is_theirs():
    assert [round(usual_labelled_share(count), 2) for count in (1, 2, 5, 100)] == [0.33, 0.5, 0.71, 0.98]


def test_what_knows_imagenet_learns_from_labelled_photos_of_any_framing_unless_told():
    def geometry(**given):
        return configure({"student": "lite0", **given}).train.augment

    paper, aligned = GEOMETRIES["paper"], GEOMETRIES["aligned"]
    assert geometry(labelled="photos") == paper
    assert geometry(labelled="photos", colour=0.5) == replace(paper, colour=0.5)
    assert geometry() == geometry(labelled="photos", geometry="aligned") == aligned
    assert geometry(labelled="photos", student="default") == aligned


SMALL = DistillConfig(student="tiny", steps=3, batch=4)


def test_a_student_of_labelled_photos_names_them_and_resumes_only_with_the_same(
    tiny_gan, teacher, tmp_path, folder, monkeypatch
):
    monkeypatch.setattr(stage, "NUM_HELD_OUT", 4)
    config = StudentConfig(pairs=PairsConfig(count=6), train=SMALL, labelled=str(folder))
    done = run_distill(tiny_gan, teacher, config, tmp_path / "runs", CPU)
    assert "2 labelled photos" in (done.run / "log.txt").read_text()
    assert [parent["kind"] for parent in read_meta(done.checkpoint)["parents"]] == ["fewshot", "gan", "labelled-photos"]
    done.checkpoint.unlink()
    again = resume_distill({"labelled": str(folder)}, tmp_path / "runs", CPU)
    assert again.held_out_miou == done.held_out_miou
    write_photo(folder, "c", np.zeros((8, 8), np.uint8))
    with pytest.raises(GsegError, match="not the photos and masks that the run was started with"):
        resume_distill({}, tmp_path / "runs", CPU)


def test_a_pretrained_student_of_labelled_photos_segments_larger_pictures(
    tiny_gan, teacher, tmp_path, folder, monkeypatch
):
    monkeypatch.setattr(stage, "NUM_HELD_OUT", 4)
    train = DistillConfig(student="lite0", steps=1, batch=2, input_size=128, augment=GEOMETRIES["paper"])
    config = StudentConfig(pairs=PairsConfig(count=4), train=train, labelled=str(folder))
    done = run_distill(tiny_gan, teacher, config, tmp_path / "runs", CPU)
    assert load_student(done.checkpoint)[0].config.input_size == 160


def test_a_run_of_a_project_that_was_moved_since_finds_its_files_again(tiny_gan, tmp_path, folder, monkeypatch):
    monkeypatch.setattr(stage, "NUM_HELD_OUT", 4)
    monkeypatch.chdir(tmp_path)
    here = Path("project")
    Project.create(here, classes=CLASSES, gan=str(tiny_gan))
    shutil.copyfile(tiny_gan, here / "gan.safetensors")
    folder.rename(here / "labelled")
    generator = load_generator(tiny_gan)
    annotations = annotate(generator, [0], brightness_labels(generator, [0]), sha256_file(tiny_gan))
    annotations.save(here / "annotations", source="a test")
    how = ["--gan", "project/gan.safetensors", "--device", "cpu"]
    assert main(["-C", "project", "fewshot-train", *how, "--steps", "5"]) == 0
    begin = ["--labelled", "project/labelled", "--student", "tiny", "--steps", "3", "--batch", "4", "--pairs", "6"]
    assert main(["-C", "project", "distill", *how, *begin]) == 0
    here.rename("moved")
    monkeypatch.chdir("moved")
    student = Path("runs/0002-distill/checkpoint.safetensors")
    student.unlink()
    assert main(["distill", "--resume", "--device", "cpu"]) == 0 and student.is_file()


def test_a_share_of_labelled_photos_without_any_is_wrong_usage(capsys):
    assert main(["distill", "--labelled-share", "0.5"]) == 2
    assert "hint: add --labelled DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (lambda f: (f / "masks" / "a.png").write_bytes(b"no mask"), r"a\.png"),
        (lambda f: (f / "dataset.json").write_text('{"classes": ["a"]}'), r"dataset\.json: classes"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_made(tiny_gan, teacher, tmp_path, folder, harm, match):
    harm(folder)
    config = StudentConfig(pairs=PairsConfig(count=6), train=SMALL, labelled=str(folder))
    with pytest.raises(GsegError, match=match):
        run_distill(tiny_gan, teacher, config, tmp_path / "runs", CPU)
    assert not (tmp_path / "runs").exists()


def test_photos_without_a_mask_are_named_and_masks_that_say_little(folder):
    assert [path.name for path in unlabelled_photos(folder)] == ["unlabelled.jpg"]
    (warning,) = about_labelled(folder)
    assert warning.startswith("photos without a mask are left out: 1, for example ") and warning.endswith(
        "unlabelled.jpg"
    )
    labels = np.full((20, 10), 255)
    labels[:9] = 1
    write_mask(folder, labels)
    assert about_labelled(folder)[1].startswith(
        "masks that label less than 50% of the photo, and the rest teaches nothing: 1,"
    )


def test_a_mask_belongs_to_its_photo_however_their_accents_are_written(folder):
    """A Mac takes them apart, and its zips carry that elsewhere."""
    (folder / "images" / "a.png").rename(folder / "images" / "\u00e9t\u00e9.png")
    (folder / "masks" / "a.png").rename(folder / "masks" / "e\u0301te\u0301.png")
    assert len(read_labelled(folder, CLASSES, 16).images) == 2


def test_a_mask_whose_palette_a_paint_program_sorted_is_told_of(folder):
    """It looks the same, and each of its two classes is the other."""
    first, second = folder / "masks" / "a.png", folder / "masks" / "deep" / "b.png"
    assert not [text for text in about_labelled(folder) if "in another order" in text]
    with Image.open(second) as mask:
        shown, anew = mask.convert("RGB"), mask.point(lambda value: 1 - value)
        colors = mask.getpalette()
    anew.putpalette([*colors[3:6], *colors[:3], *colors[6:]])
    assert np.array_equal(anew.convert("RGB"), shown)
    anew.save(second)
    (told,) = (text for text in about_labelled(folder) if "in another order" in text)
    assert told.startswith(f"{first} and {second}: the same colours stand in their palettes in another order, so index")


def test_a_palette_that_ends_in_half_a_colour_is_read_as_far_as_it_goes(folder):
    mask = folder / "masks" / "a.png"
    data = mask.read_bytes()
    start = data.index(b"PLTE") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    palette = b"PLTE" + data[start + 8 : start + 15]  # two colours, and a byte
    crc = zlib.crc32(palette).to_bytes(4)
    mask.write_bytes(data[:start] + (7).to_bytes(4) + palette + crc + data[end:])
    assert len(about_labelled(folder)) == 1  # of the photo without a mask


@pytest.mark.parametrize(("orientation", "is_told"), [(1, False), (3, True), (6, False)])
def test_masks_of_photos_that_lie_upside_down_in_their_files_are_doubted(folder, orientation, is_told):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = folder / "images" / "a.png"
    with Image.open(photo) as image:
        upright = image.copy()
    upright.save(photo, exif=exif)
    told = [text for text in about_labelled(folder) if "upside down" in text]
    assert len(told) == is_told and all(f": 1, for example {photo}; look whether" in text for text in told)
    (folder / "dataset.json").write_text(json.dumps({"classes": CLASSES.to_json()}))  # as gseg label leaves it
    assert not [text for text in about_labelled(folder) if "upside down" in text]


@pytest.mark.parametrize("foreign", [{"labels": {"background": 0, "skin": 1}}, {"labels": [["a.png", 0]]}, []])
def test_a_dataset_json_of_another_program_is_passed_over_and_said(folder, foreign):
    (folder / "dataset.json").write_text(json.dumps(foreign))
    expected = read_labelled(folder, CLASSES, 16)
    assert len(expected.images) == 2 and classes_of(folder) is None
    assert f"{folder / 'dataset.json'}: names no classes as gseg does, and is passed over" in about_labelled(folder)


def test_black_and_white_masks_are_doubted(folder):
    labels = np.zeros((20, 10))
    labels[:5] = 255
    write_mask(folder, labels)
    assert about_labelled(folder)[1].startswith(
        "masks of only 0 (background) and 255 (ignored), where a class is drawn"
    )


def test_masks_in_colours_are_told_of_the_import(folder):
    Image.new("RGB", (10, 20)).save(folder / "masks" / "a.png")
    with pytest.raises(GsegError, match="expected a label map") as caught:
        read_labelled(folder, CLASSES, 16)
    assert caught.value.hint and "annotate-import --photos" in caught.value.hint
