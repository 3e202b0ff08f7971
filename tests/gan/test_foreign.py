"""Foreign StyleGAN2s give their images; the numbers in golden/ were computed by NVIDIA's and by rosinality's code."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gseg_cli.annotate.formats.png import import_files
from gseg_cli.app import main
from gseg_cli.checkpoint import load_checkpoint, read_meta
from gseg_cli.distill.config import StudentConfig
from gseg_cli.distill.stage import run_distill
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.stage import run_fewshot_train
from gseg_cli.gan import load as networks
from gseg_cli.gan.foreign.checkpoint import ForeignGan
from gseg_cli.gan.load import load_gan, load_generator, read_gan, save_gan
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_cli.gan.sample import SampleSet, write_samples, ws_for_seeds
from gseg_cli.seeding import z_for_seeds
from gseg_runtime.errors import CheckpointError, GsegError, UsageError
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import write_label_png
from tests.tiny import CLASSES, CONFIG, make_generator

GOLDEN = Path(__file__).parents[1] / "golden"
NVIDIA = ("stylegan2_orig", "stylegan2_resnet", "stylegan2_skip")
CLASS = 1


def figures(x):
    """Mean, deviation and seven values, as the makers of the golden files pick them."""
    flat = x.detach().flatten()
    return torch.stack([flat.mean(), flat.std(), *flat[torch.linspace(0, len(flat) - 1, 7).long()]])


def assert_golden(actual, golden):
    torch.testing.assert_close(actual, torch.tensor(golden), rtol=1e-4, atol=2e-5)


def normal(rng, shape, block=None):
    """block: so many numbers are drawn, and repeated."""
    values = np.resize(rng.standard_normal(block), shape) if block else rng.standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def drawn(rng, weights, block=None):
    """Weights as a maker drew them: the parts' state dicts."""
    return [
        {name: offset + scale * normal(rng, shape, block) for name, (shape, offset, scale) in part.items()}
        for part in weights.values()
    ]


@pytest.fixture
def opened(monkeypatch):
    """Let the reader find this in a file; returns the file's path."""

    def put(foreign):
        monkeypatch.setattr(networks, "read_foreign", lambda _: foreign)
        return Path("foreign.pkl")

    return put


def nvidia(golden):
    rng = np.random.RandomState(0)
    g, d = drawn(rng, golden["weights"])
    return ForeignGan("nvidia", g, d, golden["arguments"], None, "NVIDIA pickle"), rng


@torch.no_grad()  # as samples and features are made; test_stylegan2.py has the way with gradients
@pytest.mark.parametrize("name", NVIDIA)
def test_every_architecture_of_nvidias_gives_its_images_features_and_logits(name, opened):
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    foreign, rng = nvidia(golden)
    c_dim = golden["arguments"]["generator"]["c_dim"]
    generator, discriminator = load_gan(opened(foreign), class_index=CLASS if c_dim else None)
    z, styles = normal(rng, [2, 16]), normal(rng, [2, 6, 16])
    colours = generator.config.img_channels
    images = normal(rng, [8, colours, 16, 16]) * torch.linspace(0.25, 2, 8)[:, None, None, None]
    for psi in (1, 0.5):
        ws = generator.mapping(z, psi)
        assert_golden(figures(ws), golden[f"ws psi={psi}"])
    image, stack = generator.features(styles)
    assert image.shape == (2, 3, 16, 16)
    assert_golden(figures(image[:, :colours]), golden["image"])
    for x, expected in zip(stack.maps, golden["layers"].values(), strict=True):
        assert_golden(figures(x), expected)
    assert_golden(discriminator(images.expand(-1, 3, -1, -1)).flatten(), golden["logits"])


