"""What an option offers is what the library knows."""

from typing import get_args

import pytest

from gseg_cli import choices
from gseg_cli.app import main
from gseg_cli.distill.augment import GEOMETRIES
from gseg_cli.distill.config import LABELS, PRECISIONS
from gseg_cli.distill.loss import LOSSES
from gseg_cli.distill.unet import SIZES
from gseg_cli.fewshot.features import REPRESENTATIONS
from gseg_cli.fewshot.model import MODELS
from gseg_cli.fewshot.pick_config import WAYS
from gseg_cli.fewshot.train import SCHEDULES
from gseg_cli.gan.inversion.invert import SPACES
from gseg_cli.gan.load import ARCHITECTURES
from gseg_cli.gan.training import config as train_config
from gseg_cli.gan.training.data import FITS

KNOWN = {
    "Arch": ARCHITECTURES, "GanPrecision": train_config.PRECISIONS, "Fit": FITS, "Space": SPACES, "Pick": WAYS,
    "TeacherModel": MODELS, "Schedule": SCHEDULES, "Features": REPRESENTATIONS, "Labels": LABELS, "StudentSize": SIZES,
    "Loss": LOSSES, "Geometry": GEOMETRIES, "Precision": PRECISIONS,
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_an_option_offers_what_the_library_knows(name):
    assert sorted(get_args(getattr(choices, name))) == sorted(KNOWN[name])


def test_every_choice_is_held_to_the_library():
    assert {name for name in vars(choices) if name[0].isupper() and name != "Literal"} == set(KNOWN)


@pytest.mark.parametrize(
    "words",
    [
        ["distill", "--loss", "mse"], ["distill", "--student", "huge"], ["distill", "--labels", "firm"],
        ["distill", "--geometry", "wild"], ["distill", "--precision", "fp8"], ["fewshot-train", "--model", "vit"],
        ["fewshot-train", "--schedule", "long"], ["fewshot-train", "--features", "some"], ["sample", "--pick", "best"],
        ["gan-train", "photos", "--arch", "biggan"], ["gan-train", "photos", "--fit", "stretch"],
        ["gan-train", "photos", "--precision", "fp8"],
        ["fewshot-segment", "photos", "-o", "out", "--space", "z"],
        ["fewshot-segment", "photos", "-o", "out", "--fit", "squeeze"],
    ],
)  # fmt: skip
def test_a_word_that_an_option_does_not_know_is_wrong_usage(words, capsys):
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert f"'{words[-1]}' is not one of" in shown and words[-2] in shown and "--help tells how it is used" in shown
