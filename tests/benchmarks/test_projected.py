"""The discriminators that gan-train is measured against train what they should, and nothing else."""

import pytest
import torch

from benchmarks.projected import AloneTrainer, BesideTrainer, diff_augment
from gseg_cli.gan.training.config import GanTrainConfig

CPU = torch.device("cpu")
CONFIG = GanTrainConfig(resolution=32, channel_base=64, z_dim=8, batch=4, precision="fp32", r1_gamma=0.0)


@pytest.mark.parametrize(("trainer", "is_beside"), [(AloneTrainer, False), (BesideTrainer, True)])
def test_generator_and_heads_learn_and_the_features_stay(trainer: type[BesideTrainer], is_beside: bool) -> None:
    one = trainer(CONFIG, torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8), CPU)
    before = {name: tensor.clone() for name, tensor in one.state().items()}
    assert all(value.isfinite() for value in one.step().values())
    changed = {name for name, tensor in one.state().items() if not torch.equal(tensor, before.get(name, tensor))}
    parts = ("G", "D", "projected.heads", "projected.encoder", "projected.across", "projected.down")
    learned = {part for part in parts if any(name.startswith(f"{part}.") for name in changed)}
    assert learned == {"G", "projected.heads"} | ({"D"} if is_beside else set())


def test_changed_pictures_have_a_hole_and_lead_back_to_their_pixels() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(3, 3, 32, 32, requires_grad=True)
    changed = diff_augment(pictures)
    changed.sum().backward()
    holes = (changed == 0).all(dim=1).float().mean(dim=(1, 2))
    assert changed.shape == pictures.shape and (holes > 0.05).all() and (holes < 0.5).all()
    assert pictures.grad is not None and (pictures.grad.abs().amax(dim=(1, 2, 3)) > 0).all()