@torch.no_grad()
def test_rosinalitys_networks_give_their_images_features_and_logits(opened):
    golden = json.loads((GOLDEN / "rosinality.json").read_text())
    rng = np.random.RandomState(0)
    g, d = drawn(rng, golden["weights"], block := 997)
    mean, z, styles = (normal(rng, shape, block) for shape in ([512], [2, 512], [2, 4, 512]))
    path = opened(ForeignGan("rosinality", g, d, {}, mean[None], "rosinality .pt"))
    generator, discriminator = load_gan(path)
    assert_golden(figures(generator.mapping(z, 0.5)[:, 0]), golden["ws psi=0.5"])
    image, stack = generator.features(styles)
    assert_golden(figures(image), golden["image"])
    for x, expected in zip(stack.maps, golden["layers"], strict=True):
        assert_golden(figures(x), expected)
    assert_golden(discriminator(normal(rng, [4, 3, 8, 8], block)).flatten(), golden["logits"])


def state_dict():
    """A small generator under NVIDIA's names, filters included."""
    return {networks._public(k): v.clone() for k, v in make_generator().state_dict().items()}


def foreign_of(state, judge=None, **hints):
    return ForeignGan("nvidia", state, judge or {}, {"generator": hints} if hints else {}, None, "state dict")


def test_the_config_is_read_from_the_shapes(opened):
    gan = read_gan(opened(foreign_of(state_dict())))
    assert {**vars(gan.config), "discriminator": None, "channel_base": None} == {
        **vars(make_generator().config), "discriminator": None, "channel_base": None,
    }  # fmt: skip
    assert gan.config.feature_layers == make_generator().config.feature_layers


def test_a_missing_truncation_centre_is_the_mean_of_many_w_and_said_to_be(opened):
    state = state_dict()
    del state["mapping.w_avg"]
    path = opened(foreign_of(state))
    generator = load_generator(path)
    mean = generator.mapping_network(z_for_seeds(range(2000), 16)).mean(dim=0)
    torch.testing.assert_close(generator.mapping_network.w_avg, mean, rtol=0, atol=0.1)
    assert torch.equal(generator.mapping_network.w_avg, load_generator(path).mapping_network.w_avg)
    assert read_gan(path).meta["truncation_centre"] == "the mean of 10000 w, seed 0; the file has none"


def test_a_missing_truncation_centre_of_a_conditional_gan_is_the_mean_over_its_classes(opened):
    foreign, _ = nvidia(json.loads((GOLDEN / "stylegan2_resnet.json").read_text()))
    del foreign.generator["mapping.w_avg"]
    path = opened(foreign)
    classes = [load_generator(path, class_index=i) for i in range(3)]
    mean = torch.stack([g.mapping(z_for_seeds(range(1000), 16))[:, 0].mean(dim=0) for g in classes]).mean(dim=0)
    torch.testing.assert_close(classes[0].mapping_network.w_avg, mean, rtol=0, atol=0.1)


def test_missing_noise_is_drawn_the_same_each_time_and_said_to_be(opened):
    state = {k: v for k, v in state_dict().items() if not k.endswith("b16.conv1.noise_const")}
    path = opened(foreign_of(state))
    first, again = (load_generator(path).synthesis_network.b16.conv1.noise_const for _ in range(2))
    assert torch.equal(first, again) and 0.8 < first.std() < 1.2
    assert read_gan(path).meta["noise"].startswith("constant, drawn with seed 0 for 1 of 5 layers")


def test_what_is_stored_in_half_precision_is_computed_in_float32(opened):
    generator = load_generator(opened(foreign_of({k: v.half() for k, v in state_dict().items()})))
    ws = generator.mapping(torch.randn(1, 16))
    assert ws.dtype == torch.float32
    torch.testing.assert_close(generator.synthesis(ws), make_generator().synthesis(ws), rtol=0, atol=0.1)


