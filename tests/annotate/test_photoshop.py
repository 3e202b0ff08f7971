"""Layered files of Photoshop. test_formats.py reads ten that psd-tools wrote."""

import io
import random
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from gseg_cli.app import main
from gseg_cli.project import Project
from gseg_runtime.errors import GsegError
from gseg_runtime.pip_hint import install
from tests.annotate.exports import CLASSES, DATA, box, labels_of, load, write


@pytest.fixture
def psd_tools():
    return pytest.importorskip("psd_tools")


def layer(labels, value=1):
    return Image.fromarray(np.where((labels == value)[..., None], (9, 9, 9, 255), 0).astype(np.uint8), "RGBA")


def save(document, path):
    buffer = io.BytesIO()
    document.save(buffer)
    return write(path, buffer.getvalue())


def test_without_psd_tools_the_error_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "psd_tools", None)
    project = Project.create(tmp_path / "p", classes=CLASSES)
    path = write(tmp_path / "000003.psd", b"8BPS")
    assert main(["annotate-import", str(path), "--samples", str(DATA / "samples"), "-C", str(project.dir)]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "error: gseg annotate-import needs psd_tools, which is not installed"
    assert hint == f"hint: {install('psd')}"


def test_upper_layers_lie_over_lower_ones_and_hidden_ones_do_not_count(psd_tools, ten_samples, tmp_path):
    document = psd_tools.PSDImage.new("RGBA", (64, 64))
    document.create_pixel_layer(layer(box(64, 8, 8, 40, 40)), "skin")
    document.create_pixel_layer(layer(box(16, 0, 0, 16, 16)), "hair", top=-4, left=60)
    document.create_pixel_layer(layer(box(64, 0, 0, 64, 64)), "sketch").visible = False
    group = document.create_group(name="small")
    document.create_pixel_layer(layer(box(64, 16, 16, 24, 24)), "Eyes").move_to_group(group)
    wanted = box(64, 8, 8, 40, 40) + box(64, 60, 0, 64, 12, 2)
    wanted[16:24, 16:24] = 3
    assert np.array_equal(labels_of(save(document, tmp_path / "000003.psd"), ten_samples, CLASSES), wanted)
    group.visible = False
    wanted[16:24, 16:24] = 1
    assert np.array_equal(labels_of(save(document, tmp_path / "000003.psd"), ten_samples, CLASSES), wanted)


def test_a_layer_mask_hides_what_it_hides_in_photoshop(psd_tools, ten_samples, tmp_path):
    document = psd_tools.PSDImage.new("RGBA", (64, 64))
    drawn = document.create_pixel_layer(layer(box(64, 8, 8, 40, 40)), "skin")
    drawn.create_mask(Image.fromarray(box(64, 0, 0, 20, 64, 255)))
    labels = labels_of(save(document, tmp_path / "000003.psd"), ten_samples, CLASSES)
    assert np.array_equal(labels, box(64, 8, 8, 20, 40))


def test_the_picture_below_tells_the_sample_where_the_name_does_not(psd_tools, ten_samples, tmp_path):
    with Image.open(ten_samples.image_path(3)) as image:
        document = psd_tools.PSDImage.new("RGBA", (64, 64))
        document.create_pixel_layer(image.convert("RGBA"), "photo")
    document.create_pixel_layer(layer(box(64, 8, 8, 40, 40)), "skin")
    _, found = load(save(document, tmp_path / "final version.psd"), ten_samples, CLASSES)
    assert found.all().seeds == (3,)


def test_a_layer_that_is_called_like_no_class_is_an_error(psd_tools, ten_samples, tmp_path):
    document = psd_tools.PSDImage.new("RGBA", (64, 64))
    document.create_pixel_layer(layer(box(64, 8, 8, 40, 40)), "Layer 1")
    (failure,) = load(save(document, tmp_path / "000003.psd"), ten_samples, CLASSES)[1].failures
    assert "unknown class 'Layer 1'" in failure.message


def test_no_damage_to_a_file_ends_in_anything_but_an_error_of_one_line(psd_tools, ten_samples, tmp_path):
    with zipfile.ZipFile(DATA / "photoshop.zip") as archive:
        whole = archive.read("000003.psd")
    refused = 0
    for seed in range(150):
        randomly = random.Random(seed)
        data = bytearray(whole)
        for _ in range(randomly.choice([1, 4, 30])):
            data[randomly.randrange(len(data) if seed % 3 else 400)] = randomly.randrange(256)
        path = write(tmp_path / "000003.psd", bytes(data[: len(data) if seed % 5 else randomly.randrange(len(data))]))
        try:
            failures = load(path, ten_samples, CLASSES)[1].failures
        except GsegError as error:
            failures = (error,)
        refused += bool(failures)
        assert all("\n" not in failure.message for failure in failures)
    assert refused > 20
