"""Training photos: whatever people keep in a folder or a zip comes out as it looks on a screen."""

import io
import json
import os
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.gan.framing import CenterCrop
from gseg_cli.gan.training.config import GanTrainConfig, check_square, parse_box
from gseg_cli.gan.training.data import check_enough, count_photos, load_images, map_images, needs_store
from gseg_cli.gan.training.photo_classes import count_labels
from gseg_cli.gan.training.photo_store import load_photos
from gseg_cli.gan.training.sources import open_photos
from gseg_cli.gan.training.stage import run_gan_train
from gseg_cli.world import ALONE
from gseg_runtime.errors import GsegError, UsageError
from tests.tiny import write_photos

TINY = GanTrainConfig(resolution=8, channel_base=64, channel_max=8, z_dim=8, batch=2, kimg=0.002)
RED, GREY = (200, 40, 40), (128, 128, 128)


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(color=RED, size=(24, 24)):
    return Image.new("RGB", size, color)


@pytest.fixture
def photos(tmp_path):
    """20 photos in a tree; number 7 is blue, so that the order can be told."""
    folder = tmp_path / "photos"
    for i in range(20):
        path = folder / ("a" if i < 10 else "b/c") / f"{i:02d}.{'PNG' if i % 2 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        plain((0, 0, 255) if i == 7 else RED).save(path)
    return folder


def load(folder, **options):
    images, found = load_images(folder, 8, **options)
    return images.permute(0, 2, 3, 1).numpy().astype(int), list(found.unreadable)


def load_one(data, folder, **options):
    """The photo `data` among enough others, as int [8, 8, 3]."""
    (folder / "00.png").write_bytes(data)
    images, unreadable = load(folder, **options)
    assert not unreadable
    return images[0]


