"""The figures one watches tell better from worse, and the curves show them."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from gseg_cli.gan.training.metrics import generate, overfit, swd
from gseg_cli.gan.training.plot import draw_curves, read_curves
from tests import tiny

CPU = torch.device("cpu")


def pictures(seed, blur=1):
    """Smooth random uint8 [24, 3, 32, 32]; with blur > 1 their details are missing."""
    coarse = torch.rand(24, 3, 32 // blur, 32 // blur, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(coarse, size=32, mode="bilinear")
    return (large * 255).to(torch.uint8)


def test_the_distance_is_zero_to_itself_small_to_the_like_and_large_to_the_different():
    same, like = swd(pictures(0), pictures(0)), swd(pictures(0), pictures(1))
    blurred, dark = swd(pictures(0), pictures(1, blur=4)), swd(pictures(0), (pictures(1) ** 3))
    assert set(like) == {"swd", "swd_32", "swd_16"} and like["swd"] == pytest.approx(
        (like["swd_32"] + like["swd_16"]) / 2
    )
    assert same["swd"] < like["swd"] < blurred["swd"] and like["swd"] < dark["swd"]
    assert swd(pictures(0), pictures(1)) == like  # no figure depends on chance


def test_a_moved_normal_distribution_is_as_far_as_the_theory_says():
    from gseg_cli.gan.training.metrics import _distance

    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(20_000, 2, generator=draw), torch.randn(20_000, 2, generator=draw) + torch.tensor([1.0, 0.0])
    # The shift along a random direction is cos of a uniform angle: 2 / pi in the mean.
    assert _distance(a, b, draw) == pytest.approx(2 / np.pi, abs=0.08)


def test_a_discriminator_that_knows_its_photos_by_heart_is_found_out():
    train, held_out, fakes = (torch.full((8, 3, 4, 4), value, dtype=torch.uint8) for value in (255, 64, 0))

    class Judge(nn.Module):
        def forward(self, x):
            return 4 * x.mean(dim=(1, 2, 3), keepdim=False)[:, None]

    figures = overfit(Judge(), train, held_out, fakes, CPU)
    assert figures["overfit"] == pytest.approx(0.75, abs=0.01) and figures["held_out_sign"] == -1
    assert overfit(Judge(), train, train, fakes, CPU)["overfit"] == 0
    assert np.isnan(overfit(Judge(), fakes, fakes, fakes, CPU)["overfit"])


def test_generated_pictures_do_not_depend_on_the_batch(monkeypatch):
    generator = tiny.make_generator()
    together = generate(generator, 5, CPU)
    monkeypatch.setattr("gseg_cli.gan.training.metrics.PIXELS", 2 * 16 * 16)
    assert together.shape == (5, 3, 16, 16) and (generate(generator, 5, CPU).int() - together).abs().max() <= 1


def test_curves_are_drawn_from_whatever_a_killed_run_left(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [
        {"step": 160 * i, "wall_s": i, "loss_D": 1.0 / i, "loss_G": 0.5 + i, "real_sign": None} for i in range(1, 60)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + '\n{"step": 9600, "loss_')
    curves = read_curves(path)
    assert set(curves) == {"loss_D", "loss_G"} and curves["loss_D"][0][0] == pytest.approx(0.16)
    image = draw_curves(curves)
    blue = (image == (0x2D, 0x6F, 0xB5)).all(axis=2)
    rows_of = [np.flatnonzero(blue[:, image.shape[1] * share // 100]).mean() for share in (10, 70)]
    assert rows_of[0] > rows_of[1] + 50  # loss_G rises
    twice = draw_curves({**curves, "swd": curves["loss_D"]})
    assert twice.shape == pytest.approx((2 * image.shape[0], image.shape[1], 3), rel=0.1)
    assert draw_curves(read_curves(tmp_path / "none")).dtype == np.uint8
    first = {"loss_D": (np.array([0.0]), np.array([1.0]))}
    assert draw_curves(first).dtype == np.uint8
