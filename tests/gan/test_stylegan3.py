"""StyleGAN3: NVIDIA's images (golden/ was computed by their code), features where the pixels are, and gseg's stages."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gseg_cli.gan.load as networks
from gseg_cli.app import main
from gseg_cli.distill.config import DistillConfig, PairsConfig, StudentConfig
from gseg_cli.distill.stage import run_distill
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.features import resize_map
from gseg_cli.fewshot.model import load_teacher, save_teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.stage import run_fewshot_train
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.foreign.checkpoint import ForeignGan, read_bytes
from gseg_cli.gan.generator import images_at_once
from gseg_cli.gan.inversion import inverter
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.drawn_samples import draw_samples
from gseg_cli.gan.inversion.invert import invert
from gseg_cli.gan.load import load_gan, load_generator, save_gan
from gseg_cli.gan.networks import lowpass, stylegan3
from gseg_cli.gan.networks.config import StyleGAN3Config, make_config
from gseg_cli.gan.networks.stylegan3 import StyleGAN3, discriminator_of
from gseg_cli.gan.networks.stylegan3_plan import plan
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.training.stage import choose_config
from gseg_runtime.errors import CheckpointError, ConfigError
from gseg_runtime.files import sha256_file
from gseg_runtime.metrics import confusion_matrix, mean_iou
from tests.gan.foreign.files import Persistent, network, nvidia_modules, torch_bytes
from tests.tiny import CLASSES, annotate, make_generator, write_photos

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = StyleGAN3Config(img_resolution=32, channel_base=512, channel_max=16, z_dim=16, w_dim=16, num_layers=6)
RADIAL = {"conv_kernel": 1, "use_radial_filters": True}


def make(config: StyleGAN3Config = SMALL, seed: int = 0) -> StyleGAN3:
    """Nobody trained it, but w moves and turns its waves, and its biases count."""
    torch.manual_seed(seed)
    generator = StyleGAN3(config).eval().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if name.endswith(("input.affine.weight", "bias")):
            parameter.add_(0.2 * torch.randn_like(parameter))
    return generator


@pytest.fixture(scope="module")
def gan(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("stylegan3") / "gan.safetensors"
    save_gan(path, make(), discriminator_of(SMALL), {})
    return path


def normal(rng, shape):
    return torch.from_numpy(np.asarray(rng.standard_normal(shape), np.float32))


def figures(x):
    """Mean, deviation and seven values, as the maker of the golden files picks them."""
    flat = x.flatten()
    return torch.stack([flat.mean(), flat.std(), *flat[torch.linspace(0, len(flat) - 1, 7).long()]])


def assert_golden(actual, golden):
    torch.testing.assert_close(actual, torch.tensor(golden), rtol=1e-4, atol=2e-5)


def filters_of(config: StyleGAN3Config) -> dict[str, torch.Tensor]:
    """As they stand in NVIDIA's files."""
    found = {}
    for layer in plan(config):
        for which, filter in (("up", layer.up_filter), ("down", layer.down_filter)):
            if filter:
                found[f"synthesis.{layer.name}.{which}_filter"] = lowpass.kernel(filter)
    return found


def public(generator: StyleGAN3) -> dict[str, torch.Tensor]:
    """Its state dict under NVIDIA's names, filters included."""
    names = {name: name.replace("_network.", ".") for name in generator.state_dict()}
    state = {names[name]: tensor for name, tensor in generator.state_dict().items()}
    return state | filters_of(generator.config)


def snapshot(generator: StyleGAN3, **given: Any) -> bytes:
    """A pickle as NVIDIA's code writes it, with what its networks were made with."""
    with nvidia_modules():
        G = network(public(generator), _init_kwargs=given)
        state = G.meta["state"]
        synthesis = state["_modules"]["synthesis"]
        synthesis.meta["state"] |= {
            "num_fp16_res": 4, "layer_names": [], "margin_size": generator.config.margin_size,
            "num_critical": generator.config.num_critical, "output_scale": generator.config.output_scale,
        }  # fmt: skip
        return pickle.dumps({"G": None, "D": Persistent("Unknown"), "G_ema": G}, 4)


@torch.no_grad()
@pytest.mark.parametrize("name", ["t", "r"])
def test_images_and_features_are_nvidias_when_every_layer_has_a_style_of_its_own(name, monkeypatch):
    golden = json.loads((GOLDEN / f"stylegan3_{name}.json").read_text())
    rng = np.random.RandomState(0)
    drawn = {
        tensor: offset + scale * normal(rng, shape) for tensor, (shape, offset, scale) in golden["weights"].items()
    }
    arguments = golden["arguments"]
    foreign = ForeignGan("stylegan3", drawn, {}, {"generator": arguments}, None, "NVIDIA pickle")
    monkeypatch.setattr(networks, "read_foreign", lambda _: foreign)
    generator = load_generator(Path("foreign.pkl"), class_index=1 if arguments["c_dim"] else None)
    z, styles = normal(rng, [2, 16]), normal(rng, [2, generator.num_ws, 16])
    assert_golden(figures(generator.mapping(z, 0.5)), golden["ws"])
    image, stack = generator.features(styles)
    assert_golden(figures(image), golden["image"])
    assert stack.channels == generator.feature_channels
    for x, expected in zip(stack.maps, golden["layers"].values(), strict=True):
        assert_golden(figures(x), expected)


