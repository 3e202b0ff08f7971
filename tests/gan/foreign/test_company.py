"""What a file holds beside the GAN neither keeps it from being opened nor does anything; what is left out is said."""

import argparse
import collections
import datetime
import json
import pathlib
import pickle
import random
import sys
import types

import numpy as np
import pytest
import torch

from gseg_cli.app import main
from gseg_cli.gan.foreign.checkpoint import read_bytes
from gseg_cli.gan.load import read_gan
from gseg_runtime.errors import CheckpointError
from tests.gan.foreign.files import (
    Persistent,
    network,
    nvidia_modules,
    torch_bytes,
    whole_pickle,
    whole_tensors,
)

COMPANY = {
    "a device": argparse.Namespace(device=torch.device("cuda:0"), size=8),
    "a path": argparse.Namespace(data=pathlib.PosixPath("/data"), size=8),
    "a type": {"dtype": torch.float32},
    "a size": torch.zeros(2, 3).shape,
    "a namespace": types.SimpleNamespace(size=8),
    "a dictionary with a default": collections.defaultdict(list, a=[1]),
    "a queue": collections.deque([1.0, 2.0], maxlen=3),
    "a counter": collections.Counter(a=1),
    "a time": datetime.datetime(2020, 1, 1),
    "random states": [np.random.RandomState(0).get_state(), random.Random(0).getstate()],
    "a random generator": np.random.default_rng(0).bit_generator.state,
    "sets": [{1, 2.5, (3,)}, frozenset({1, "a"})],
    "keys that are no text": {(1, 2): 3, 0.5: {"a": 1}},
    "a complex number": 1j,
    "text of NumPy": [np.str_("ffhq"), np.array(["a", "b"])],
    "objects of NumPy": np.array([{"a": 1}], dtype=object),
    "numbers without sign": torch.zeros(3, dtype=torch.uint16),
    "complex numbers": torch.zeros(3, dtype=torch.complex64),
    "a sparse tensor": torch.eye(3).to_sparse(),
    "an expanded tensor": torch.zeros(4).expand(6, 4),
    "an empty tensor": torch.zeros(0),
    "names in other letters": {"\u540d": {"\u540d": torch.zeros(2)}},
    "an optimiser": torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))]),
}


def opened(data: bytes, path):
    path.write_bytes(data)
    return read_gan(path)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("what", COMPANY)
def test_harmless_company_does_not_keep_a_gan_from_being_opened(what, protocol, tmp_path):
    g, d = whole_tensors()
    path = tmp_path / "gan.pt"
    torch.save({"first": COMPANY[what], "g_ema": g, "d": d, "last": COMPANY[what]}, path, pickle_protocol=protocol)
    gan = read_gan(path)
    assert gan.has_discriminator
    for name, tensor in g.items():
        assert name.endswith("resample_filter") or torch.equal(gan.tensors[f"G_ema.{name}"], tensor)


def snapshot(discriminator: str) -> bytes:
    """As projected GANs write them: their discriminator is no persistent object, but pickled by its class's name."""
    module = types.ModuleType("pg_modules")
    judge = type("Judge", (torch.nn.Linear,), {"__module__": "pg_modules"})
    module.Judge = judge
    g, d = whole_tensors()
    sys.modules["pg_modules"] = module
    try:
        with nvidia_modules():
            judges = {"unknown": judge(2, 2), "known": network(d, _init_kwargs={})}
            pipe = Persistent("Pipe", _parameters={}, _buffers={}, _modules={"aug": judge(2, 2)})
            networks = {"G": network(g), "D": judges[discriminator], "G_ema": network(g, _init_kwargs={})}
            return pickle.dumps({**networks, "diffusion": pipe}, 4)
    finally:
        del sys.modules["pg_modules"]


@pytest.mark.parametrize(("judge", "said"), [("known", "of the file"), ("unknown", "none in the file that is read")])
def test_a_snapshot_with_unknown_parts_is_opened_and_what_was_left_out_is_said(judge, said, tmp_path, capsys):
    plain = opened(whole_pickle(), tmp_path / "plain.pkl")
    gan = opened(snapshot(judge), tmp_path / "gan.pkl")
    assert all(torch.equal(gan.tensors[name], plain.tensors[name]) for name in gan.tensors)
    assert main(["info", str(tmp_path / "gan.pkl"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["data"]
    assert facts["discriminator"] == said and facts["unread"][0] == "pg_modules.Judge"
    assert facts["left_out"] == {"known": ["G", "diffusion"], "unknown": ["G", "D", "diffusion"]}[judge]


def test_only_the_file_says_what_is_left_out(tmp_path, capsys):
    (tmp_path / "gan.pkl").write_bytes(whole_pickle())
    assert main(["info", str(tmp_path / "gan.pkl"), "--json"]) == 0
    assert not {"left_out", "unread"} & set(json.loads(capsys.readouterr().out)["data"])


class Part(torch.nn.Module):
    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for first in dict.fromkeys(name.partition(".")[0] for name in tensors):
            rest = {name.partition(".")[2]: t for name, t in tensors.items() if name.partition(".")[0] == first}
            if "" in rest:
                self.register_buffer(first, rest[""])
            else:
                self.add_module(first, Part(rest))


@pytest.mark.parametrize("wrap", [lambda module: module, torch.nn.DataParallel], ids=["alone", "in DataParallel"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_module_saved_whole_is_read_as_its_state(wrap, is_zip, tmp_path):
    g, _ = whole_tensors()
    gan = opened(torch_bytes(wrap(Part(g)), is_zip=is_zip), tmp_path / "gan.pt")
    assert f"{Part.__module__}.Part" in gan.meta["unread"]
    kept = {name: tensor for name, tensor in g.items() if not name.endswith("resample_filter")}
    assert all(torch.equal(gan.tensors[f"G_ema.{name}"], tensor) for name, tensor in kept.items())


def test_a_repeated_truncation_centre_is_read_though_it_is_stored_once(tmp_path):
    g, _ = whole_tensors()
    del g["mapping.w_avg"]
    gan = opened(torch_bytes({"g_ema": g, "latent_avg": torch.arange(4.0).expand(6, 4)}), tmp_path / "gan.pt")
    assert gan.meta["truncation_centre"] == "latent_avg of the file"
    assert torch.equal(gan.tensors["G_ema.mapping.w_avg"], torch.arange(4.0))


def test_numbers_of_an_unknown_type_are_refused_only_where_they_are_needed():
    g, _ = whole_tensors()
    with pytest.raises(CheckpointError, match="without its first layer"):
        read_bytes(memoryview(torch_bytes({**g, "synthesis.b4.const": torch.zeros(1, dtype=torch.complex64)})))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_generator_whose_training_came_apart_is_refused(value, tmp_path, capsys):
    """Its pictures would all be black, and nothing else would be wrong."""
    torn = whole_tensors()[0]["synthesis.b8.conv0.weight"]
    torn[0] = value
    (tmp_path / "gan.pkl").write_bytes(whole_pickle(synthesis__b8__conv0__weight=torn))
    assert main(["info", str(tmp_path / "gan.pkl")]) == 1
    error = capsys.readouterr().err
    assert "gan.pkl: nan or infinity among the numbers of synthesis.b8.conv0.weight, in 1 of" in error
    assert "before training diverged" in error
