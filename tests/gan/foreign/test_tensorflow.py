"""NVIDIA's TensorFlow pickles give the images and logits that NVIDIA's own converter gives, without its unpickling."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gseg_cli.app import main
from gseg_cli.gan.load import load_gan, read_gan
from gseg_runtime.errors import CheckpointError
from tests.gan.foreign.tensorflow_files import Layout, networks, tensorflow_modules, tensorflow_pickle
from tests.golden.make_tensorflow import CLASS, LAYOUTS, figures, inputs

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "tensorflow.json").read_text())


@torch.no_grad()
@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("name", LAYOUTS)
def test_images_and_logits_are_those_of_nvidias_converter(name, protocol, tmp_path):
    layout, golden = LAYOUTS[name], GOLDEN[name]
    (tmp_path / "gan.pkl").write_bytes(tensorflow_pickle(layout, protocol=protocol))
    generator, judge = load_gan(tmp_path / "gan.pkl", class_index=CLASS if layout.label_size else None)
    z, images = inputs(layout)
    ws = generator.mapping(z, 0.5)
    computed = {
        "ws": figures(ws),
        "image": figures(generator.synthesis(ws)[:, : layout.num_channels]),
        "logits": judge(images.expand(-1, 3, -1, -1)).flatten().tolist(),
    }
    for what, expected in golden.items():
        torch.testing.assert_close(torch.tensor(computed[what]), torch.tensor(expected), rtol=1e-4, atol=1e-4)


def opened(data: bytes, tmp_path):
    (tmp_path / "gan.pkl").write_bytes(data)
    return read_gan(tmp_path / "gan.pkl")


def test_what_the_file_is_and_brings_is_said(tmp_path, capsys):
    gan = opened(tensorflow_pickle(), tmp_path)
    assert gan.meta["origin"] == "NVIDIA's TensorFlow pickle (stylegan2)"
    assert (gan.meta["truncation_centre"], gan.meta["noise"]) == ("w_avg of the file", "constant, of the file")
    assert gan.meta["discriminator"] == "of the file" and not {"unread", "left_out", "conv_clamp"} & set(gan.meta)
    assert opened(tensorflow_pickle(Layout(is_ada=True)), tmp_path).meta["origin"].endswith("(stylegan2-ada)")
    assert main(["convert", str(tmp_path / "gan.pkl"), str(tmp_path / "gan.safetensors")]) == 0
    assert "stylegan2-ada" in capsys.readouterr().out


@pytest.mark.parametrize(("layout", "group"), [(Layout(), 4), (Layout(is_ada=True), 2**20)])
def test_the_group_of_the_discriminator_is_that_of_its_repository(layout, group, tmp_path):
    gan = opened(tensorflow_pickle(layout), tmp_path)
    assert gan.config.discriminator.mbstd_group_size == group


def changed(change, **fields) -> bytes:
    """A pickle whose networks were changed; change: is given G, D and Gs, and gives what is written."""
    import pickle

    with tensorflow_modules() as (network, settings):
        return pickle.dumps(change(*networks(Layout(**fields), 0, network, settings)), 4)


def test_a_network_alone_is_a_generator(tmp_path):
    gan = opened(changed(lambda g, d, gs: gs), tmp_path)
    assert gan.meta["origin"].endswith("one network alone") and not gan.has_discriminator
    whole = opened(tensorflow_pickle(), tmp_path)
    assert all(torch.equal(gan.tensors[name], whole.tensors[name]) for name in gan.tensors)


def with_variable(name: str):
    def change(g, d, gs):
        gs.components["synthesis"].variables.append((name, gs.variables[0][1]))
        return g, d, gs

    return change


def with_argument(**arguments):
    def change(g, d, gs):
        gs.static_kwargs.update(arguments)
        return g, d, gs

    return change


def with_labels_of_2019(g, d, gs):
    gs.components["mapping"].variables.append(("LabelConcat/weight", gs.variables[1][1]))
    return g, d, gs


REFUSED = {
    "StyleGAN1": (with_variable("4x4/Const/StyleMod/weight"), "a StyleGAN1 generator"),
    "configuration D": (with_variable("ToRGB_lod0/weight"), "configurations A to D"),
    "classes of 2019": (with_labels_of_2019, "a conditional StyleGAN2 of 2019"),
    "a discriminator alone": (lambda g, d, gs: d, "no StyleGAN2 generator"),
    "two networks": (lambda g, d, gs: (g, d), "a pickle of 2 networks"),
    "an unknown variable": (with_variable("4x4/Conv7/weight"), "Conv7/weight: no variable"),
    "another filter": (with_argument(resample_kernel=[1, 1]), r"resample_kernel: expected \[1, 3, 3, 1\]"),
    "latents as they are": (with_argument(normalize_latents=False), "normalize_latents"),
    "another activation": (with_argument(nonlinearity="relu"), "activation: expected lrelu, got relu"),
    "another width of z": (with_argument(latent_size=8), "takes 16 numbers, expected 8"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_computes_otherwise_is_refused_by_name(what, tmp_path):
    change, reason = REFUSED[what]
    with pytest.raises(CheckpointError, match=reason) as caught:
        opened(changed(change), tmp_path)
    assert caught.value.hint


def test_numbers_that_torch_cannot_compute_with_are_converted_first(tmp_path):
    def change(g, d, gs):
        variables = gs.components["synthesis"].variables
        variables[:] = [
            (n, a.astype(np.uint16) if n.endswith(("/mod_bias", "Conv0_up/weight")) else a) for n, a in variables
        ]
        return g, d, gs

    assert opened(changed(change), tmp_path).tensors["G_ema.synthesis.b8.conv0.weight"].dtype == torch.float32


def test_a_discriminator_that_computes_otherwise_is_left_out(tmp_path):
    def change(g, d, gs):
        d.variables.append(("4x4/Dense1/weight", d.variables[-1][1]))
        return g, d, gs

    gan = opened(changed(change), tmp_path)
    assert gan.meta["discriminator"] == "left out: 4x4/Dense1/weight: no variable of StyleGAN2's discriminator"
