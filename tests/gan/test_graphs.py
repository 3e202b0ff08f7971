"""Phases of a step as graphs: the same draws in the same order, the same numbers, and nothing left on the host."""

from dataclasses import fields, replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gseg_cli.gan.training import graphs as module
from gseg_cli.gan.training import loss, warp
from gseg_cli.gan.training.augment import Transforms, apply_packed, apply_transforms, draw_transforms, packed
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.graphs import Graphs, Tape
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_cli.world import World
from tests.far_device import FAR, allow_fused, is_here, waits

CPU = torch.device("cpu")
# Every kind of step comes within six of them; and ADA has turned up the augmentation by the fifth.
CONFIG = GanTrainConfig(
    resolution=16, channel_base=128, channel_max=16, z_dim=16, batch=4, precision="fp32", r1_interval=2, pl_weight=2.0,
    pl_interval=3, augment="ada", ada_target=-1.0, ada_kimg=0.03,
)  # fmt: skip


class Repeats(Graphs):
    """In the place of graphs, where there are none: what is recorded is computed again, from the tape's memory only."""

    def _record(self, compute):
        tape = Tape(self.device)
        for _ in range(module.WARM_UPS):
            compute(tape)
            tape.rewind()

        def replay():
            tape.rewind()
            with nothing_from_here(self.device):
                return compute(tape)

        return tape, replay


