"""One network under the names of many programs gives the same tensors, and none is opened as what it is not."""

import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from gseg_cli.app import main
from gseg_cli.gan.foreign.checkpoint import ForeignGan
from gseg_cli.gan.foreign.colours import turned
from gseg_cli.gan.load import GanFile, load_generator, make_networks, read_gan
from gseg_cli.gan.networks.config import StyleGAN2Config
from gseg_runtime.errors import CheckpointError, UsageError
from tests.gan.foreign.files import torch_bytes

# The layers of a generator of 8 px, by NVIDIA's names: the parts of their names, and the number of their noise.
LAYERS = {"b4.conv1": ("conv1", 0), "b8.conv0": ("convs.0", 1), "b8.conv1": ("convs.1", 2)}
COLOURS = {"b4.torgb": ("to_rgb1", 0), "b8.torgb": ("to_rgbs.0", 1)}
# Per program: the constant, the mapping's layers from 1, a layer's weight, style, bias and strength, and its noise.
NAMES = {
    "rosinality": (
        "input.input",
        "style.{n}.{kind}",
        ("{part}.conv.weight", "{part}.conv.modulation.{kind}", "{part}.activate.bias", "{part}.noise.weight"),
        "noises.noise_{n}",
    ),
    "mmgeneration": (
        "constant_input.input",
        "style_mapping.{n}.{kind}",
        (
            "{part}.conv.weight_orig",
            "{part}.conv.style_modulation.{kind}",
            "{part}.activate.bias",
            "{part}.noise_injector.weight",
        ),
        "injected_noise_{n}",
    ),
    "basicsr": (
        "constant_input.weight",
        "style_mlp.{n}.{kind}",
        (
            "{part}.modulated_conv.weight",
            "{part}.modulated_conv.modulation.{kind}",
            "{part}.activate.bias",
            "{part}.weight",
        ),
        "noises.noise{n}",
    ),
}
BLUR = {"rosinality": "conv.blur", "mmgeneration": "conv.blur", "basicsr": "modulated_conv.smooth"}
FILTER = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def generator(w_dim: int = 8) -> dict[str, Tensor]:
    """Of 8 px, with 16 channels; nothing in it is zero or repeats."""
    torch.manual_seed(0)
    config = StyleGAN2Config(img_resolution=8, z_dim=w_dim, w_dim=w_dim, channel_base=128, channel_max=16)
    state = make_networks("stylegan2", config)[0].state_dict()
    kept = {name.replace("_network.", "."): t for name, t in state.items() if not name.endswith("resample_filter")}
    return {name: torch.randn_like(tensor) for name, tensor in kept.items()}


