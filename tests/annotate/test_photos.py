"""gseg annotate-import --photos: labelled photos become annotations that a teacher learns from."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.annotate.annotation_set import FIRST_PHOTO, AnnotationSet
from gseg_cli.annotate.photo_masks import read_photo_masks
from gseg_cli.app import main
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.stage import run_fewshot_train
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.inversion import drawn_samples as sampled
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.label.lock import FolderLock
from gseg_cli.project import Project
from gseg_runtime.errors import GsegError
from gseg_runtime.files import INCOMPLETE, TEMPORARY_PREFIX
from gseg_runtime.label_map import read_label_png, write_label_png
from tests.tiny import CLASSES, brightness_labels

NAMES = ["anna", "bert", "carl"]


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(sampled, "MAX_SAMPLES", 256)


@pytest.fixture
def project(tiny_gan, tmp_path):
    """With photos/ and drawn/ beside it: images of the GAN, carl.jpg half as high, and label maps of their names."""
    generator = load_generator(tiny_gan)
    ws = ws_for_seeds(generator, range(9000, 9003), 1.0)
    images = to_uint8(generator.synthesis(ws)).numpy()
    labels = brightness_labels(generator, list(range(9000, 9003)))
    (tmp_path / "photos").mkdir()
    for name, image, drawn in zip(NAMES, images, labels, strict=True):
        size = (32, 16) if name == "carl" else (32, 32)
        Image.fromarray(image).resize(size, Image.Resampling.BOX).save(tmp_path / f"photos/{name}.jpg", quality=95)
        rows = drawn[::2] if name == "carl" else drawn
        write_label_png(tmp_path / f"drawn/{name}.png", rows, CLASSES)
    return Project.create(tmp_path / "project", classes=CLASSES, gan=str(tiny_gan))


@pytest.fixture
def run(project, tmp_path):
    def run(*args, source=None):
        return main(["annotate-import", str(source or tmp_path / "drawn"), "-C", str(project.dir), *args])

    def photos(*args, **kwargs):
        return run("--photos", str(tmp_path / "photos"), "--steps", "10", "--device", "cpu", *args, **kwargs)

    return run, photos


def test_labelled_photos_become_annotations_with_latents_and_a_sheet(run, project, tiny_gan, capsys):
    assert run[1]("--json") == 0
    data = json.loads(capsys.readouterr().out)["data"]
    found = AnnotationSet.load(project.annotations_dir)
    assert found.photos == {FIRST_PHOTO + i: f"{name}.jpg" for i, name in enumerate(NAMES)}
    assert found.labels.shape == (3, 16, 16) and not found.has_samples
    carl = found.labels[2]
    assert (carl[:4] == 255).all() and (carl[12:] == 255).all() and (carl[4:12] < 3).all()
    with Image.open(project.annotations_dir / "preview/photos.png") as sheet:
        assert sheet.height > 3 * 192 and sheet.width > 4 * 192
    assert [fit["name"] for fit in data["photos"]] == [f"{name}.jpg" for name in NAMES]
    # The error that is told is that of the image which the stored latent makes.
    with torch.no_grad():
        drawn = to_uint8(load_generator(tiny_gan).synthesis(torch.from_numpy(found.ws[:1]))).numpy()[0]
    with Image.open(project.dir.parent / "photos/anna.jpg") as photo:
        small = np.asarray(photo.resize((16, 16), Image.Resampling.BILINEAR), np.float32)
    assert data["photos"][0]["error"] == pytest.approx(np.sqrt(np.square(drawn - small).mean()), rel=1e-3)


def test_a_bad_fit_is_left_out_by_name_or_by_its_error(run, project, capsys):
    assert run[1]("--leave-out", "bert", "--json") == 0
    data = json.loads(capsys.readouterr().out)["data"]
    errors = {fit["name"]: fit["error"] for fit in data["photos"]}
    assert sorted(errors) == ["anna.jpg", "carl.jpg"]
    limit = sum(errors.values()) / 2
    worse = max(errors, key=lambda name: errors[name])
    assert run[1]("--leave-out", "bert.jpg", "--max-error", str(limit), "--overwrite") == 0
    assert f"warning: {worse}: left out, error" in capsys.readouterr().err
    assert list(AnnotationSet.load(project.annotations_dir).photos.values()) == [min(errors, key=errors.__getitem__)]
    assert run[1]("--max-error", "0.001", "--overwrite") == 1
    assert "no photo is left" in capsys.readouterr().err
    assert len(AnnotationSet.load(project.annotations_dir).photos) == 1  # still there
    assert run[1]("--leave-out", "dora", "--overwrite") == 2 and "no photo dora" in capsys.readouterr().err


def test_photos_join_samples_and_a_teacher_learns_from_both(run, project, tiny_gan, tmp_path):
    generator = load_generator(tiny_gan)
    assert main(["sample", "-C", str(project.dir), "--seeds", "0-3", "--truncation-psi", "1"]) == 0
    write_label_png(tmp_path / "of-sample/000002.png", brightness_labels(generator, [2])[0], CLASSES)
    assert run[0](source=tmp_path / "of-sample") == 0
    assert run[1]("--add", "--leave-out", "carl") == 0
    found = AnnotationSet.load(project.annotations_dir)
    assert found.seeds == (2, FIRST_PHOTO, FIRST_PHOTO + 1) and found.truncation_psi == 1
    assert run[1]("--add", "--leave-out", "anna") == 0  # bert is replaced, carl is new
    again = AnnotationSet.load(project.annotations_dir)
    assert sorted(again.photos.items()) == [(FIRST_PHOTO + i, f"{name}.jpg") for i, name in enumerate(NAMES)]
    assert (project.annotations_dir / "preview/000002.png").is_file()
    config = FewshotConfig(steps=3, pixels=64)
    done = run_fewshot_train(tiny_gan, project.annotations_dir, config, project.runs_dir, torch.device("cpu"))
    assert done.annotations == 4
    other = AnnotationSet(found.labels, found.ws, found.seeds, found.classes, "1" * 64, 1.0)
    with pytest.raises(GsegError, match="another one"):
        again.joined(other)


def test_a_drawing_of_another_shape_or_no_photo_stops_before_the_long_work(run, project, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "gseg_cli.gan.inversion.inverter.Inverter.load", lambda *args, **kwargs: pytest.fail("inverted")
    )
    write_label_png(tmp_path / "drawn/anna.png", np.zeros((32, 16), np.uint8), CLASSES)
    write_label_png(tmp_path / "drawn/emil.png", np.ones((32, 32), np.uint8), CLASSES)
    assert run[1]() == 1
    error = capsys.readouterr().err
    assert "anna.png: 16x32 pixels, but anna.jpg is displayed with 32x32" in error
    assert "emil.png: expected the name of one photo" in error and not any(project.annotations_dir.iterdir())
    assert run[1]("--space", "f") == 2 and "'f' is not one of 'w', 'w+'" in capsys.readouterr().err


def test_a_label_map_of_a_phone_photo_that_was_not_turned_is_told_to_be_turned(run, project, tmp_path, capsys):
    exif = Image.Exif()
    exif[0x112] = 6  # the camera was held upright, and stored the photo on its side
    Image.new("RGB", (32, 16)).save(tmp_path / "photos/carl.jpg", exif=exif)
    assert run[1]() == 1
    said = capsys.readouterr().err
    assert "carl.png: 16x8 pixels, but carl.jpg is displayed with 16x32" in said
    assert "turn it as a viewer shows the photo" in said


def as_they_are(run, tmp_path, *args, **kwargs):
    return run[0]("--photos", str(tmp_path / "photos"), "--no-invert", *args, **kwargs)


def test_photos_that_are_not_inverted_lie_beside_their_label_maps_and_teach_a_student(run, project, tmp_path, capsys):
    (tmp_path / "photos" / "nobody-drew-on-me.jpg").write_bytes((tmp_path / "photos/anna.jpg").read_bytes())
    assert as_they_are(run, tmp_path, "--leave-out", "bert", "--json") == 0
    assert json.loads(capsys.readouterr().out)["data"]["photos"] == ["anna.jpg", "carl.jpg"]
    labelled = project.dir / "labelled"
    for name in ("anna", "carl"):
        copy, photo = labelled / f"images/{name}.jpg", tmp_path / f"photos/{name}.jpg"
        assert copy.read_bytes() == photo.read_bytes()
        drawn = read_label_png(tmp_path / f"drawn/{name}.png")
        assert np.array_equal(read_label_png(labelled / f"masks/{name}.png"), drawn)
    assert len(list((labelled / "images").iterdir())) == 2 and not any(project.annotations_dir.iterdir())
    small = ["--student", "tiny", "--input-size", "16", "--steps", "1", "--batch", "2", "--device", "cpu"]
    assert main(["-C", str(project.dir), "student-train", str(labelled), *small]) == 0


@pytest.mark.parametrize("place", ["images/", ""])
def test_masks_below_the_photos_folder_are_not_taken_for_the_photos(run, project, tmp_path, place):
    for name in NAMES:
        photo, drawn = tmp_path / f"set/{place}{name}.png", tmp_path / f"set/masks/{name}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.open(tmp_path / f"photos/{name}.jpg").save(photo)
        write_label_png(drawn, read_label_png(tmp_path / f"drawn/{name}.png"), CLASSES)
    assert run[0]("--photos", str(tmp_path / "set"), "--no-invert", source=tmp_path / "set/masks") == 0
    copied = [project.dir / f"labelled/images/{place}{name}.png" for name in NAMES]
    assert sorted((project.dir / "labelled/images").rglob("*.png")) == copied
    assert copied[0].read_bytes() == (tmp_path / f"set/{place}anna.png").read_bytes()


def test_an_import_of_photos_as_they_are_counts_classes_and_tells_what_follows(run, project, tmp_path, capsys):
    for name in ("bert", "carl"):
        drawn = tmp_path / f"drawn/{name}.png"
        write_label_png(drawn, np.zeros_like(read_label_png(drawn)), CLASSES)
    assert as_they_are(run, tmp_path) == 0
    out, err = capsys.readouterr()
    assert "label maps: 3 labelled photos" in out and "ignored" in out
    assert "on one photo only, anna.jpg" in err
    assert err.splitlines()[-1] == f"next: gseg -C {project.dir} student-train {project.dir / 'labelled'}"


def test_labelled_photos_are_written_anew_only_when_asked_and_other_files_stay(run, project, tmp_path, capsys):
    assert as_they_are(run, tmp_path) == 0
    assert as_they_are(run, tmp_path) == 1 and "use --overwrite" in capsys.readouterr().err
    assert as_they_are(run, tmp_path, "--overwrite", "--leave-out", "anna") == 0
    assert not (project.dir / "labelled/images/anna.jpg").exists()
    mine = project.dir / "labelled/images/mine.jpg"
    mine.write_bytes(b"")
    assert as_they_are(run, tmp_path, "--overwrite") == 1
    assert mine.exists() and "did not write, for example mine.jpg" in capsys.readouterr().err


def test_photos_that_are_not_inverted_are_checked_like_others(run, project, tmp_path, capsys):
    write_label_png(tmp_path / "drawn/anna.png", np.zeros((32, 16), np.uint8), CLASSES)
    assert as_they_are(run, tmp_path) == 1
    assert "anna.png: 16x32 pixels, but anna.jpg is displayed with 32x32" in capsys.readouterr().err
    assert not (project.dir / "labelled").exists()
    assert as_they_are(run, tmp_path, "--partial") == 3
    assert [path.name for path in sorted((project.dir / "labelled/masks").iterdir())] == ["bert.png", "carl.png"]
    assert run[0]("--no-invert") == 2 and "hint: add --photos DIR" in capsys.readouterr().err
    assert as_they_are(run, tmp_path, "--add") == 2
    inside = tmp_path / "photos/out"
    assert as_they_are(run, tmp_path, "--partial", "-o", str(inside)) == 1
    assert "inside the input" in capsys.readouterr().err


def test_what_was_painted_is_not_overwritten_while_label_runs_nor_in_silence(run, project, tmp_path, capsys):
    assert as_they_are(run, tmp_path) == 0
    lock = FolderLock(project.label_dir)
    assert as_they_are(run, tmp_path, "--overwrite") == 1 and "in use by process" in capsys.readouterr().err
    lock.release()
    assert as_they_are(run, tmp_path, "--overwrite", "--leave-out", "anna") == 0
    assert "labelled photos are gone that this import lacks: 1, for example anna.jpg" in capsys.readouterr().err


def test_a_half_written_folder_is_refused_by_who_reads_it_and_mended_by_another_import(run, project, tmp_path, capsys):
    assert as_they_are(run, tmp_path) == 0
    (project.dir / "labelled" / INCOMPLETE).touch()
    assert main(["-C", str(project.dir), "student-train", str(project.dir / "labelled")]) == 1
    assert "labelled: left unfinished by an interrupted command" in capsys.readouterr().err
    assert as_they_are(run, tmp_path, "--overwrite") == 0
    assert not (project.dir / "labelled" / INCOMPLETE).exists()


def test_options_of_the_inversion_are_refused_without_it(run, tmp_path, capsys):
    assert as_they_are(run, tmp_path, "--max-error", "3") == 2
    assert "--max-error and --no-invert cannot be used together" in capsys.readouterr().err


def test_litter_and_halves_of_files_do_not_stop_another_import(run, project, tmp_path):
    assert as_they_are(run, tmp_path) == 0
    for name in (".DS_Store", f"{TEMPORARY_PREFIX}abc.jpg"):
        (project.dir / "labelled" / "images" / name).touch()
    assert as_they_are(run, tmp_path, "--overwrite") == 0


def test_masks_that_become_others_are_told_of(run, project, tmp_path, capsys):
    assert as_they_are(run, tmp_path) == 0
    write_label_png(project.dir / "labelled/masks/bert.png", np.full((16, 16), 2, np.uint8), CLASSES)
    assert as_they_are(run, tmp_path, "--overwrite") == 0
    assert "--overwrite: masks are replaced by others: 1, for example bert.jpg" in capsys.readouterr().err


def test_an_import_that_is_refused_adds_no_class(run, project, tmp_path, capsys):
    assert as_they_are(run, tmp_path) == 0
    before = (project.dir / "gseg.toml").read_text()
    (project.dir / "labelled/images/mine.jpg").touch()
    shape = {"label": "wing", "points": [[0, 0], [20, 0], [20, 20]], "shape_type": "polygon"}
    drawing = {"version": "5", "shapes": [shape], "imagePath": "anna.jpg", "imageHeight": 32, "imageWidth": 32}
    (tmp_path / "labelme").mkdir()
    (tmp_path / "labelme/anna.json").write_text(json.dumps(drawing))
    assert as_they_are(run, tmp_path, "--overwrite", "--yes", source=tmp_path / "labelme") == 1
    assert "did not write, for example mine.jpg" in capsys.readouterr().err
    assert (project.dir / "gseg.toml").read_text() == before
    (project.dir / "labelled/images/mine.jpg").unlink()
    assert as_they_are(run, tmp_path, "--overwrite", "--yes", source=tmp_path / "labelme") == 0
    assert "wing" in (project.dir / "gseg.toml").read_text()


def test_label_maps_of_large_photos_do_not_all_lie_in_memory_until_they_are_written(tmp_path):
    """Eight of 2.25 MB, of which painting one takes nine times as much."""
    (tmp_path / "photos").mkdir()
    corners = [[0, 0], [1500, 0], [700, 1500]]
    for i in range(8):
        Image.new("RGB", (1500, 1500)).save(tmp_path / f"photos/{i}.jpg")
        drawing = {"imagePath": f"{i}.jpg", "imageWidth": 1500, "imageHeight": 1500}
        shapes = [{"label": "light", "shape_type": "polygon", "points": corners}]
        (tmp_path / f"{i}.json").write_text(json.dumps({**drawing, "shapes": shapes}))
    how = {"mapping": {}, "unlabelled": 0, "line_width": 1.0, "may_add": lambda new: False}
    tracemalloc.start()
    found = read_photo_masks(tmp_path, tmp_path / "photos", CLASSES, **how)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.maps) == 8 and found.maps[FIRST_PHOTO].unpacked()[750, 700] == CLASSES.names.index("light")
    assert peak < 12 * 1500**2, peak / 1500**2