class nothing_from_here(TorchDispatchMode):  # noqa: N801
    """On a far device: inside, the host computes nothing that would be missing in a graph."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if self.device == FAR:
            assert not any(is_here(x) for x in tree_leaves((args, kwargs, result))), func
        return result


@pytest.fixture
def images():
    return torch.randint(0, 256, (24, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def pair(config, images):
    """A trainer as it is on a CPU, and one with recorded phases; the noise of a GPU does not come from the host."""
    classes = torch.arange(len(images)) % config.num_classes if config.num_classes else None
    eager, recorded = (GanTrainer(config, images, CPU, classes=classes) for _ in range(2))
    eager.G.random_noise = recorded.G.random_noise = False
    recorded.graphs = Repeats(CPU)
    return eager, recorded


def figures(stats):
    return {name: float(value) for name, value in stats.items()}


@pytest.mark.parametrize("num_classes", [0, 3])
def test_without_augmentation_recorded_steps_are_the_very_same(images, monkeypatch, num_classes):
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)  # of the path length: drawn on the device too
    eager, recorded = pair(replace(CONFIG, augment="none", num_classes=num_classes), images)
    for _ in range(6):
        assert figures(recorded.step()) == figures(eager.step())
    for name, value in eager.state().items():
        assert torch.equal(recorded.state()[name], value), name
    assert len(recorded.graphs.recorded) == 4


def test_with_augmentation_they_are_the_same_up_to_rounding(images, monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)
    eager, recorded = pair(CONFIG, images)
    for _ in range(6):
        assert figures(recorded.step()) == pytest.approx(figures(eager.step()), rel=1e-3, abs=1e-6)
    assert recorded.augment_p == eager.augment_p > 0.2
    assert len(recorded.graphs.recorded) == 7  # three with and without augmentation; the path length needs none


def test_recorded_steps_follow_from_the_state_alone(images):
    _, whole = pair(CONFIG, images)
    for _ in range(5):
        whole.step()
    _, resumed = pair(CONFIG, images)
    resumed.load_state({name: tensor.clone() for name, tensor in whole.state().items()})
    torch.manual_seed(123)
    assert figures(resumed.step()) == figures(whole.step())


@pytest.mark.parametrize(
    ("augment", "more"), [("none", {}), ("fixed", {}), ("fixed", {"num_classes": 3}), ("fixed", {"alpha": True})]
)
def test_a_recorded_phase_has_nothing_of_the_host_but_through_its_feed(images, monkeypatch, augment, more):
    allow_fused(monkeypatch)
    classes = torch.arange(len(images)) % 3 if "num_classes" in more else None
    images = images[:, [0, 1, 2, 0]] if "alpha" in more else images
    config = replace(CONFIG, augment=augment, augment_p=0.5 * (augment == "fixed"), **more)
    trainer = GanTrainer(config, images, FAR, classes=classes)
    trainer.graphs = Repeats(FAR)
    with waits() as found:
        stats = [trainer.step() for _ in range(6)]
    assert not found and stats[-1].keys() == {"loss_D", "real_sign", "loss_G", "r1", "path_length"}


def test_a_tape_draws_again_in_its_order_into_the_same_memory():
    tape, done = Tape(CPU), []

    def phase(feed):
        feed.host(lambda: done.append("seed"))
        return feed(lambda: torch.full([2], float(len(done)))), feed(lambda: done.append("drawn") or torch.ones(1))

    first = phase(tape)
    tape.rewind()
    assert all(x is y for x, y in zip(phase(tape), first, strict=True)) and done == ["seed", "drawn"]
    tape.refill()
    assert done == ["seed", "drawn"] * 2 and first[0].tolist() == [3, 3]
    tape.buffers[0].resize_(3)
    with pytest.raises(AssertionError):
        tape.refill()


def test_only_whole_small_steps_of_one_gpu_are_recorded(images):
    trainer = GanTrainer(CONFIG, images, CPU)
    assert trainer.graphs is None and not trainer._can_be_recorded()
    trainer.device = torch.device("cuda")
    assert trainer._can_be_recorded()
    for name, value in (
        ("num_chunks", 2), ("config", replace(CONFIG, arch="dcgan", pl_weight=0.0)), ("device", FAR),
        ("world", World(0, 2)), ("images", torch.empty(1, 3, 256, 256)),
    ):  # fmt: skip
        before = getattr(trainer, name)
        setattr(trainer, name, value)
        assert not trainer._can_be_recorded(), name
        setattr(trainer, name, before)


@pytest.mark.parametrize("size", [16, 64])
def test_the_largest_margins_show_the_same_image(size):
    torch.manual_seed(0)
    images, transforms = torch.rand(8, 3, size, size) * 2 - 1, draw_transforms(8, 0.8)
    neutral = {name: torch.ones(8) for name in ("contrast", "saturation")}  # which would magnify the rounding
    transforms = replace(transforms, **neutral)
    results = []
    for by in (lambda x: apply_transforms(x, transforms), lambda x: apply_packed(x, packed(transforms, size))):
        source = images.clone().requires_grad_(True)
        result = by(source)
        results.append((result.detach(), *torch.autograd.grad(result.square().sum(), source)))
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=2e-4)
    assert (results[1][0] - results[0][0]).abs().mean() < 1e-5


def test_of_a_strong_zoom_out_only_the_edge_differs():
    torch.manual_seed(0)
    images, neutral = torch.rand(2, 3, 64, 64) * 2 - 1, draw_transforms(2, 0.0)
    half = replace(neutral, scale=torch.full([2], 0.5))
    gap = (apply_transforms(images, half) - apply_packed(images, packed(half, 64))).abs()
    assert gap.max() < 2e-3 and gap[..., 1:-1, 1:-1].max() < 1e-4


def test_packed_transforms_are_as_many_numbers_for_each_image_and_alike_in_any_batch():
    torch.manual_seed(0)
    transforms = draw_transforms(6, 1.0)
    together = packed(transforms, 16)
    assert together.shape == (6, 18)
    alone = Transforms(**{f.name: getattr(transforms, f.name)[2:3] for f in fields(Transforms)})
    torch.testing.assert_close(packed(alone, 16), together[2:3])
    assert warp.widest(16) == ((15, 15), (15, 15))


def test_layers_come_from_another_latent_behind_a_crossover():
    ws, other = torch.randn(2, 3, 6, 4).unbind()
    torch.manual_seed(0)
    state, cutoffs = torch.get_rng_state(), set()
    for _ in range(200):
        kept = loss.draw_kept(6, 0.5)
        cutoff = int(kept.sum())
        cutoffs.add(cutoff)
        assert torch.equal(loss.mix_styles(ws, other, kept), torch.cat([ws[:, :cutoff], other[:, cutoff:]], dim=1))
    assert cutoffs == {1, 2, 3, 4, 5, 6}
    torch.set_rng_state(state)
    assert loss.draw_kept(6, 0.0).all() and torch.equal(torch.get_rng_state(), one_draw_after(state))


def one_draw_after(state):
    generator = torch.Generator()
    generator.set_state(state)
    torch.rand([], generator=generator)
    return generator.get_state()
