"""`auto` chooses what suits the photos and the machine, and never overrides what one asks for."""

import pytest
import torch

from gseg_cli.builtin import BY_SIZE, Builtin
from gseg_cli.gan.load import read_gan
from gseg_cli.gan.training import memory_need
from gseg_cli.gan.training.auto import auto_config, pick_precision, usual_start
from gseg_cli.gan.training.config import GanTrainConfig, parse_augment
from gseg_cli.gan.training.memory_need import bytes_per_image, warn_of_memory
from gseg_cli.gan.training.stage import choose_config, describe
from gseg_runtime.errors import ConfigError, UsageError
from tests import tiny

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def hopper(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))


def test_on_a_cpu_at_64_px_it_is_the_configuration_that_was_tried():
    config = auto_config({}, num_photos=30_000, device=CPU)
    tried = GanTrainConfig(held_out=1000, precision=pick_precision("auto", CPU))
    assert config == tried
    assert (config.batch, config.lr, config.r1_gamma, config.channel_base) == (16, 0.0025, 1.0, 1024)


@pytest.mark.parametrize(("resolution", "batch", "gamma"), [(64, 32, 0.0256), (256, 16, 0.8192), (1024, 4, 52.4288)])
def test_on_a_gpu_it_is_that_of_stylegan2_ada(resolution, batch, gamma):
    config = auto_config({"resolution": resolution}, num_photos=5000, device=GPU)
    assert (config.batch, config.r1_gamma) == (batch, pytest.approx(gamma))
    assert config.pl_weight == 2.0 and config.z_dim == 512 and config.ema_kimg == pytest.approx(batch * 10 / 32)


