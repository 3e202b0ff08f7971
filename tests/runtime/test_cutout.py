"""Cut-outs and a mask for each class."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, MakeModel, MakePhoto
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import UsageError
from gseg_runtime.extras import part_suffixes
from gseg_runtime.label_map import read_label_png
from gseg_runtime.plan import BINARY


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


def read(path: Path, mode: str) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == mode
        return np.asarray(image)


@pytest.mark.parametrize("parts", [(), ("light",), ("dark", "background")])
def test_a_cutout_is_the_photo_where_the_mask_has_its_parts_and_nothing_elsewhere(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path, parts: tuple[str, ...]
) -> None:
    photo = make_photo(tmp_path / "in" / "x.png", 40, 60, (90, 224))
    segmenter.segment_folder(tmp_path / "in", tmp_path / "out", cutout=True, parts=parts)
    shown = read(tmp_path / "out" / "x.cutout.png", "RGBA")
    labels = read_label_png(tmp_path / "out" / "x.png")
    indices = [CLASSES.index(name) for name in parts] or [1, 2, 3]
    is_part = np.isin(labels, indices)
    assert is_part.any()
    np.testing.assert_array_equal(shown[..., 3], is_part * 255)
    np.testing.assert_array_equal(shown[is_part][:, :3], read(photo, "RGB")[is_part])
    assert not shown[~is_part].any()


def test_binary_masks_are_the_mask_class_by_class(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out, binary=True)
    for stem in ("a", "b", "deep/a", "deep/er/photo de la mère\n"):
        labels = read_label_png(out / f"{stem}.png")
        assert not (out / f"{stem}.binary-background.png").exists()
        for index, name in enumerate(CLASSES.names[1:], 1):
            np.testing.assert_array_equal(read(out / f"{stem}.binary-{name}.png", "L"), (labels == index) * 255)


def test_layers_are_the_photo_class_by_class_and_laid_together_the_cutout(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out, layers=True, cutout=True)
    for stem in ("a", "b"):
        layers = [read(path, "RGBA") for path in out.glob(f"{stem}.layer-*.png")]
        assert len(layers) == 3 and not (out / f"{stem}.layer-background.png").exists()
        np.testing.assert_array_equal(np.sum(layers, axis=0), read(out / f"{stem}.cutout.png", "RGBA"))
        is_dark = read_label_png(out / f"{stem}.png") == CLASSES.index("dark")
        np.testing.assert_array_equal(read(out / f"{stem}.layer-dark.png", "RGBA")[..., 3], is_dark * 255)
    assert segmenter.segment_folder(photos, out, resume=True, layers=True, cutout=True).done == 0
    next(out.glob("b.layer-*.png")).unlink()
    assert segmenter.segment_folder(photos, out, resume=True, layers=True, cutout=True).done == 1


def test_names_of_binary_masks_are_good_on_every_disk_and_no_two_the_same() -> None:
    for names, expected in (
        (["background", "left eye", "a/b", "ＯＫ?"], ["left_eye", "a_b", "ＯＫ_"]),
        (["background", "Hair", "hair", "1_hair"], ["1_Hair", "2_hair", "3_1_hair"]),
    ):
        suffixes = [suffix for _, suffix in part_suffixes(BINARY, ClassMap.of_names(names), range(1, len(names)))]
        assert suffixes == [f".binary-{name}.png" for name in expected]


def test_resume_makes_other_parts_anew_and_leaves_the_same_ones(
    segmenter: Segmenter, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(photos, out, cutout=True, parts=["light"])
    again = segmenter.segment_folder(photos, out, resume=True, cutout=True, parts=["light", "light"])
    assert again.skipped == 4
    assert segmenter.segment_folder(photos, out, resume=True).skipped == 4  # not asked for
    assert segmenter.segment_folder(photos, out, resume=True, cutout=True).done == 4
    assert segmenter.segment_folder(photos, out, resume=True, cutout=True).skipped == 4
    assert segmenter.segment_folder(photos, out, resume=True, binary=True, parts=["dark"]).done == 4
    (out / "b.binary-dark.png").write_bytes((out / "b.binary-dark.png").read_bytes()[:-5])
    assert segmenter.segment_folder(photos, out, resume=True, binary=True, parts=["dark"]).done == 1
    segmenter.segment_folder(photos, out, overwrite=True)  # knows all of them for its own
    assert len(list(out.rglob("*.png"))) == 4


def test_a_photo_that_is_named_like_a_binary_mask_is_refused(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path
) -> None:
    for name in ("x.jpg", "x.binary-dark.jpg", "x.cutout.webp"):
        make_photo(tmp_path / "in" / name)
    with pytest.raises(GsegError, match=r"x\.png and x\.binary-dark\.png"):
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out", binary=True)
    with pytest.raises(GsegError, match=r"x\.png and x\.cutout\.png"):
        segmenter.segment_folder(tmp_path / "in", tmp_path / "out", cutout=True)
    assert segmenter.segment_folder(tmp_path / "in", tmp_path / "out", binary=True, parts=["light"]).done == 3


def test_parts_must_be_classes_and_be_asked_for(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model), "--parts", "dark,ligth"]
    assert main([*call, "--cutout"]) == 2
    assert "unknown class 'ligth'\nhint: did you mean light?" in capsys.readouterr().err
    assert main(call) == 2
    assert "hint: add --cutout, --binary or --layers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*call[:-1], " dark, light ", "--cutout", "--binary", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["done"] == 4
    assert (tmp_path / "out" / "a.cutout.png").is_file() and (tmp_path / "out" / "a.binary-light.png").is_file()


def test_a_model_of_the_background_alone_has_nothing_to_cut_out(
    make_model: MakeModel, photos: Path, tmp_path: Path
) -> None:
    alone = Segmenter.load(make_model(classes=ClassMap.of_names(["background"])), device="cpu")
    with pytest.raises(UsageError, match="no class but the background"):
        alone.segment_folder(photos, tmp_path / "out", cutout=True)
