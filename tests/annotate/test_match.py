"""Each drawing is tied to its sample: by the names tools give pictures, else by what the picture shows."""

import io

import numpy as np
import pytest
from PIL import Image

from gseg_cli.annotate.match import match_seed
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.photo_folder import PhotoFolder, PhotoMatcher
from gseg_cli.annotate.recognise import read_source
from gseg_runtime.errors import GsegError
from tests.annotate.exports import CLASSES, b64, box, coco, labelme, labels_of, load, png, write

SKIN = ("skin", "rectangle", [[0, 0], [32, 32]])


@pytest.mark.parametrize(
    "name",
    [
        "000003.png",
        "000003.jpg",
        "samples/000003.png",
        "..\\samples\\000003.PNG",
        "C:\\Users\\me\\faces 2\\000003.png",
        "file:///home/me/faces%202/000003.png",
        "https://host:8080/bucket-12/000003.png?X-Amz-Date=20261122T000007Z&n=4",
        "s3://bucket/7/000003.png",
        "/data/upload/1/3f2a1b4c-000003.png",
        "/data/upload/12/03040506-000003.png",
        "/data/local-files/?d=faces%2F4%2F000003.png",
        "/tasks/12/resolve/?fileuri=czM6Ly9idWNrZXQvNy8wMDAwMDMucG5n",  # s3://bucket/7/000003.png
        "000003_png.rf.5f3e2a7c9d01.jpg",
        "000003 (1).png",
        "000003_mask.png",
        "mask-000003-v2.png",
        "000003.png.json",
        "seed3.png",
        "3.png",
        "1b2f7a2e-0004-4f1a-9c1a-000000000012-000003.png",
    ],
)
def test_a_name_is_understood_in_every_form_tools_write_it(name):
    assert match_seed(name, range(10), "export") == 3


@pytest.mark.parametrize(("name", "got"), [("nose.png", "no number"), ("000012.png", "got 12"), ("3_4.png", "3 and 4")])
def test_a_name_that_fits_no_sample_or_two_is_an_error(name, got):
    with pytest.raises(GsegError, match=got):
        match_seed(name, range(10), "export")


@pytest.fixture
def photo_called(tmp_path):
    """The photo that a drawing of this name is matched to, in a folder of photos of these names."""

    def called(name, *photos):
        for photo in photos:
            write(tmp_path / photo, b"")
        folder = PhotoFolder.of(tmp_path)
        return folder.name(PhotoMatcher(folder).by_name(name, "drawing"))

    return called


@pytest.mark.parametrize(
    "name", ["anna.png", "a/anna.json", "3f2a1b4c-anna.jpg", "03040506-anna.jpg", "C:\\x\\anna.bmp"]
)
def test_a_photo_is_known_by_its_name_in_whatever_form(photo_called, name):
    assert photo_called(name, "anna.jpg", "bert.jpg") == "anna.jpg"


@pytest.mark.parametrize(
    "name", ["anna_mask.png", "anna_Mask.png", "anna-label.png", "anna.gt.png", "mask_anna.png", "anna_seg.png"]
)
def test_a_photo_is_known_by_the_name_of_its_mask(photo_called, name):
    assert photo_called(name, "anna.jpg", "bert.jpg") == "anna.jpg"
    assert photo_called(name, "anna.jpg", name) == name


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("001_image.png", "001_annotation.png"),
        ("image_7.jpg", "mask_7.png"),
        ("plot-3-RGB.tif", "plot-3-gt.png"),
        ("IMG 12.jpg", "12 ground truth.png"),
    ],
)
def test_a_photo_whose_name_calls_it_an_image_is_known_by_that_of_its_mask(tmp_path, photo, mask):
    folder = PhotoFolder(tmp_path, (tmp_path / "00.jpg", tmp_path / photo, tmp_path / "other_image.png"))
    assert PhotoMatcher(folder).by_name(mask, mask) == folder.seeds[1]
    twice = PhotoFolder(tmp_path, (tmp_path / photo, tmp_path / "deep" / photo))
    with pytest.raises(GsegError, match="expected the name of one photo"):
        PhotoMatcher(twice).by_name(mask, mask)


@pytest.mark.parametrize("name", ["mask.png", "annamask.png", "mask_anna_mask.png"])
def test_no_more_than_one_word_for_masks_is_taken_off_a_name(photo_called, name):
    with pytest.raises(GsegError, match="is none"):
        photo_called(name, "anna.jpg")


@pytest.mark.parametrize("date", ["20240101", "19991231", "31121999", "12312024"])
def test_a_date_before_a_name_is_no_prefix_of_label_studio(photo_called, date):
    with pytest.raises(GsegError, match=f"'{date}-anna' is none"):
        photo_called(f"{date}-anna.jpg", "anna.jpg")


