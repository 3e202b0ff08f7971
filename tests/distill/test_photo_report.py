"""What can be told of a student on photos without labels: sure or not, like the GAN's or not, and the worst of them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gseg_cli.builtin import SMALL, Builtin
from gseg_cli.datasets.toy_faces.dataset import render
from gseg_cli.distill.behaviour import observe
from gseg_cli.distill.photo_report import report_photos, warnings
from gseg_cli.distill.student import load_student
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.inversion import drawn_samples as sampled
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.runs import open_run
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError

SHIPPED = Builtin(SMALL)
DARK_AND_LIGHT = ClassMap.of_names(["dark", "light"])


class ByBrightness(nn.Module):
    """Dark or light, whatever is beside."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(50.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        light = x.mean(dim=1, keepdim=True) * self.gain
        return torch.cat([-light, light], dim=1)


class ByPlace(ByBrightness):
    """Left or right, whatever is there."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        across = torch.linspace(-1, 1, x.shape[-1]).expand(len(x), 1, *x.shape[-2:]) * self.gain
        return torch.cat([-across, across], dim=1)


def test_labels_that_follow_the_picture_survive_small_changes_and_labels_that_follow_the_place_do_not():
    halves = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    halves[:, 16:] = 255
    inside = torch.ones(2, 32, 32, dtype=torch.bool)
    assert (observe(ByBrightness(), halves, inside, DARK_AND_LIGHT).agreement > 0.97).all()
    assert (observe(ByPlace(), halves, inside, DARK_AND_LIGHT).agreement < 0.9).all()
    assert observe(ByPlace(), halves, inside, DARK_AND_LIGHT, mirror=False).agreement.mean() > 0.95


def test_left_is_expected_to_be_right_in_a_mirrored_picture():
    grey, inside = torch.zeros(2, 32, 32, 3, dtype=torch.uint8), torch.ones(2, 32, 32, dtype=torch.bool)
    sides = ClassMap.of_names(["left half", "right half"])
    assert (observe(ByPlace(), grey, inside, sides).agreement > 0.95).all()


def test_only_pixels_of_the_photo_count():
    images = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    images[:, :, 16:] = 255
    inside = torch.zeros(1, 32, 32, dtype=torch.bool)
    inside[:, :, :16] = True
    assert observe(ByBrightness(), images, inside, DARK_AND_LIGHT).shares.tolist() == [[1.0, 0.0]]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Of faces as the GAN draws them, and of the same upside down; the student is the reference annotator."""
    root = tmp_path_factory.mktemp("photos")
    faces = [render(seed, 96)[0] for seed in range(7_100_000, 7_100_024)]
    for name, pictures in {"upright": faces, "flipped": [face[::-1] for face in faces]}.items():
        (root / name).mkdir()
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(root / name / f"{i}.png")
        (root / name / "broken.png").write_bytes(b"no picture")
    student, classes, _ = load_student(SHIPPED.reference)
    generator = load_generator(SHIPPED.gan)
    generated = to_uint8(generator.synthesis(ws_for_seeds(generator, range(24), 1.0)))
    run = open_run(root / "runs", "distill", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampled, "MAX_SAMPLES", 256)
        return run.dir, {
            name: report_photos(student, classes, root / name, generated, SHIPPED.gan, run)
            for name in ("upright", "flipped")
        }


def test_photos_like_the_gans_raise_no_warning(reports):
    upright = reports[1]["upright"]
    assert upright["warnings"] == [] and upright["far"] <= 0.1
    assert upright["photos"]["agreement"] > 0.85


def test_photos_unlike_the_gans_are_told_from_generated_ones_and_less_is_certain_of_them(reports):
    upright, flipped = reports[1]["upright"], reports[1]["flipped"]
    assert flipped["far"] > 0.5 and "unlike what the GAN draws" in flipped["warnings"][0]
    assert flipped["photos"]["agreement"] < upright["photos"]["agreement"]
    assert any("small changes move" in warning for warning in flipped["warnings"])


def test_the_worst_come_first_with_a_picture_and_what_cannot_be_read_is_named(reports):
    run, by_name = reports
    agreements = [entry["agreement"] for entry in by_name["flipped"]["worst"]]
    assert agreements == sorted(agreements) and len(agreements) == 24
    assert "broken.png" in by_name["flipped"]["unreadable"][0]
    assert json.loads((run / "photos.json").read_text())["photos"]["count"] == 24
    assert np.asarray(Image.open(run / "photos-worst.png")).shape[0] > 6 * 160


def test_a_class_that_is_missed_on_photos_is_named():
    generated = {"agreement": 0.95, "shares": {"skin": 0.3, "eyes": 0.02, "ring": 0.001}}
    photos = {"agreement": 0.94, "shares": {"skin": 0.3, "eyes": 0.005, "ring": 0.0}}
    assert [w.split(":")[0] for w in warnings({"photos": photos, "generated": generated, "far": None})] == ["eyes"]


def test_a_folder_without_a_readable_photo_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    student, classes, _ = load_student(SHIPPED.reference)
    run = open_run(tmp_path / "runs", "distill", {})
    with pytest.raises(GsegError, match="no readable photo"):
        report_photos(student, classes, tmp_path, torch.zeros(1, 64, 64, 3, dtype=torch.uint8), SHIPPED.gan, run)