def pack(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for photo in folder.rglob("*.*"):
            archive.write(photo, photo.relative_to(folder))
    return path


def test_a_folder_and_a_zip_give_the_same_photos_in_the_same_order(photos, tmp_path):
    (photos / "notes.txt").write_text("no photo")
    (photos / "._00.jpg").write_bytes(b"what macOS leaves in archives")
    counts = []
    images, found = load_images(photos, 8, on_image=counts.append)
    assert images.shape == (20, 3, 8, 8) and images.dtype == torch.uint8 and not found.unreadable
    assert (images[:, 2, 0, 0] > 200).nonzero().tolist() == [[7]] and counts == list(range(1, 21))
    packed, _ = load_images(pack(photos, tmp_path / "photos.zip"), 8)
    assert torch.equal(packed, images)


def shards(folder, out, size=7):
    """WebDataset's layout: per sample a photo, and its class in a text file."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    out.mkdir()
    for i in range(0, len(names), size):
        with tarfile.open(out / f"shard-{i:04d}.tar", "w") as archive:
            for name in names[i : i + size]:
                archive.add(folder / name, name)
                entry = tarfile.TarInfo(f"{name}.cls")
                entry.size = 1
                archive.addfile(entry, io.BytesIO(b"3"))
    return out


def test_tar_shards_give_the_same_photos_in_the_same_order(photos, tmp_path):
    images, _ = load_images(photos, 8)
    folder = shards(photos, tmp_path / "shards")
    for source in (folder, shards(photos, tmp_path / "one", size=100) / "shard-0000.tar"):
        packed, found = load_images(source, 8)
        assert torch.equal(packed, images) and not found.unreadable
    (folder / "shard-0000.tar").write_bytes(b"x" * 2000)
    with pytest.raises(GsegError, match=r"shard-0000\.tar: not a tar of photos") as caught:
        load_images(folder, 8)
    assert "unpack it" in caught.value.hint


def test_masks_of_labelled_photos_are_not_trained_on_however_they_are_packed(tmp_path):
    """With their folder in front, as `zip -r set.zip set` and `tar cf set.tar set` pack them, and in shards."""
    write_photos(tmp_path / "top" / "set" / "images", 20)
    write_photos(tmp_path / "top" / "set" / "masks", 20)
    packed = pack(tmp_path / "top", tmp_path / "set.zip")
    for source in (tmp_path / "top", packed, shards(tmp_path / "top", tmp_path / "shards")):
        assert count_photos(source) == 20


def test_tars_are_read_once_until_one_changes(photos, tmp_path, monkeypatch):
    """A tar has no list of what is in it."""
    folder = shards(photos, tmp_path / "shards")
    opened = []
    tar_file = tarfile.TarFile
    monkeypatch.setattr(tarfile, "TarFile", lambda **options: opened.append(1) or tar_file(**options))
    images, _ = load_images(folder, 8)
    assert count_photos(folder) == 20 and torch.equal(load_images(folder, 8)[0], images) and len(opened) == 3
    (folder / "shard-0014.tar").unlink()
    assert count_photos(folder) == 14 and len(opened) == 5


def test_hard_links_in_a_tar_are_photos_and_other_links_are_told(photos, tmp_path):
    (photos / "a" / "again.PNG").hardlink_to(photos / "a" / "07.PNG")
    (photos / "elsewhere.jpg").symlink_to(photos / "a" / "08.jpg")
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for path in sorted(photos.rglob("*.*")):
            archive.add(path, path.relative_to(photos))
        assert archive.getmember("a/again.PNG").islnk()
    images, found = load_images(tmp_path / "photos.tar", 8)
    assert len(images) == 21 and list(found.unreadable) == ["photos.tar/elsewhere.jpg"]
    assert torch.equal(images[10], images[7])
    assert "a link, or stored in pieces" in found.unreadable["photos.tar/elsewhere.jpg"]


@pytest.mark.parametrize("name", ["photos.tar.gz", "photos.TGZ", "photos.7z", "photos.rar"])
def test_packed_archives_are_to_be_unpacked(tmp_path, name):
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(GsegError, match="a packed archive") as caught:
        count_photos(tmp_path / name)
    assert caught.value.hint.startswith("unpack it and name the folder")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.MP4", "save frames of the videos"),
        ("b/photos.zip", "name the file"),
        ("photos.tar.gz", "unpack it"),
        ("a.NEF", "save the raw photos"),
        ("notes.txt", "name a folder, zip, tar"),
    ],
)
def test_a_folder_without_photos_is_told_what_lies_there_instead(tmp_path, name, advice):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    expected = rf"expected at least 16 photos, got 0; passed over 1 {path.suffix.lower()}$"
    with pytest.raises(GsegError, match=expected) as caught:
        check_enough(tmp_path)
    assert caught.value.hint.startswith(advice)


def test_a_tar_beside_photos_is_no_source_and_said_to_be_left_out(photos, tmp_path):
    (photos / "old.tar").write_bytes(b"")
    assert count_photos(photos) == 20
    assert said_of(photos, tmp_path) == [f"{photos}: archives beside the photos are left out: 1 .tar"]


def test_of_a_folder_of_tars_none_is_left_out(photos, tmp_path):
    assert said_of(shards(photos, tmp_path / "shards"), tmp_path) == []


def with_labels(folder, labels):
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def test_labels_that_are_ignored_are_said(photos, tmp_path):
    labels = [[f"{i:02d}.png", 3] for i in range(20)]
    assert count_labels(with_labels(photos, labels)) == count_labels(pack(photos, tmp_path / "a.zip")) == 20
    said = []
    run_gan_train(photos, TINY, tmp_path / "runs", torch.device("cpu"), minutes=0.0, say=said.append)
    warning = f"warning: {photos}: dataset.json gives 20 photos a class, which is ignored; all count as one kind"
    assert f"{warning} (--conditional trains on the classes)" in said
    for nothing in (None, {}, 3):
        assert count_labels(with_labels(photos, nothing)) == 0
    (photos / "dataset.json").write_text("[" * 100_000)
    assert count_labels(photos) == 0
    assert count_labels(tmp_path / "none") == count_labels(shards(photos, tmp_path / "shards")) == 0


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encode(plain().convert("L")), 87),
        (encode(Image.fromarray(np.full((24, 24), 128 * 257, np.uint16))), 128),
        (encode(plain(GREY).convert("CMYK"), "JPEG", quality=95), 128),
        (encode(plain(GREY).convert("P")), 128),
        (encode(Image.new("LA", (24, 24), (128, 255))), 128),
        (encode(Image.new("RGBA", (24, 24), (255, 255, 255, 0))), 0),  # what shines through is black, as in photos
    ],
    ids=["grey", "16 bits", "CMYK", "palette", "opaque", "transparent"],
)
def test_every_kind_of_picture_has_its_colours(photos, data, expected):
    assert np.abs(load_one(data, photos) - expected).max() <= 3


def test_photos_are_upright_and_cut_to_the_square_in_the_middle(photos):
    pixels = np.zeros((24, 48, 3), np.uint8)
    pixels[:12, :, 0] = 255  # the upper half is red
    turned = Image.fromarray(np.rot90(pixels))  # as a camera held sideways stores it
    exif = Image.Exif()
    exif[0x0112] = 6
    image = load_one(encode(turned, "JPEG", quality=95, exif=exif.tobytes(), subsampling=0), photos)
    assert image[:3, :, 0].min() > 230 and image[5:, :, 0].max() < 25
    wide = np.zeros((24, 72, 3), np.uint8)
    wide[:, 24:48, 1] = 255
    assert (load_one(encode(Image.fromarray(wide)), photos)[:, 1:-1, 1] > 230).all()


def test_the_square_of_a_photo_is_the_same_in_training_and_in_inversion(photos):
    noise = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    square = load_one(encode(Image.fromarray(noise)), photos)
    np.testing.assert_array_equal(square, CenterCrop(90, 140, 8).apply(noise))


def test_thumbnails_and_litter_in_archives_are_no_photos(photos, tmp_path):
    """As Synology's and a Mac's folders come into them."""
    litter = ["@eaDir/01.jpg/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/01.jpg", "a/.01.jpg", "#recycle/01.jpg"]
    for name in litter:
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(plain()))
    packed, tar = pack(photos, tmp_path / "photos.zip"), shards(photos, tmp_path / "shards")
    assert [count_photos(source) for source in (photos, packed, tar)] == [20, 20, 20]


def test_names_in_a_zip_may_be_parted_as_windows_does(photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for i, path in enumerate(sorted(photos.rglob("*.*"))):
            archive.write(path, f"set\\{'images' if i % 2 else 'masks'}\\{i}.png")
    with open_photos(tmp_path / "photos.zip") as found:
        assert [photo.name for photo in found][:2] == ["set/images/1.png", "set/images/11.png"] and len(found) == 10
    assert len(load_images(pack(photos, tmp_path / "all.zip"), 8)[0]) == 20


def test_a_tar_in_capitals_is_one(photos, tmp_path):
    (shard,) = shards(photos, tmp_path / "shards", 100).iterdir()
    shard = shard.rename(tmp_path / "shards" / "PHOTOS.TAR")
    assert count_photos(shard) == count_photos(tmp_path / "shards") == 20


def test_links_that_lead_nowhere_are_told_as_unreadable_photos(photos, tmp_path):
    for i in range(3):
        (photos / f"lost-{i}.jpg").symlink_to(tmp_path / "a disk that is gone" / f"{i}.jpg")
    images, found = load_images(photos, 8)
    assert len(images) == 20 and sorted(found.unreadable) == [f"lost-{i}.jpg" for i in range(3)]
    assert "No such file" in found.unreadable["lost-0.jpg"]


def test_folders_that_cannot_be_listed_are_told(photos, tmp_path, monkeypatch):
    """Root may list any, so the system is made to say no."""
    scandir = os.scandir

    def refuses(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuses)
    (photos / "b" / "shut").mkdir()
    shut = f"{photos / 'b' / 'shut'}: cannot be listed: Permission denied"
    assert said_of(photos, tmp_path) == [f"warning: {shut}; photos in it are left out"]
    for path in sorted(photos.rglob("*.*"))[:5]:
        path.unlink()
    with pytest.raises(GsegError, match=f"expected at least 16 photos, got 15; {shut}"):
        check_enough(photos)


def test_folders_behind_links_are_trained_on_too_and_each_once(photos, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "linked.png").write_bytes(encode(plain()))
    count = count_photos(photos)
    (photos / "more").symlink_to(elsewhere)
    (photos / "again").symlink_to(photos)
    assert count_photos(photos) == count + 1


def test_a_crop_is_taken_from_the_photos_own_pixels(photos):
    pixels = np.zeros((24, 24, 3), np.uint8)
    pixels[2:10, 12:20] = 255
    image = load_one(encode(Image.fromarray(pixels)), photos, crop=parse_box("12,2,20,10"))
    assert (image == 255).all()


def test_photos_that_cannot_be_read_are_named_and_skipped(photos, tmp_path):
    whole = encode(Image.effect_noise((64, 64), 90), "JPEG")
    broken = {"cut.jpg": whole[: len(whole) // 2], "text.png": b"hello", "empty.jpg": b"", "small.png": encode(plain())}
    for name, data in broken.items():
        (photos / name).write_bytes(data)
    images, unreadable = load(photos, crop=(0, 0, 24, 24))
    assert unreadable == ["cut.jpg", "empty.jpg", "text.png"] and len(images) == 21
    images, unreadable = load(photos.parent / pack(photos, tmp_path / "photos.zip"))
    assert unreadable == ["cut.jpg", "empty.jpg", "text.png"] and len(images) == 21
    (photos / "small.png").write_bytes(encode(plain(size=(16, 16))))
    assert "small.png" in load(photos, crop=(0, 0, 24, 24))[1]  # the crop reaches out of it


def test_a_damaged_member_of_a_zip_is_skipped_like_a_damaged_file(photos, tmp_path):
    path = pack(photos, tmp_path / "photos.zip")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("a/03.PNG")
    data[info.header_offset + 30 + len(info.filename) + 40] ^= 0xFF  # its checksum is then wrong
    path.write_bytes(data)
    images, unreadable = load(path)
    assert unreadable == ["a/03.PNG"] and len(images) == 19


def test_a_zip_whose_directory_is_damaged_is_an_error(photos, tmp_path):
    path = pack(photos, tmp_path / "photos.zip")
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 2] = 9
    path.write_bytes(data)
    with pytest.raises(GsegError, match=r"photos\.zip: a damaged zip: .*") as caught:
        count_photos(path)
    assert "copy it again" in caught.value.hint


def test_a_zip_that_was_replaced_is_read_anew(photos, tmp_path):
    path = pack(photos, tmp_path / "photos.zip")
    assert count_photos(path) == 20
    next(photos.rglob("*.jpg")).unlink()
    assert count_photos(pack(photos, path)) == 19


def said_of(source, tmp_path, **config):
    said = []
    config = replace(TINY, **config)
    load_photos(source, config, None, "crop", tmp_path / "runs", ALONE, said.append)
    return said


def test_photos_smaller_than_the_resolution_are_counted(photos, tmp_path):
    plain(size=(90, 12)).save(photos / "low.png")
    assert said_of(photos, tmp_path) == []
    warning = f"warning: {photos}: 1 of 21 photos is smaller than 16 px, the smallest 12 px, and was enlarged"
    assert said_of(photos, tmp_path, resolution=16)[0].startswith(warning)
    assert "21 of 21 photos are smaller than 32 px, the smallest 12 px" in said_of(photos, tmp_path, resolution=32)[0]
    assert load_images(photos, 8, fit="letterbox")[1].sides[-1] == 90
    assert load_images(photos, 8, crop=(1, 2, 9, 10))[1].sides == [8] * 21


def test_why_photos_cannot_be_read_is_said_of_some_and_the_others_are_counted(photos, tmp_path):
    for i in range(25):
        (photos / f"broken-{i:02d}.png").write_bytes(b"none")
    said = said_of(photos, tmp_path)
    assert said[0] == "warning: broken-00.png: not a picture of a known format; skipped" and len(said) == 21
    assert said[20] == f"warning: {photos}: 5 more photos cannot be read, and are skipped"


def test_too_few_photos_say_why_the_others_cannot_be_read(tmp_path):
    for i in range(20):
        (tmp_path / f"IMG_{i}.HEIC").write_bytes(b"none")
    with pytest.raises(GsegError, match=r"20 unreadable: IMG_0\.HEIC: not a picture of a known format"):
        load_images(tmp_path, 8)


def test_too_few_photos_are_an_error(photos, tmp_path):
    for path in sorted(photos.rglob("*.*"))[:5]:
        path.unlink()
    with pytest.raises(GsegError, match="at least 16 photos, got 15 readable and 0 unreadable"):
        load_images(photos, 8)
    (tmp_path / "text.zip").write_text("no zip")
    for name, what in (("none", "no such folder or file"), ("text.zip", "no file of photos")):
        with pytest.raises(GsegError, match=what) as caught:
            load_images(tmp_path / name, 8)
        assert str(tmp_path / name) in caught.value.message and "Parquet" in caught.value.hint


def test_training_tells_of_every_photo_it_skips(photos, tmp_path):
    (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    said = []
    done = run_gan_train(photos, TINY, tmp_path / "runs", torch.device("cpu"), say=said.append)
    assert done.unreadable == ["cut.jpg"] and done.num_photos == 20
    assert any("cut.jpg" in line for line in said)


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "5,5,5,9", "0,0,-1,5", "1,2,3,4,5"])
def test_a_crop_that_is_no_box_is_a_usage_error(text):
    with pytest.raises(UsageError, match="--crop"):
        parse_box(text)


def test_a_crop_is_not_squeezed_into_a_square(photos):
    check_square((0, 0, 24, 12), "letterbox")
    check_square((1, 2, 9, 10), "crop")
    with pytest.raises(UsageError, match="expected a square, got a box of 24 x 12 pixels") as caught:
        check_square((0, 0, 24, 12), "crop")
    assert "--fit letterbox" in caught.value.hint


def test_photos_smaller_than_the_crop_are_not_called_broken_alone(photos):
    with pytest.raises(GsegError, match="0 readable and 20 unreadable, or smaller than the crop") as caught:
        load_images(photos, 8, crop=(0, 0, 100, 100))
    assert "--crop that lies in all of them" in caught.value.hint


def test_a_letterbox_keeps_the_whole_photo(photos):
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, :8, 0] = wide[:, -8:, 1] = 255
    image = load_one(encode(Image.fromarray(wide)), photos, fit="letterbox")
    assert (image[:2] == 128).all() and (image[-2:] == 128).all()  # grey above and below
    assert (image[2:-2, 0, 0] > 200).all() and (image[2:-2, -1, 1] > 200).all()
    cut = load_one(encode(Image.fromarray(wide)), photos, fit="letterbox", crop=(0, 0, 8, 16))
    assert (cut[:, 3:5, 0] > 200).all() and (cut[:, 0] == 128).all()
    with pytest.raises(UsageError, match="--fit: expected one of letterbox, crop, got 'stretch'"):
        load(photos, fit="stretch")


def test_photos_in_a_file_are_those_in_memory(photos, tmp_path):
    (photos / "broken.png").write_bytes(b"none")
    in_memory, found = load_images(photos, 8)
    store = tmp_path / "photos.npy"
    in_file, also = load_images(photos, 8, store=store)
    assert torch.equal(in_file, in_memory) and also == found and list(found.unreadable) == ["broken.png"]
    assert torch.equal(map_images(store, len(in_memory)), in_memory) and count_photos(photos) == 21
    assert needs_store(100_000_000, 1024) and not needs_store(1000, 64)


def test_photos_that_do_not_fit_on_the_disk_are_an_error_and_no_crash(photos, tmp_path, small_disk):
    store = tmp_path / "photos.npy"
    with small_disk, pytest.raises(GsegError, match=rf"{store}: cannot be written"):
        load_images(photos, 64, store=store)
    assert not store.exists()


def test_a_zip_whose_photos_swell_is_skipped_and_not_swallowed(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("gseg_cli.gan.training.photo_entry.MAX_PHOTO_BYTES", 10_000)
    path = pack(photos, tmp_path / "photos.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zzz.png", encode(plain()) + bytes(10_000_000))  # a thousandth of that in the archive
    images, unreadable = load(path)
    assert unreadable == ["zzz.png"] and len(images) == 20


def test_label_maps_beside_photos_are_no_photos(tmp_path):
    write_photos(tmp_path / "set" / "images", 5)
    write_photos(tmp_path / "set" / "masks", 5)
    assert count_photos(tmp_path / "set") == 5
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in (tmp_path / "set").rglob("*.png"):
            archive.write(path, path.relative_to(tmp_path / "set"))
    assert count_photos(tmp_path / "set.zip") == 5
    assert count_photos(tmp_path / "set" / "masks") == 5  # who asks for it gets it


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("images/{}.jpg", "labels/{}.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("CelebA-HQ-img/{}.jpg", "CelebAMask-HQ-mask-anno/0/{}_hair.png"),
        ("PNGImages/{}.png", "PedMasks/{}_mask.png"),
        ("{}.jpg", "gt/{}.png"),
        ("{}.jpg", "{}_mask.png"),
        ("{}.jpg", "{}.seg.png"),
    ],
)
def test_pictures_that_are_named_like_masks_are_told_however_they_are_packed(tmp_path, photo, mask):
    for i in range(18):
        for name in (photo, mask):
            path = tmp_path / "set" / name.format(i)
            path.parent.mkdir(parents=True, exist_ok=True)
            plain().save(path)
    for source in (
        tmp_path / "set",
        pack(tmp_path / "set", tmp_path / "set.zip"),
        shards(tmp_path / "set", tmp_path / "shards"),
    ):
        (warning,) = said_of(source, tmp_path)
        assert warning.startswith(f"warning: {source}: 18 of 36 photos are named like masks, for example ")


def test_photos_in_folders_of_such_names_alone_are_no_masks(tmp_path):
    for i in range(16):
        path = tmp_path / "face-masks" / ("with_mask", "no mask")[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        plain().save(path)
    assert said_of(tmp_path / "face-masks", tmp_path) == []
    write_photos(tmp_path / "labels", 16)
    assert said_of(tmp_path / "labels", tmp_path) == []