@pytest.mark.parametrize("resolution", [64, 256, 1024])
@pytest.mark.parametrize("num_processes", [2, 3, 5, 6, 7, 8, 12, 100])
def test_any_number_of_gpus_shares_a_step_evenly(num_processes, resolution):
    config = auto_config({"resolution": resolution}, num_photos=5000, device=GPU, num_processes=num_processes)
    assert config.batch == config.microbatch * num_processes and config.batch <= max(64, num_processes)


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((12, 0), "bf16")])
def test_a_gpu_without_convolutions_in_bfloat16_computes_in_float32(capability, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert pick_precision("auto", GPU) == precision


@pytest.mark.parametrize(("capability", "begins", "goes_on"), [((7, 5), "fp16", "fp32"), ((9, 0), "bf16", "bf16")])
def test_a_gan_trains_in_bfloat16_where_a_gpu_has_it(capability, begins, goes_on, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert auto_config({}, num_photos=500, device=GPU).precision == begins
    assert auto_config({}, num_photos=500, device=GPU, goes_on=True).precision == goes_on


def test_few_photos_are_augmented_and_many_are_not():
    assert auto_config({}, num_photos=500, device=CPU).augment == "ada"
    assert auto_config({}, num_photos=500, device=CPU).held_out == 25
    assert auto_config({}, num_photos=20_000, device=CPU).augment == "none"
    fixed = auto_config(parse_augment("0.3"), num_photos=500, device=CPU)
    assert (fixed.augment, fixed.augment_p) == ("fixed", 0.3)


def test_what_is_given_stands_and_the_rest_follows_it():
    config = auto_config({"resolution": 128, "batch": 8, "augment": "none"}, num_photos=500, device=CPU)
    assert (config.batch, config.r1_gamma, config.augment) == (8, 8.0, "none")
    assert auto_config({"batch": 16}, num_photos=500, device=CPU, num_processes=4).microbatch == 4


def test_a_gan_that_goes_on_keeps_its_networks_and_its_average(tmp_path):
    gan = tiny.write_gan(tmp_path / "gan.safetensors", seed=0)
    photos = tiny.write_photos(tmp_path / "photos")
    config = choose_config(photos, {}, CPU, init_from=gan)
    assert (config.resolution, config.channel_base, config.z_dim) == (16, 128, 16)
    assert config.ema_rampup is None and config.ada_kimg == 100.0
    assert choose_config(photos, {"resolution": 32}, CPU, init_from=gan).resolution == 32
    assert "channel_base 128" in describe(config) and "augment ada" in describe(config)


@pytest.mark.parametrize(("name", "asked", "has"), [("channel_base", 256, 128), ("arch", "dcgan", "stylegan2")])
def test_networks_other_than_those_to_go_on_from_are_refused(tmp_path, name, asked, has):
    gan, photos = tiny.write_gan(tmp_path / "gan.safetensors", seed=0), tiny.write_photos(tmp_path / "photos")
    assert getattr(choose_config(photos, {name: has}, CPU, init_from=gan), name) == has
    with pytest.raises(ConfigError, match=f"{name}: {asked} was asked for, and .* has {has}") as caught:
        choose_config(photos, {name: asked}, CPU, init_from=gan)
    assert f"leave out --{name.replace('_', '-')};" in caught.value.hint


@pytest.mark.parametrize("text", ["maybe", "1.5", "-0.1", ""])
def test_an_augmentation_that_is_none_is_a_usage_error(text):
    with pytest.raises(UsageError, match="--augment: expected"):
        parse_augment(text)


@pytest.mark.parametrize("change", [{"augment": "some"}, {"augment_p": 2.0}, {"batch": 8, "microbatch": 3}])
def test_a_configuration_that_cannot_be_is_refused(change):
    with pytest.raises(ConfigError, match="expected"):
        GanTrainConfig(**change)


def test_half_precision_without_a_gpu_is_refused():
    with pytest.raises(ConfigError, match="fp16 needs a CUDA device"):
        pick_precision("fp16", CPU)


def test_on_a_cpu_a_training_goes_on_from_the_toy_faces_of_its_size():
    assert usual_start({}, CPU) == Builtin("toy-faces-64")
    assert usual_start({"resolution": 128, "batch": 4, "channel_base": 2048}, CPU) == Builtin("toy-faces")


@pytest.mark.parametrize("resolution", BY_SIZE)
def test_what_a_training_on_a_cpu_goes_on_from_has_the_networks_that_it_would_begin_with(resolution):
    start = usual_start({"resolution": resolution}, CPU).start
    begun = auto_config({"resolution": resolution}, num_photos=1000, device=CPU)
    assert read_gan(start).has_discriminator
    assert begun.like(read_gan(start)) == begun


@pytest.mark.parametrize("other", [{"resolution": 32}, {"arch": "dcgan"}, {"alpha": True}, {"channel_base": 2048}])
def test_a_training_of_other_networks_starts_anew(other):
    assert usual_start(other, CPU) is None and usual_start({}, GPU) is None


def test_a_step_that_takes_more_memory_than_is_free_is_spoken_of(monkeypatch):
    """At 256 px four images took 518 MB in fp32, at 1024 px one took 1282 MB in bf16."""
    large = GanTrainConfig(resolution=1024, channel_base=16384, precision="bf16")
    middle = GanTrainConfig(resolution=256, channel_base=4096, precision="fp32")
    assert bytes_per_image(large) == pytest.approx(1282 * 2**20, rel=0.1)
    assert bytes_per_image(middle) == pytest.approx(518 / 4 * 2**20, rel=0.1)
    assert bytes_per_image(GanTrainConfig(arch="dcgan")) == 0

    def said(config, free, device=CPU):
        monkeypatch.setattr(memory_need, "free_bytes", lambda: free)
        lines = []
        warn_of_memory(config, device, lines.append)
        return lines

    warning = (
        "warning: a step of 16 images at 1024 px takes about 21.6 GB of memory, and 16.0 GB are free: the system may"
    )
    (line,) = said(large, 16 * 10**9)
    assert line == f"{warning} end gseg without a word (begin with --microbatch 8, which takes 10.8 GB)"
    assert said(large, 10**9)[0].endswith("(lower --resolution)")
    assert said(large, 22 * 10**9) == said(large, None) == said(large, 16 * 10**9, GPU) == []
