"""ADA: the transforms are those of stylegan2-ada-pytorch, and p goes where the discriminator's signs send it."""

import json
import math
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from gseg_cli.gan.training import warp as warping
from gseg_cli.gan.training.augment import (
    Transforms,
    adjusted,
    apply_transforms,
    augment,
    draw_transforms,
    inverse_geometry,
)
from tests.golden.make_augment import PIXELS, picture

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "augment.json").read_text())
NEUTRAL = {"scale": 1.0, "stretch": 1.0, "contrast": 1.0, "saturation": 1.0}
ORDER = ["blit"] * 4 + ["geometric"] * 6 + ["colour"] * 5
GROUP_OF = {field.name: group for field, group in zip(fields(Transforms), ORDER, strict=True)}


def at_percentile(group: str, q: float) -> Transforms:
    """Every parameter of the group at this percentile, as NVIDIA's debug_percentile sets them."""
    uniform, gauss = 2 * q - 1, float(torch.erfinv(torch.tensor(2 * q - 1)))  # without the root of 2, as theirs
    values = {
        "flip": math.floor(2 * q), "quarter_turns": math.floor(4 * q),
        "shift_x": uniform * 0.125, "shift_y": uniform * 0.125,
        "scale": 2 ** (gauss * 0.2), "stretch": 2 ** (gauss * 0.2),
        "pre_rotation": uniform * math.pi, "post_rotation": 0.0,
        "offset_x": gauss * 0.125, "offset_y": gauss * 0.125, "brightness": gauss * 0.2, "contrast": 2 ** (gauss * 0.5),
        "luma_flip": math.floor(2 * q), "hue": uniform * math.pi, "saturation": 2**gauss,
    }  # fmt: skip
    active = {name for name in values if group in ("all", GROUP_OF[name])}
    return Transforms(
        **{
            name: torch.tensor([float(value if name in active else NEUTRAL.get(name, 0.0))])
            for name, value in values.items()
        }
    )


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['group']}-{case['percentile']}")
def test_the_transforms_are_those_of_the_official_code(case):
    result = apply_transforms(picture(), at_percentile(case["group"], case["percentile"]))[0]
    expected = torch.tensor(case["pixels"])
    torch.testing.assert_close(result[:, PIXELS][:, :, PIXELS], expected, rtol=0, atol=2e-5)


def test_images_are_transformed_each_on_its_own():
    images = picture().repeat(6, 1, 1, 1)
    torch.manual_seed(0)
    transforms = draw_transforms(6, 0.9)
    together = apply_transforms(images, transforms)
    for i in range(6):
        alone = Transforms(**{f.name: getattr(transforms, f.name)[i : i + 1] for f in fields(Transforms)})
        torch.testing.assert_close(apply_transforms(images[:1], alone)[0], together[i], rtol=0, atol=5e-5)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_each_transform_comes_as_often_as_p_says_and_as_widely():
    torch.manual_seed(0)
    n, p = 20_000, 0.3
    drawn = draw_transforms(n, p)
    rotated = ((drawn.pre_rotation != 0) | (drawn.post_rotation != 0)).float().mean()
    shares = {name: (getattr(drawn, name) != NEUTRAL.get(name, 0.0)).float().mean() for name in GROUP_OF}
    expected = dict.fromkeys(GROUP_OF, p) | {"flip": p / 2, "quarter_turns": p * 3 / 4, "luma_flip": p / 2}
    expected |= dict.fromkeys(("pre_rotation", "post_rotation"), 1 - math.sqrt(1 - p))
    assert abs(rotated - p) < 0.015
    for name, share in shares.items():
        assert abs(share - expected[name]) < 0.015, name
    assert torch.equal(drawn.shift_x != 0, drawn.shift_y != 0)  # one gate for both directions
    spread = {"scale": 0.2, "stretch": 0.2, "contrast": 0.5, "saturation": 1.0}
    for name, sd in spread.items():
        value = getattr(drawn, name)
        assert abs(value[value != 1].log2().std() - sd) < 0.03 * max(sd, 0.5), name


@pytest.mark.parametrize("in_tiles", [False, True])
def test_gradients_pass_through_once_and_twice(monkeypatch, in_tiles):
    monkeypatch.setattr(warping, "TILED", 0 if in_tiles else 256)
    torch.manual_seed(1)
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    torch.set_default_dtype(torch.float64)  # finite differences need it
    try:
        transforms = draw_transforms(2, 1.0)
        assert torch.autograd.gradcheck(lambda x: apply_transforms(x, transforms).pow(3), images)
        assert torch.autograd.gradgradcheck(lambda x: apply_transforms(x, transforms).pow(3), images)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("size", [64, 72, 256])
def test_large_images_are_resampled_in_tiles_and_come_out_the_same(monkeypatch, size):
    torch.manual_seed(2)
    images = torch.rand(2, 3, size, size) * 2 - 1
    for p in (0.2, 1.0):
        inverse, results = inverse_geometry(draw_transforms(2, p), size), []
        for tiled in (size + 1, size):
            monkeypatch.setattr(warping, "TILED", tiled)
            source = images.clone().requires_grad_(True)
            result = warping.warp(source, inverse)
            results.append((result.detach(), *torch.autograd.grad(result.square().sum(), source)))
        torch.testing.assert_close(results[1], results[0], rtol=0, atol=1e-5)


def test_images_that_stay_where_they_are_are_left_alone_and_the_others_move_as_ever():
    torch.manual_seed(3)
    images = torch.rand(16, 3, 32, 32).mul(2).sub(1).requires_grad_(True)
    inverse = inverse_geometry(draw_transforms(16, 0.1), 32)
    still = (inverse == torch.eye(3)).flatten(1).all(dim=1)
    assert 0 < still.sum() < 16
    result, all_moved = warping.warp(images, inverse), warping.warp_all(images, inverse)
    assert torch.equal(result[still], images[still])
    torch.testing.assert_close(result, all_moved, rtol=0, atol=5e-5)
    gradients = [torch.autograd.grad(moved.square().sum(), images)[0] for moved in (result, all_moved)]
    torch.testing.assert_close(*gradients, rtol=0, atol=2e-4)
    assert warping.warp(images, torch.eye(3).expand(16, 3, 3)) is images


def test_nothing_happens_at_p_zero():
    images = picture()
    state = torch.get_rng_state()
    assert augment(images, 0.0) is images and torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(augment(images, 1.0), images)


def test_p_rises_while_the_discriminator_is_too_sure_and_never_falls_below_zero():
    p, how = 0.0, {"target": 0.6, "ada_kimg": 100.0}
    for _ in range(100):
        p = adjusted(p, 0.9, 32, **how)
    assert p == pytest.approx(0.032)
    assert adjusted(p, 0.1, 32, **how) == pytest.approx(0.032 - 0.00032)
    assert adjusted(0.0, -1.0, 32, **how) == 0.0 and adjusted(0.5, 0.6, 32, **how) == 0.5