@torch.no_grad()
@pytest.mark.parametrize("more", [{}, {**RADIAL, "margin_size": 4, "num_critical": 1}], ids=["t", "r"])
def test_a_snapshot_of_nvidias_is_opened_and_converted_and_draws_the_same(more, tmp_path, capsys):
    generator = make(StyleGAN3Config(**{**vars(SMALL), **more}))
    file, out = tmp_path / "gan.pkl", tmp_path / "gan.safetensors"
    file.write_bytes(snapshot(generator, channel_base=512, channel_max=16, **more))
    assert main(["convert", str(file), str(out)]) == 0
    ws = ws_for_seeds(generator, [3], 0.7)
    for path in (file, out):
        assert torch.equal(load_generator(path).synthesis(ws), generator.synthesis(ws))
        capsys.readouterr()
        assert main(["--json", "info", str(path)]) == 0
        facts = json.loads(capsys.readouterr().out)["data"]
        assert facts["family"] == f"StyleGAN3, configuration {'R' if more else 'T'}"
        assert facts["origin"] == "NVIDIA pickle (stylegan3 repository)"
        assert facts["representation"]["channels"] == sum(generator.feature_channels)


def test_a_state_dict_alone_is_opened_by_its_names_and_filters(tmp_path):
    generator = make()
    file = tmp_path / "gan.pt"
    file.write_bytes(torch_bytes(public(generator)))
    assert load_generator(file).config == SMALL


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"synthesis.L2_52_16.up_filter": torch.ones(24) / 24}, "L2_52_16.up_filter: expected the filter"),
        ({"synthesis.L9_52_16.weight": torch.ones(16, 16, 3, 3)}, "expected layers L0, L1, L2"),
        ({"mapping.fc0.weight": torch.ones(16, 20)}, "mapping network takes 20 numbers, expected 16"),
        ({"mapping.embed_proj.weight": torch.ones(16, 20)}, "StyleGAN-XL"),
        ({"mapping.embed.weight": torch.ones(1000, 320)}, "StyleGAN-XL"),
        ({"synthesis.L0_36_16.weight": torch.ones(16, 16, 3, 5)}, "do not fit"),
        ({"synthesis.L0_36_16.weight": torch.ones(16)}, "expected a tensor of 4 axes"),
        ({"synthesis.input.affine.weight": torch.ones(4)}, "expected a tensor of 2 axes"),
    ],
)
def test_tensors_of_another_network_are_refused(changed, message):
    config = StyleGAN3Config(**{**vars(SMALL), "z_dim": 16})
    foreign = read_bytes(memoryview(torch_bytes(public(make(config)) | changed)))
    with pytest.raises(CheckpointError, match=message):
        adopted = networks.adopt(ForeignGan(**{**vars(foreign), "hints": {"generator": {"z_dim": 16}}}))
        networks._build(networks.GanFile(Path("x"), adopted.kind, adopted.config, adopted.tensors, {}), "G_ema.")


def test_rectangular_ones_of_stylegan_human_are_refused_by_name():
    foreign = read_bytes(memoryview(snapshot(make(SMALL), square=False)))
    with pytest.raises(CheckpointError, match="StyleGAN3 of rectangular pictures"):
        networks.adopt(foreign)