@pytest.mark.parametrize("name", ["20240101-anna.jpg", "3f2a1b4c-anna.jpg", "50%20anna.jpg", "anna.rf.abc.jpg"])
def test_the_photo_of_exactly_the_name_goes_before_others(photo_called, name):
    assert photo_called(name, name, "anna.jpg", "50 anna.jpg") == name


@pytest.mark.parametrize(("name", "photo"), [("Zo\u00e9.png", "Zoe\u0301.jpg"), ("Zoe\u0301.png", "Zo\u00e9.jpg")])
def test_accents_of_a_name_may_be_written_in_two_ways(photo_called, name, photo):
    assert photo_called(name, photo) == photo


@pytest.mark.parametrize("photo", ["3.jpg", "00003.jpg", "000003.png"])
def test_masks_of_celebamask_hq_fit_photos_with_and_without_zeros_before_the_number(tmp_path, photo):
    write(tmp_path / "photos" / photo, b"")
    write(tmp_path / "photos/13.jpg", b"")
    write(tmp_path / "masks/00003_hair.png", png(box(64, 0, 0, 9, 9, 255)))
    (drawing,) = read_source(tmp_path / "masks", Names(CLASSES))[1].drawings
    folder = PhotoFolder.of(tmp_path / "photos")
    assert folder.name(PhotoMatcher(folder).seed_of(drawing)) == photo


def picture(samples, seed, size=64, quality=None):
    image = Image.open(samples.image_path(seed)).resize((size, size), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, *(("JPEG",) if quality else ("PNG",)), quality=quality or 0)
    return buffer.getvalue()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("size", "quality"), [(64, None), (64, 60), (200, None), (48, 80)])
def test_a_picture_of_any_name_is_known_by_its_content(ten_samples, tmp_path, seed, size, quality):
    drawn = labelme(SKIN, path="holiday.jpg", size=size, imageData=b64(picture(ten_samples, seed, size, quality)))
    _, found = load(write(tmp_path / "holiday.json", drawn), ten_samples, CLASSES)
    assert found.all().seeds == (seed,)


def test_the_pictures_beside_the_annotations_are_looked_at(ten_samples, tmp_path):
    write(tmp_path / "annotations/instances.json", coco({"bbox": [0, 0, 9, 9]}, name="a/portrait.png"))
    write(tmp_path / "images/portrait.png", picture(ten_samples, 6))
    assert load(tmp_path, ten_samples, CLASSES)[1].all().seeds == (6,)


def test_a_picture_beside_is_found_however_its_accents_are_written(ten_samples, tmp_path):
    write(tmp_path / "instances.json", coco({"bbox": [0, 0, 9, 9]}, name="Zo\u00e9.png"))
    write(tmp_path / "Zoe\u0301.png", picture(ten_samples, 6))
    assert load(tmp_path, ten_samples, CLASSES)[1].all().seeds == (6,)


@pytest.mark.parametrize(
    "name", ["3f2a1b4c-Foto_1.jpg", "Foto-1-_jpg.rf.5f3e2a7c9d01.jpg", "foto 1_mask.png", "Foto  (1).json"]
)
def test_a_photo_is_known_though_a_tool_put_other_signs_into_its_name(photo_called, name):
    assert photo_called(name, "Foto (1).jpg", "Foto 11.jpg", "bert.jpg") == "Foto (1).jpg"
    with pytest.raises(GsegError, match=r"is Foto \(1\)\.jpg and Foto_1\.png"):
        photo_called("FOTO-1.png", "Foto_1.png")
    with pytest.raises(GsegError, match="is none"):
        photo_called("Foto_111.png")