@pytest.mark.parametrize("channels", [2, 4], ids=["grey and alpha", "colours and alpha"])
def test_transparency_is_shown_over_a_checkerboard(channels, opened):
    config = replace(CONFIG, img_channels=channels)
    torch.manual_seed(0)
    state = {networks._public(name): tensor for name, tensor in StyleGAN2(config).state_dict().items()}
    path = opened(foreign_of(state, Discriminator(config).state_dict()))
    generator = load_generator(path)
    ws = generator.mapping(torch.randn(2, 16))
    drawn = generator.synthesis_network(ws, [torch.float32] * 3, False).numpy()
    image = generator.synthesis(ws).numpy()
    for n, y, x in ((0, 0, 0), (0, 0, 1), (1, 7, 3), (1, 15, 15)):
        *colours, alpha = drawn[n, :, y, x]
        alpha = min(max((alpha + 1) / 2, 0), 1)
        board = 0.8 if (y + x) % 2 else 0.4
        expected = np.broadcast_to(np.array(colours) * alpha + board * (1 - alpha), 3)
        np.testing.assert_allclose(image[n, :, y, x], expected, atol=1e-5)
    assert read_gan(path).meta["discriminator"] == "of the file"


def test_clamping_that_the_file_does_not_tell_of_is_said_to_be_assumed(opened):
    assert read_gan(opened(foreign_of(state_dict()))).meta["conv_clamp"] == "none; the file does not say"
    told = read_gan(opened(foreign_of(state_dict(), conv_clamp=256)))
    assert told.config.conv_clamp == 256 and "conv_clamp" not in told.meta


def test_a_discriminator_that_does_not_fit_is_left_out_and_said_to_be(opened):
    path = opened(foreign_of(state_dict(), {"b16.conv0.weight": torch.zeros(8, 8, 3, 3)}))
    gan = read_gan(path)
    assert not gan.has_discriminator and gan.meta["discriminator"].startswith("left out: ")
    generator, fresh = load_gan(path)
    assert fresh(generator.synthesis(generator.mapping(torch.randn(2, 16)))).shape == (2, 1)


def test_a_discriminator_whose_group_is_the_whole_batch_is_kept(opened):
    """As legacy.py of stylegan2-ada-pytorch writes every GAN of TensorFlow."""
    judge = Discriminator(make_generator().config)
    foreign = foreign_of(state_dict(), judge.state_dict())
    foreign.hints["discriminator"] = {"epilogue_kwargs": {"mbstd_group_size": None}}
    path = opened(foreign)
    assert read_gan(path).meta["discriminator"] == "of the file"
    images, kept = torch.randn(6, 3, 16, 16), load_gan(path)[1]
    judge.b4.mbstd = (None, judge.b4.mbstd[1])
    torch.testing.assert_close(kept(images), judge(images))
    judge.b4.mbstd = (3, judge.b4.mbstd[1])
    assert not torch.allclose(kept(images), judge(images))