def renamed(program: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A generator as rosinality's code or its descendants save it, without w_avg."""
    const, mapping, (weight, style, bias, strength), noise = NAMES[program]
    is_mm, prefix = program == "mmgeneration", "style_" if program == "basicsr" else ""
    out = {const: tensors["synthesis.b4.const"][None]}
    for i in range(2):
        for kind in ("weight", "bias"):
            word = "linear.weight_orig" if is_mm and kind == "weight" else kind
            out[mapping.format(n=i + 1, kind=word)] = tensors[f"mapping.fc{i}.{kind}"]
    for layer, (part, number) in {**LAYERS, **COLOURS}.items():
        own = {name.removeprefix(f"synthesis.{layer}."): t for name, t in tensors.items() if f".{layer}." in name}
        part = part if "torgb" in layer else prefix + part
        out[weight.format(part=part)] = own["weight"][None]
        for kind in ("weight", "bias"):
            word = "linear.weight_orig" if is_mm and kind == "weight" else kind
            out[style.format(part=part, kind=word)] = own[f"affine.{kind}"]
        if "torgb" in layer:
            out[f"{part}.bias"] = own["bias"][None, :, None, None]
        else:
            out[bias.format(part=part)] = own["bias"]
            out[strength.format(part=part)] = own["noise_strength"][None]
            out[noise.format(n=number)] = own["noise_const"][None, None]
    return {**out, f"{prefix}convs.0.{BLUR[program]}.kernel": FILTER * 4}


def genforce(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    out = {"synthesis.early_layer.const": tensors["synthesis.b4.const"][None]}
    out["truncation.w_avg"] = tensors["mapping.w_avg"]
    for i in range(2):
        out |= {f"mapping.dense{i}.{kind}": tensors[f"mapping.fc{i}.{kind}"] for kind in ("weight", "bias")}
    for layer, (_, number) in {**LAYERS, **COLOURS}.items():
        own = {name.removeprefix(f"synthesis.{layer}."): t for name, t in tensors.items() if f".{layer}." in name}
        part = f"synthesis.{'output' if 'torgb' in layer else 'layer'}{number}"
        out[f"{part}.weight"] = own["weight"].flip(2, 3) if layer == "b8.conv0" else own["weight"]
        out |= {f"{part}.bias": own["bias"], f"{part}.style.weight": own["affine.weight"]}
        out[f"{part}.style.bias"] = own["affine.bias"] - 1
        if "torgb" not in layer:
            out |= {f"{part}.noise": own["noise_const"][None, None], f"{part}.noise_strength": own["noise_strength"]}
    return {**out, "synthesis.layer1.filter.kernel": FILTER[None, None] * 4}


def opened(data: bytes, tmp_path) -> GanFile:
    (tmp_path / "gan").write_bytes(data)
    return read_gan(tmp_path / "gan")


def assert_same(gan: GanFile, tensors: dict[str, Tensor]) -> None:
    expected = {f"G_ema.{name}": tensor for name, tensor in tensors.items() if name != "mapping.w_avg"}
    assert set(gan.tensors) - set(expected) == {"G_ema.mapping.w_avg"}
    for name, tensor in expected.items():
        torch.testing.assert_close(gan.tensors[name], tensor, msg=name)


@pytest.mark.parametrize("program", NAMES)
def test_programs_that_began_with_rosinalitys_code(program, tmp_path):
    tensors = generator()
    gan = opened(torch_bytes({"g_ema": renamed(program, tensors), "latent_avg": torch.zeros(8)}), tmp_path)
    assert_same(gan, tensors)


@pytest.mark.parametrize("program", [*NAMES, "genforce"])
def test_a_filter_that_is_not_stylegan2s_is_refused_under_any_names(program, tmp_path):
    state = genforce(generator()) if program == "genforce" else renamed(program, generator())
    (name,) = [name for name in state if name.endswith("kernel")]
    for other in (torch.ones(4, 4) / 4, torch.ones(3, 3), FILTER, torch.ones(())):
        with pytest.raises(CheckpointError, match=r"kernel: expected the filter \[1, 3, 3, 1\], got one"):
            opened(torch_bytes({"g_ema": {**state, name: other}}), tmp_path)


def test_a_network_that_enlarges_in_another_way_is_refused(tmp_path):
    """MMGeneration's for positional encodings have the same names and shapes, and filters for the colours alone."""
    state = renamed("mmgeneration", generator())
    state["to_rgbs.0.upsample.kernel"] = state.pop("convs.0.conv.blur.kernel")
    with pytest.raises(CheckpointError, match=r"convs\.0\.conv: enlarges without the filter"):
        opened(torch_bytes({"g_ema": state}), tmp_path)


def test_a_discriminator_of_another_filter_is_left_out(tmp_path):
    state = {f"g_ema.{name}": tensor for name, tensor in renamed("rosinality", generator()).items()}
    state |= {"d.final_linear.0.weight": torch.zeros(8, 64), "d.convs.1.conv2.0.kernel": torch.ones(4, 4)}
    assert "filter [1, 3, 3, 1]" in opened(torch_bytes(state), tmp_path).meta["discriminator"]


def test_files_whose_filters_were_left_out_are_opened(tmp_path):
    for program in NAMES:  # BasicSR's code never saves them
        tensors = generator()
        state = {name: t for name, t in renamed(program, tensors).items() if not name.endswith("kernel")}
        assert_same(opened(torch_bytes({"g_ema": state}), tmp_path), tensors)


def test_genforces_names(tmp_path):
    tensors = generator()
    gan = opened(torch_bytes({"generator": genforce(tensors)}), tmp_path)
    assert_same(gan, tensors)
    assert torch.equal(gan.tensors["G_ema.mapping.w_avg"], tensors["mapping.w_avg"])
    assert gan.meta["origin"].startswith("state dict (genforce names)")


def test_mmgenerations_discriminator_comes_with_it_and_its_colours_are_said(tmp_path):
    config = StyleGAN2Config(img_resolution=8, z_dim=8, w_dim=8, channel_base=128, channel_max=16)
    judge = make_networks("stylegan2", config)[1].state_dict()
    names = {
        "b8.fromrgb": "convs.0.0.conv.weight_orig convs.0.1.bias",
        "b8.conv0": "convs.1.conv1.0.conv.weight_orig convs.1.conv1.1.bias",
        "b8.conv1": "convs.1.conv2.1.conv.weight_orig convs.1.conv2.2.bias",
        "b8.skip": "convs.1.skip.1.conv.weight_orig",
        "b4.conv": "final_conv.0.conv.weight_orig final_conv.1.bias",
        "b4.fc": "final_linear.0.linear.weight_orig final_linear.0.bias",
        "b4.out": "final_linear.1.linear.weight_orig final_linear.1.bias",
    }
    pairs = [
        (f"{part}.{kind}", name)
        for part, two in names.items()
        for kind, name in zip(("weight", "bias"), two.split(), strict=False)
    ]
    state = {f"generator_ema.{name}": tensor for name, tensor in renamed("mmgeneration", generator()).items()}
    state |= {f"discriminator.{name}": judge[nvidia] for nvidia, name in pairs}
    gan = opened(torch_bytes({"meta": {"mmgen_version": "0.7"}, "state_dict": state}), tmp_path)
    assert gan.meta["discriminator"] == "of the file" and "blue, green, red" in gan.meta["origin"]
    assert all(torch.equal(gan.tensors[f"D.{nvidia}"], judge[nvidia]) for nvidia, _ in pairs)


@pytest.mark.parametrize("average", ["generator_smooth", "g_running", "Gs", "G_ema", "ema_generator", "netG_shadow"])
def test_of_several_generators_the_moving_average_is_taken_whatever_it_is_called(average, tmp_path):
    tensors = generator()
    others = {name: tensor + 1 for name, tensor in genforce(tensors).items() if not name.endswith("kernel")}
    state = {"models": {"generator": others, average: genforce(tensors), "logs": others}}
    gan = opened(torch_bytes(state), tmp_path)
    assert_same(gan, tensors)
    assert "the first of" not in gan.meta["origin"] and "models.generator" in gan.meta["left_out"]


def test_colours_that_mmgeneration_trained_in_another_order_are_turned(tmp_path, capsys):
    (tmp_path / "mm.pth").write_bytes(torch_bytes({"g_ema": renamed("mmgeneration", generator())}))
    for name, more in (("same", []), ("turned", ["--bgr"])):
        assert main(["convert", str(tmp_path / "mm.pth"), str(tmp_path / f"{name}.safetensors"), *more]) == 0
    shown = capsys.readouterr().out
    assert "blue, green, red: gseg convert --bgr" in shown and "names); colours turned from blue, green, red" in shown
    z = torch.ones(1, 8)
    same, turned = (load_generator(tmp_path / f"{name}.safetensors") for name in ("same", "turned"))
    images = [gan.draw(gan.mapping(z)) for gan in (same, turned)]
    assert torch.equal(images[0].flip(1), images[1]) and not torch.equal(*images)


def test_colours_are_turned_for_the_discriminator_too_and_alpha_stays():
    tensors = {"G_ema.synthesis.b4.torgb.bias": torch.arange(4.0), "D.b8.fromrgb.weight": torch.arange(8.0).view(2, 4)}
    found = turned(tensors)
    assert found["G_ema.synthesis.b4.torgb.bias"].tolist() == [2, 1, 0, 3]
    assert found["D.b8.fromrgb.weight"].tolist() == [[2, 1, 0, 3], [6, 5, 4, 7]]
    with pytest.raises(UsageError, match="three colours"):
        turned({"G_ema.synthesis.b4.torgb.bias": torch.zeros(1)})


def paddle(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Linear layers are [in, out] there."""
    return {n: (t.T if t.ndim == 2 else t).contiguous().numpy() for n, t in renamed("rosinality", tensors).items()}


@pytest.mark.parametrize("w_dim", [8, 16], ids=["shown by shapes", "square"])
@pytest.mark.parametrize("wrap", [dict, lambda state: {"gen": state, "gen_ema": state}], ids=["alone", "in training"])
def test_paddles_linear_layers_are_turned_though_square_ones_do_not_show_it(wrap, w_dim, tmp_path):
    tensors = generator(w_dim)
    gan = opened(pickle.dumps(wrap(paddle(tensors)), 2), tmp_path)
    assert_same(gan, tensors)
    assert "PaddleGAN" in gan.meta["origin"]


class Variable:
    """Pickled as Paddle's own variables are, in dictionaries within dictionaries."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.pair = (name, array)

    def __reduce__(self) -> tuple:
        return tuple, (self.pair,)


@pytest.mark.parametrize("protocol", [2, 4])
def test_paddles_variables_are_read_by_their_numbers(protocol, tmp_path):
    tensors = generator(16)
    state = {name: Variable(f"p_{i}", array) for i, (name, array) in enumerate(paddle(tensors).items())}
    assert_same(opened(pickle.dumps({"gen_ema": state}, protocol), tmp_path), tensors)


def test_paddles_layers_are_turned_in_tensors_of_torch_too_where_shapes_show_it(tmp_path):
    tensors = generator()
    assert_same(opened(torch_bytes({n: torch.from_numpy(a) for n, a in paddle(tensors).items()}), tmp_path), tensors)


def test_arrays_of_rosinalitys_own_shapes_stay_as_they_are(tmp_path):
    tensors = generator()
    state = {name: tensor.numpy() for name, tensor in renamed("rosinality", tensors).items()}
    assert_same(opened(pickle.dumps(state, 4), tmp_path), tensors)


@pytest.mark.parametrize("program", ["nvidia", *NAMES])
def test_a_conditional_gan_whose_classes_were_lost_in_an_export_is_refused(program, tmp_path):
    """Its images would be those of no class, for any z."""
    tensors = generator()
    tensors["mapping.fc0.weight"] = torch.cat([tensors["mapping.fc0.weight"]] * 2, dim=1)
    state = tensors if program == "nvidia" else renamed(program, tensors)
    with pytest.raises(CheckpointError, match=r"takes 16 numbers, expected 8, .*embedding of the classes"):
        opened(torch_bytes({"g_ema": state}), tmp_path)


@pytest.mark.parametrize("told", [{"z_dim": 4}, {"z_dim": 8, "c_dim": 3}])
def test_a_mapping_network_that_is_not_what_the_file_tells_is_refused(told, monkeypatch, tmp_path):
    foreign = ForeignGan("nvidia", generator(), {}, {"generator": told}, None, "NVIDIA pickle")
    monkeypatch.setattr("gseg_cli.gan.load.read_foreign", lambda _: foreign)
    with pytest.raises(CheckpointError, match=r"takes 8 numbers, expected [48]"):
        read_gan(tmp_path / "gan.pkl")


def test_a_discriminator_at_the_top_does_not_take_the_generator_beside_it(tmp_path):
    state = {f"generator.{name}": tensor for name, tensor in renamed("rosinality", generator()).items()}
    gan = opened(torch_bytes({**state, "final_linear.0.weight": torch.zeros(8, 64)}), tmp_path)
    assert gan.meta["discriminator"].startswith("left out: ")