@pytest.mark.parametrize(
    "wrong",
    [{"num_layers": 10**6}, {"num_critical": 6}, {"first_cutoff": 40.0}, {"last_stopband_rel": 3.0},
     {"margin_size": 10**9}, {"filter_size": 7}, {"conv_kernel": 2}, {"img_channels": 4}, {"output_scale": "a"}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_a_config_that_no_stylegan3_has_is_refused(wrong):
    with pytest.raises(ConfigError):
        make_config("stylegan3", {**vars(SMALL), **wrong})


@torch.no_grad()
@pytest.mark.parametrize("more", [{}, RADIAL], ids=["t", "r"])
def test_features_move_with_the_picture(more):
    """Two pixels of the picture are two samples of a layer of its size, and one of a layer of half its size."""
    generator = make(StyleGAN3Config(**{**vars(SMALL), "margin_size": 24, **more}))
    ws = ws_for_seeds(generator, [0], 1)
    image, stack = generator.features(ws)
    generator.synthesis_network.input.transform[0, 2] = 2 / 32
    moved, moved_stack = generator.features(ws)
    sizes = [x.shape[-1] for x in stack.maps]
    assert sizes == [16, 16, 32, 32, 32, 32]
    inner = slice(6, -6)  # the last layer has no margin, and sees zeros beside the picture
    for x, y in [(image, moved), *zip(stack.maps, moved_stack.maps, strict=True)]:
        expected = x.roll(-2 * x.shape[-1] // 32, dims=3)
        torch.testing.assert_close(y[:, :, inner, inner], expected[:, :, inner, inner], rtol=0, atol=2e-2 * x.std())
        assert (y - x)[:, :, inner, inner].std() > 0.1 * x.std()


@torch.no_grad()
def test_features_are_centred_on_the_picture():
    """Where waves and weights are mirrored, everything is, about the middle of the picture."""
    generator = make()
    ws = ws_for_seeds(generator, [0], 1)
    image, stack = generator.features(ws)
    generator.synthesis_network.input.transform[0, 0] = -1
    for name, parameter in generator.named_parameters():
        if name.endswith(".weight") and parameter.ndim == 4:
            parameter.copy_(parameter.flip(3))
    mirrored, mirrored_stack = generator.features(ws)
    for x, y in [(image, mirrored), *zip(stack.maps, mirrored_stack.maps, strict=True)]:
        torch.testing.assert_close(y, x.flip(3), rtol=0, atol=1e-4)


def test_fewer_images_are_drawn_at_once_than_of_a_stylegan2():
    assert images_at_once(make_generator(), 2**12, 32) == 16
    assert images_at_once(make(), 2**14, 32) == 4


@torch.no_grad()
def test_few_channels_at_a_time_give_what_all_at_once_give(monkeypatch):
    generator = make()
    ws = ws_for_seeds(generator, [0, 1], 1)
    expected = generator.synthesis(ws)
    monkeypatch.setattr(stylegan3, "MAX_SAMPLES", 3 * 2 * 200**2)
    torch.testing.assert_close(generator.synthesis(ws), expected)


def labels_of(generator: StyleGAN3, seeds: list[int]) -> np.ndarray:
    """How many of two channels are above 0: one of a coarse layer and one of the last."""
    _, stack = generator.features(ws_for_seeds(generator, seeds, 1))
    above = [resize_map(x[:, :1], generator.img_resolution) > 0 for x in (stack.maps[1], stack.maps[-1])]
    return torch.cat(above, dim=1).sum(dim=1).to(torch.uint8).numpy()


def test_a_teacher_and_a_student_learn_from_it(gan, tmp_path):
    generator, seeds, device = load_generator(gan), [0, 1, 2, 3], torch.device("cpu")
    annotations = annotate(generator, seeds, labels_of(generator, seeds), sha256_file(gan))
    annotations.save(tmp_path / "annotations", source="a test")
    how = FewshotConfig(model="mlp", steps=200, pixels=512)
    teacher = run_fewshot_train(gan, tmp_path / "annotations", how, tmp_path / "runs", device).checkpoint
    config = StudentConfig(pairs=PairsConfig(count=6), train=DistillConfig(steps=3, batch=4, student="tiny"))
    student = run_distill(gan, teacher, config, tmp_path / "runs", device)
    found = predict(generator, load_teacher(teacher)[0], ws_for_seeds(generator, [7, 8], 1)).labels.numpy()
    assert mean_iou(confusion_matrix(found, labels_of(generator, [7, 8]), len(CLASSES))) > 0.6
    assert student.checkpoint.is_file() and student.held_out_miou > 0


def test_photos_are_inverted_in_w_plus_and_f_is_refused_by_name(gan):
    generator, discriminator = load_gan(gan)
    generator.eval().requires_grad_(False)
    discriminator.eval().requires_grad_(False)
    samples = draw_samples(generator, discriminator, 0, torch.device("cpu"))
    with torch.no_grad():
        photo = generator.synthesis(ws_for_seeds(generator, [9999], 1))
    gaps: list[float] = []
    config = InvertConfig(space="w+", steps=20)
    invert(generator, photo, samples, None, config, on_step=lambda step, gap: gaps.append(float(gap.mean())))
    assert min(gaps) < 0.5 * gaps[0]
    with pytest.raises(ConfigError, match="f is for StyleGAN2, this is a stylegan3"):
        invert(generator, photo, samples, None, InvertConfig(space="f", steps=1))


def test_f_is_refused_before_samples_are_drawn_and_a_folder_is_claimed(gan, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(inverter, "draw_samples", lambda *_: pytest.fail("an hour of work at 1024 px"))
    generator = load_generator(gan)
    taught = annotate(generator, [0, 1], labels_of(generator, [0, 1]))
    network = fit_teacher(generator, taught, FewshotConfig(steps=3, num_heads=1))
    save_teacher(tmp_path / "teacher.safetensors", network, CLASSES, {"gan_sha256": sha256_file(gan)})
    photos, out = write_photos(tmp_path / "photos", 1), tmp_path / "out"
    how = ["--gan", str(gan), "--teacher", str(tmp_path / "teacher.safetensors"), "--device", "cpu"]
    assert main(["fewshot-segment", str(photos), "-o", str(out), *how]) == 1
    assert "space: f is for StyleGAN2, this is a stylegan3" in capsys.readouterr().err
    assert not out.exists()


def test_gan_train_refuses_to_start_from_it(gan, tmp_path):
    with pytest.raises(ConfigError, match="a StyleGAN3, which gan-train does not train"):
        choose_config(write_photos(tmp_path / "photos"), {}, torch.device("cpu"), init_from=gan)
