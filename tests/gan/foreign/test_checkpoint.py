"""Checkpoints of NVIDIA's and rosinality's code come out as the tensors that went in."""

import argparse
import pickle
import tracemalloc

import numpy as np
import pytest
import torch

from gseg_cli.gan.foreign.checkpoint import read_bytes, read_foreign
from gseg_runtime.errors import CheckpointError
from tests.gan.foreign.files import (
    discriminator_tensors,
    network,
    nvidia_modules,
    nvidia_pickle,
    nvidia_tensors,
    rosinality_state,
    rosinality_tensors,
    small_files,
    torch_bytes,
)


def read(data):
    return read_bytes(memoryview(data))


def assert_same(got, expected):
    assert list(got) == list(expected)
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype and got[name].is_contiguous()
        assert torch.equal(got[name], tensor)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nvidia_pickles(protocol):
    gan = read(nvidia_pickle(protocol))
    assert (gan.naming, gan.origin, gan.latent_avg) == ("nvidia", "NVIDIA pickle (stylegan2-ada-pytorch)", None)
    assert_same(gan.generator, nvidia_tensors())  # those of G_ema, not of G
    assert_same(gan.discriminator, discriminator_tensors())


def test_settings_come_from_the_constructor_and_from_the_layers():
    assert read(nvidia_pickle()).hints == {
        "generator": {
            "z_dim": 4,
            "c_dim": 0,
            "mapping_kwargs": {"num_layers": 1},
            "synthesis_kwargs": {},
            "img_channels": 3,
            "conv_clamp": 256,
            "architecture": "skip",
            "use_noise": True,
            "num_fp16_res": 1,
        },
        "discriminator": {"c_dim": 0, "architecture": "skip", "num_fp16_res": 1},
    }


def test_settings_are_plain_short_and_printable():
    """What prints or computes with them need not think of where they come from."""
    given = {
        "activation": "lrelu\n\x1b[2J" + "a" * 500,
        "conv_clamp": 2**80,
        "optimiser": torch.zeros(2),
        3: (1, [2.5, None]),
    }
    gan = read(torch_bytes({"g_ema": rosinality_tensors(), "args": argparse.Namespace(given=given)}))
    assert gan.hints["given"].pop("activation").startswith(r"lrelu\n\x1b[2Ja")
    assert gan.hints == {"given": {"conv_clamp": None, "optimiser": None, "3": [1, [2.5, None]]}}


def test_the_repositories_are_told_apart_by_what_only_the_newer_keeps():
    with nvidia_modules():
        generator = network(nvidia_tensors(), _init_kwargs={"channel_base": 64})
        generator.meta["state"]["_modules"]["synthesis"].meta["state"]["num_fp16_res"] = 4
        data = pickle.dumps(generator, 4)  # alone, and not as a value of "G_ema"
    gan = read(data)
    assert gan.origin == "NVIDIA pickle (stylegan3 repository, StyleGAN2 configuration)"
    assert gan.hints["generator"]["channel_base"] == 64
    assert_same(gan.generator, nvidia_tensors())
    assert gan.discriminator == {}


@pytest.mark.parametrize("is_zip", [True, False])
def test_rosinality_training_files(is_zip):
    state = rosinality_state()
    gan = read(torch_bytes(state, is_zip=is_zip))
    assert (gan.naming, gan.origin) == ("rosinality", "rosinality .pt")
    assert_same(gan.generator, state["g_ema"])
    assert_same(gan.discriminator, state["d"])
    assert torch.equal(gan.latent_avg, state["latent_avg"])
    assert gan.hints == {"size": 4, "n_mlp": 1, "channel_multiplier": 2, "ckpt": None}


WRAPPINGS = {
    "as it is": (lambda tensors: tensors, "state dict"),
    "g_ema alone": (lambda tensors: {"g_ema": tensors}, "rosinality .pt"),
    "state_dict and latent_avg": (lambda tensors: {"state_dict": tensors, "latent_avg": torch.ones(4)}, "state dict"),
    "of a wrapped module": (
        lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()},
        "state dict",
    ),
    "of an encoder's decoder": (
        lambda tensors: {"state_dict": {f"decoder.{name}": tensor for name, tensor in tensors.items()}},
        "state dict",
    ),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("naming", ["nvidia", "rosinality"])
def test_state_dicts_in_either_naming_wherever_they_lie(naming, wrapping):
    tensors = nvidia_tensors() if naming == "nvidia" else rosinality_tensors()
    wrap, kind = WRAPPINGS[wrapping]
    gan = read(torch_bytes(wrap(tensors)))
    assert gan.naming == naming and (gan.latent_avg is not None) == ("latent_avg" in wrapping)
    assert gan.origin.startswith(kind if naming == "rosinality" else "state dict")
    assert_same(gan.generator, tensors)


def test_it_is_said_when_there_is_no_moving_average():
    gan = read(torch_bytes({"g": rosinality_tensors()}))
    assert gan.origin == "state dict (rosinality names), G itself, as there is no moving average"