WRONG = {
    "a layer of another width": ("synthesis.b8.conv0.weight", torch.zeros(16, 15, 3, 3), "do not fit its config.*b8"),
    "channels that no rule gives": ("synthesis.b8.conv1.weight", torch.zeros(4, 4, 3, 3), "channels at resolution r"),
    "a filter of its own": (
        "synthesis.b8.conv0.resample_filter",
        torch.ones(2, 2),
        r"expected the filter \[1, 3, 3, 1\]",
    ),
    "more values than are stored": ("mapping.w_avg", torch.zeros(1).expand(10**12), "claims more values"),
    "a rectangular constant with square noise": (
        "synthesis.b4.const",
        torch.zeros(16, 4, 8),
        "do not fit its config.*noise_const",
    ),
    "sizes with a gap": ("synthesis.b64.conv1.weight", torch.zeros(1, 1, 3, 3), r"4, 8, 16 \.\.\. pixels, got"),
    "no layer of the mapping": ("mapping.fc1.weight", None, "do not fit its config|mapping layers"),
    "an unknown tensor": ("synthesis.b8.conv7.weight", torch.zeros(1), "Unexpected key"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_gseg_cannot_compute_is_refused_with_its_reason(what, opened):
    name, tensor, reason = WRONG[what]
    state = state_dict()
    state.pop(name, None) if tensor is None else state.update({name: tensor})
    with pytest.raises(CheckpointError, match=rf"foreign\.pkl.*{reason}"):
        load_generator(opened(foreign_of(state)))


@pytest.mark.parametrize("hints", [{"synthesis_kwargs": {"activation": "relu"}}, {"conv_clamp": "256"}])
def test_arguments_that_gseg_does_not_follow_are_refused(hints, opened):
    with pytest.raises(CheckpointError, match=r"activation: expected lrelu, got relu|conv_clamp: expected a number"):
        read_gan(opened(foreign_of(state_dict(), **hints)))


@pytest.mark.parametrize(
    ("chosen", "message"), [(None, "GAN with 3 classes; choose one"), (3, "expected 0 to 2, got 3")]
)
def test_a_conditional_gan_needs_one_of_its_classes(chosen, message, opened):
    foreign, _ = nvidia(json.loads((GOLDEN / "stylegan2_resnet.json").read_text()))
    with pytest.raises(UsageError, match=message):
        load_generator(opened(foreign), class_index=chosen)


def test_a_gan_without_classes_takes_none(tiny_gan):
    with pytest.raises(UsageError, match="expected none, the GAN has no classes, got 0"):
        load_generator(tiny_gan, class_index=0)


def stop_at_class(generator, *_, **__):
    raise InterruptedError(f"class {generator.class_index}")


def test_the_class_goes_with_the_samples_to_the_annotations_the_teacher_and_the_pairs(tmp_path, monkeypatch):
    config = replace(CONFIG, c_dim=3)
    gan = tmp_path / "gan.safetensors"
    save_gan(gan, StyleGAN2(config), Discriminator(config), {})
    generator = load_generator(gan, class_index=2)
    samples = write_samples(generator, gan, [0, 1], 0.7, tmp_path / "samples")
    other = load_generator(gan, class_index=0)
    assert not np.allclose(ws_for_seeds(other, [0], 0.7).numpy(), samples.ws[:1])
    with pytest.raises(GsegError, match="holds samples of class 2, not 0"):
        write_samples(other, gan, [2], 0.7, tmp_path / "samples")
    for seed in (0, 1):
        write_label_png(tmp_path / f"{seed}.png", np.eye(16, dtype=np.uint8), CLASSES)
    annotations = import_files(sorted(tmp_path.glob("?.png")), SampleSet.load(tmp_path / "samples"), CLASSES).all()
    annotations.save(tmp_path / "annotations", source="test")
    config = FewshotConfig(steps=1, pixels=8)
    teacher = run_fewshot_train(gan, tmp_path / "annotations", config, tmp_path / "runs", torch.device("cpu"))
    with monkeypatch.context() as patch, pytest.raises(InterruptedError, match="class 2"):
        patch.setattr("gseg_cli.distill.stage.make_pairs", stop_at_class)
        run_distill(gan, teacher.checkpoint, StudentConfig(), tmp_path / "runs", torch.device("cpu"))


# From here on real files, through the reader and the command line.
@pytest.fixture
def state_file(tmp_path):
    path = tmp_path / "generator.pt"
    torch.save(state_dict(), path)
    return path


def test_converted_it_gives_the_same_images_and_names_its_parent(state_file, tmp_path, capsys):
    out = tmp_path / "gan.safetensors"
    assert main(["convert", str(state_file), str(out)]) == 0
    ws = torch.randn(1, 6, 16)
    assert torch.equal(load_generator(out).synthesis(ws), load_generator(state_file).synthesis(ws))
    assert read_meta(out)["parents"] == [
        {"kind": "foreign gan", "path": str(state_file), "sha256": sha256_file(state_file)}
    ]
    assert {name.partition(".")[0] for name in load_checkpoint(out)[0]} == {"G_ema"}
    assert "StyleGAN2, architecture skip" in capsys.readouterr().out


def test_converting_overwrites_only_when_asked_and_never_converts_twice(state_file, tiny_gan, tmp_path, capsys):
    out = tmp_path / "gan.safetensors"
    assert main(["convert", str(state_file), str(out)]) == 0
    assert main(["convert", str(state_file), str(out)]) == 1 and "--overwrite" in capsys.readouterr().err
    assert main(["convert", str(state_file), str(out), "--overwrite"]) == 0
    assert main(["convert", str(tiny_gan), str(tmp_path / "x.safetensors")]) == 1
    assert "is a GAN of gseg already" in capsys.readouterr().err
    assert main(["convert", str(state_file), str(tmp_path / "x.pkl")]) == 2


def test_converting_never_replaces_what_gseg_did_not_write(tmp_path, capsys):
    """Neither the checkpoint itself, which holds more than is converted, nor a folder."""
    theirs, folder = tmp_path / "gan.safetensors", tmp_path / "folder.safetensors"
    save_file(state_dict(), theirs)
    folder.mkdir()
    before = sha256_file(theirs)
    for out in (theirs, folder):
        assert main(["convert", str(theirs), str(out), "--overwrite"]) == 1
        assert f"{out}: exists already, and gseg did not write it" in capsys.readouterr().err
    assert sha256_file(theirs) == before


def test_a_full_disk_is_no_bug(state_file, tmp_path, capsys, small_disk):
    with small_disk:
        assert main(["convert", str(state_file), str(tmp_path / "gan.safetensors")]) == 1
    assert "gan.safetensors: cannot be written: File too large" in capsys.readouterr().err
    assert not (tmp_path / "gan.safetensors").exists()


def test_info_says_what_one_wants_to_know_before_using_it(state_file, capsys):
    assert main(["info", str(state_file), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["resolution"] == 16 and data["mapping"] == {"layers": 2, "z_dim": 16, "w_dim": 16}
    assert data["truncation_centre"] == "w_avg of the file" and data["discriminator"] == "none in the file"
    assert data["representation"] == {
        "layers": 5, "channels": 64, "channels_at": {"4px": "16", "8px": "16 + 16", "16px": "8 + 8"},
        "bytes_per_image": 4 * (16 * 16 + 32 * 64 + 16 * 256), "bytes_concatenated": 4 * 64 * 256,
    }  # fmt: skip
    trained = [p for k, p in make_generator().named_parameters()]
    assert data["num_parameters"] == sum(p.numel() for p in trained)


def test_a_project_begins_with_the_foreign_file_itself(state_file, tmp_path):
    folder = str(tmp_path / "project")
    assert main(["init", folder, "--gan", str(state_file), "--classes", "background,face"]) == 0
    assert main(["-C", folder, "sample", "--seeds", "0-1"]) == 0
    facts = json.loads((tmp_path / "project" / "samples" / "samples.json").read_text())
    assert facts["resolution"] == 16 and facts["gan"]["sha256"] == sha256_file(state_file) and "class" not in facts


@pytest.mark.parametrize(
    "name", ["input.input", "conv1.conv.weight", "to_rgb1.bias", "convs.0.noise.weight", "noises.noise_1"]
)
@pytest.mark.parametrize("shape", [[5], [2, 2], [3, 3, 3, 3, 3, 2]])
def test_a_tensor_of_a_shape_no_layer_has_is_an_error_and_not_a_crash(opened, name, shape):
    golden = json.loads((GOLDEN / "rosinality.json").read_text())
    g, d = drawn(np.random.RandomState(0), golden["weights"], 997)
    assert name in g
    with pytest.raises(CheckpointError):
        load_gan(opened(ForeignGan("rosinality", {**g, name: torch.zeros(shape)}, d, {}, None, "rosinality .pt")))