def test_photos_of_one_name_are_told_apart_by_their_folders(tmp_path):
    """As a camera names them, each day anew."""
    for name in ("day 1/IMG_1.jpg", "d\u00e9c/IMG_1.jpg", "all/day 1/IMG_1.JPG", "IMG_1.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folder = PhotoFolder.of(tmp_path / "photos")

    def found(name, where="drawn/all.json"):
        return folder.name(PhotoMatcher(folder).by_name(name, where))

    assert found("day 1/IMG_1.png") == found("C:\\x\\day%201\\IMG_1.jpg") == "day 1/IMG_1.jpg"
    assert found("IMG_1.jpg", "drawn/day 1/IMG_1.json") == "day 1/IMG_1.jpg"
    assert found("all/day 1/IMG_1_mask.png") == "all/day 1/IMG_1.JPG"
    assert found("de\u0301c/IMG_1.png") == "d\u00e9c/IMG_1.jpg"
    for name in ("IMG_1.png", "day 2/IMG_1.png", "y 1/IMG_1.png"):
        with pytest.raises(GsegError, match="expected the name of one photo") as caught:
            found(name)
        assert caught.value.hint.startswith("lay drawings out in folders as their photos are")


def test_a_mask_beside_its_photo_is_not_the_photo(tmp_path):
    for name in ("anna.png", "anna_mask.png"):
        (tmp_path / name).touch()
    folder = PhotoFolder.of(tmp_path)
    assert folder.name(PhotoMatcher(folder).by_name("anna_mask.png", str(tmp_path / "anna_mask.png"))) == "anna.png"


def test_a_name_that_contradicts_the_picture_is_an_error(ten_samples, tmp_path):
    drawn = labelme(SKIN, path="000003.png", imageData=b64(picture(ten_samples, 6)))
    _, found = load(write(tmp_path / "000003.json", drawn), ten_samples, CLASSES)
    (failure,) = found.failures
    assert (
        "named as sample 000003.png, but the picture is sample 000006.png" in failure.message
        and "000006.png" in failure.hint
    )


def test_a_name_of_a_sample_with_a_picture_of_none_is_doubted(ten_samples, tmp_path):
    """As when a GAN was trained longer: its samples have the names of the old ones."""
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
    for number, pixels in ((3, png(noise)), (4, picture(ten_samples, 4))):
        drawn = labelme(SKIN, path=f"{number:06d}.png", imageData=b64(pixels))
        write(tmp_path / f"{number:06d}.json", drawn)
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert found.all().seeds == (3, 4)
    (warning,) = found.warnings
    assert "000003.json: its picture is not sample 000003.png as it is now" in warning


def test_two_names_of_different_samples_are_an_error_that_gives_both(ten_samples, tmp_path):
    """As of a file that was copied for the next picture; also where one name alone would do."""
    drawn = write(tmp_path / "000004.json", labelme(SKIN, path="000003.png"))
    (failure,) = load(drawn, ten_samples, CLASSES)[1].failures
    assert "'000003.png' is sample 000003.png and '000004.json' is sample 000004.png" in failure.message
    assert load(write(tmp_path / "a/000003.json", labelme(SKIN)), ten_samples, CLASSES)[1].all().seeds == (3,)


def test_a_picture_decides_between_two_names(ten_samples, tmp_path):
    drawn = labelme(SKIN, path="000003.png", imageData=b64(picture(ten_samples, 4)))
    assert load(write(tmp_path / "000004.json", drawn), ten_samples, CLASSES)[1].all().seeds == (4,)


def test_a_strange_picture_without_a_seed_in_its_name_matches_nothing(ten_samples, tmp_path):
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
    drawn = labelme(SKIN, path="holiday.png", imageData=b64(png(noise)))
    _, found = load(write(tmp_path / "holiday.json", drawn), ten_samples, CLASSES)
    assert "expected the seed of a sample in the name" in found.failures[0].message


def test_a_resized_drawing_is_sampled_at_pixel_centres_and_says_so(ten_samples, tmp_path):
    drawn = write(tmp_path / "000003.json", labelme(SKIN, size=96))
    _, found = load(drawn, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0], box(64, 0, 0, 21, 21))
    assert found.warnings == (f"{drawn}: resized from 96x96 to 64x64, by nearest neighbour",)


def test_another_aspect_is_an_error(ten_samples, tmp_path):
    _, found = load(write(tmp_path / "000003.json", labelme(SKIN) | {"imageHeight": 48}), ten_samples, CLASSES)
    assert "expected 64x64 pixels like the samples, got 64x48" in found.failures[0].message


def test_two_drawings_of_one_sample_are_both_named(ten_samples, tmp_path):
    write(tmp_path / "a/000003.json", labelme(SKIN))
    write(tmp_path / "b/000003.json", labelme(SKIN))
    write(tmp_path / "b/000004.json", labelme(SKIN, path="000004.png"))
    _, found = load(tmp_path, ten_samples, CLASSES)
    (failure,) = found.failures
    assert "a/000003.json" in failure.message and "b/000003.json" in failure.message
    assert found.annotations.seeds == (4,)


def test_pictures_nobody_drew_on_are_left_out_with_a_word(ten_samples, tmp_path):
    write(tmp_path / "000003.json", labelme(SKIN))
    write(tmp_path / "nose.json", labelme(path="nose.png"))
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert found.all().seeds == (3,) and found.warnings[0].startswith("1 picture without any shape is left out")


def test_unlabelled_pixels_become_what_is_asked_for(ten_samples, tmp_path):
    drawn = write(tmp_path / "000003.json", labelme(SKIN, ("background", "rectangle", [[0, 0], [8, 8]])))
    assert np.unique(labels_of(drawn, ten_samples, CLASSES)).tolist() == [0, 1]
    labels = labels_of(drawn, ten_samples, CLASSES, unlabelled=255)
    assert [(labels == value).sum() for value in (0, 1, 255)] == [64, 32 * 32 - 64, 64 * 64 - 32 * 32]