def test_of_several_generators_it_is_said_which_was_taken():
    gan = read(torch_bytes([rosinality_tensors(10), {"d": 1}, rosinality_tensors()]))
    assert gan.origin.endswith(", the first of 2 generators, none of which is called a moving average")
    assert_same(gan.generator, rosinality_tensors(10))
    gan = read(torch_bytes(({"net": rosinality_tensors(10), "net_ema": rosinality_tensors()}, 3)))
    assert gan.origin == "state dict (rosinality names)"
    assert_same(gan.generator, rosinality_tensors())


def test_state_dicts_of_modules():
    """Their dictionaries carry an attribute: the versions of the modules."""
    module = torch.nn.ModuleDict({"input": torch.nn.Module()})
    module["input"].register_buffer("input", torch.ones(1, 2, 4, 4))
    assert_same(read(torch_bytes(module.state_dict())).generator, module.state_dict())


def test_safetensors_with_a_generator_and_a_discriminator_side_by_side():
    from safetensors.torch import save

    tensors = {name: tensor.contiguous() for name, tensor in nvidia_tensors().items()}
    gan = read(save({**tensors, **{f"D.{name}": tensor for name, tensor in discriminator_tensors().items()}}))
    assert gan.origin == "safetensors (NVIDIA names)"
    assert_same(gan.generator, dict(sorted(tensors.items(), key=lambda item: list(gan.generator).index(item[0]))))
    assert set(gan.generator) == set(tensors) and set(gan.discriminator) == set(discriminator_tensors())


@pytest.mark.parametrize("start", [b"\x80\x02", b"\x80\x20", b"PK", b"\x1f\x8b"])
def test_safetensors_whose_length_begins_as_another_kind_of_file(start):
    from safetensors.torch import save

    data = save({"input.input": torch.ones(2)})
    num_bytes = int.from_bytes(data[:8], "little")
    padding = int.from_bytes(start, "little") - num_bytes
    header = data[8 : 8 + num_bytes] + b" " * padding
    gan = read(len(header).to_bytes(8, "little") + header + data[8 + num_bytes :])
    assert_same(gan.generator, {"input.input": torch.ones(2)})


HEADER = b'{"input.input":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
OTHER = b'"b":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}'


@pytest.mark.parametrize(
    ("header", "num_bytes"),
    [
        (HEADER + b"}", 9),
        (HEADER + b"," + OTHER % (4, 8) + b"}", 8),
        (HEADER + b"," + OTHER % (12, 16) + b"}", 16),
        (HEADER + b"," + HEADER[1:] + b"}", 8),
        (HEADER.replace(b"[2]", b'[2],"shape":[2]') + b"}", 8),
        (HEADER + b',"__metadata__":{},"__metadata__":{"gseg":"1"}}', 8),
    ],
    ids=["a byte more", "two tensors over each other", "a hole", "a tensor twice", "a shape twice", "metadata twice"],
)
def test_a_safetensors_header_that_does_not_say_exactly_what_the_file_holds_is_refused(header, num_bytes):
    with pytest.raises(CheckpointError, match=r"twice|over each other"):
        read(len(header).to_bytes(8, "little") + header + bytes(num_bytes))


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_every_type_of_number(dtype, is_zip):
    tensors = {"input.input": torch.arange(24).reshape(1, 2, 3, 4).to(getattr(torch, dtype))}
    assert_same(read(torch_bytes(tensors, is_zip=is_zip)).generator, tensors)


def test_views_of_a_shared_storage():
    whole = torch.arange(120.0)
    tensors = {
        "input.input": whole[:48].reshape(1, 3, 4, 4).transpose(2, 3),
        "to_rgb1.bias": whole[100:103],
        "style.1.weight": whole[7:107:10].reshape(2, 5).T,
        "conv1.noise.weight": whole[5],
    }
    got = read(torch_bytes(tensors)).generator
    assert_same(got, tensors)
    got["to_rgb1.bias"].zero_()  # memory of its own
    assert got["input.input"].sum() == tensors["input.input"].sum() and whole[100] == 100


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_arrays_in_place_of_tensors(order, protocol):
    array = np.arange(24, dtype=np.float16).reshape(2, 3, 4).copy(order)
    got = read(pickle.dumps({"input.input": array, "conv1.noise.weight": np.ones(1)}, protocol)).generator
    assert_same(
        got, {"input.input": torch.from_numpy(array).contiguous(), "conv1.noise.weight": torch.ones(1).double()}
    )


def test_the_name_of_a_file_does_not_matter(tmp_path):
    for number, (kind, data) in enumerate(small_files().items()):
        path = tmp_path / f"{number}.png"
        path.write_bytes(data)
        assert read_foreign(path).generator, kind


def test_only_what_is_wanted_is_copied(tmp_path):
    """A training state is mostly optimisers and networks that are not used."""
    large = {"g_ema": {"input.input": torch.zeros(1, 2**18)}, "g": {"input.input": torch.zeros(8, 2**18)}}
    path = tmp_path / "large.pt"
    torch.save({**large, "g_optim": {"state": {0: torch.zeros(8, 2**18)}}}, path)
    tracemalloc.start()
    try:
        gan = read_foreign(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    wanted_bytes = gan.generator["input.input"].nbytes
    assert wanted_bytes == 2**20 and peak_bytes < 1.5 * wanted_bytes < path.stat().st_size / 8
