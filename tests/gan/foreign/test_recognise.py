"""A file that is no StyleGAN2 is told by what it is, with what to do about it."""

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.checkpoint import save_checkpoint
from gseg_cli.gan.foreign import checkpoint
from gseg_cli.gan.foreign.checkpoint import read_foreign
from gseg_runtime.errors import CheckpointError
from tests.gan.foreign.files import torch_bytes


def grown_pickle() -> bytes:
    """A network of NVIDIA's first TensorFlow code, as far as a reader gets."""
    module = types.ModuleType("tfutil")
    module.Network = type("Network", (), {"__module__": "tfutil"})
    sys.modules["tfutil"] = module
    try:
        return pickle.dumps((module.Network(), module.Network(), module.Network()), 3)
    finally:
        del sys.modules["tfutil"]


def state_dict(*names: str) -> bytes:
    return torch_bytes({name: torch.zeros(2) for name in names})


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def data_pkl() -> bytes:
    with zipfile.ZipFile(io.BytesIO(state_dict("input.input"))) as file:
        return file.read(next(name for name in file.namelist() if name.endswith("data.pkl")))


def image(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    return buffer.getvalue()


def torch_script() -> bytes:
    """Its code is packed, as torch does it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("net/code/net.py", b"def f(): 0" * 9)
        file.writestr("net/data.pkl", b"\x80\x02N.", zipfile.ZIP_STORED)
        file.writestr("net/constants.pkl", b"\x80\x02).", zipfile.ZIP_STORED)
    return buffer.getvalue()


def onnx_model() -> bytes:
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "g", [], [])
    return onnx.helper.make_model(graph, producer_name="pytorch").SerializeToString()


def numpy_bytes() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


OBJECT = pickle.dumps(collections.deque(), 2)
PAGE = b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 381646000\n"
# What the message says, what the hint says, and the file.
FILES = {
    "ProGAN of NVIDIA": ("TensorFlow code of 2017", "only StyleGAN2", grown_pickle),
    "StyleGAN3 in part": (
        "StyleGAN3 generator without",
        "get the file again",
        lambda: state_dict("synthesis.L0_36_9.bias"),
    ),
    "StyleGAN1": (
        "a StyleGAN1",
        "only StyleGAN2",
        lambda: state_dict("mapping.dense0.weight", "synthesis.layer0.const"),
    ),
    "StyleGAN1 of rosinality": (
        "a StyleGAN1",
        "only StyleGAN2",
        lambda: torch_bytes({"g_running": {"generator.progression.0.noise1.weight_orig": torch.zeros(1)}}),
    ),
    "ProGAN": (
        "ProGAN",
        "only StyleGAN2",
        lambda: state_dict("scaleLayers.0.0.module.weight", "toRGBLayers.0.module.bias"),
    ),
    "ProGAN of genforce": ("ProGAN", "only StyleGAN2", lambda: state_dict("lod", "layer0.weight", "output0.weight")),
    "ProGAN of rosinality": ("ProGAN", "only StyleGAN2", lambda: state_dict("progression.0.conv.0.conv.weight_orig")),
    "lucidrains": (
        "lucidrains/stylegan2-pytorch",
        "only StyleGAN2",
        lambda: torch_bytes({"GAN": {"S.net.0.weight": torch.zeros(1)}, "version": "1.8.9"}),
    ),
    "FastGAN": ("a FastGAN", "only StyleGAN2", lambda: state_dict("init.init.0.weight_orig", "feat_8.1.weight_orig")),
    "FastGAN of a projected GAN": (
        "a FastGAN",
        "only StyleGAN2",
        lambda: torch_bytes({"G_ema": {"synthesis.se_64.main.1.weight_orig": torch.zeros(1)}}),
    ),
    "BigGAN": ("a BigGAN", "only StyleGAN2", lambda: state_dict("shared.weight", "blocks.0.0.bn1.gain.weight")),
    "StyleSwin": ("a StyleSwin", "only StyleGAN2", lambda: state_dict("layers.0.blocks.0.attn.0.qkv.weight")),
    "VQGAN": ("a VQGAN", "only StyleGAN2", lambda: state_dict("encoder.conv_in.weight", "quantize.embedding.weight")),
    "EG3D": ("EG3D", "StyleGAN2 itself", lambda: state_dict("backbone.synthesis.b4.const", "decoder.net.0.weight")),
    "GPEN": (
        "a GPEN network",
        "StyleGAN2 itself",
        lambda: state_dict("generator.input.input", "ecd0.0.0.weight", "final_linear.0.weight"),
    ),
    "GFPGAN": (
        "a GFPGAN network",
        "StyleGAN2 itself",
        lambda: state_dict("stylegan_decoder.constant_input.weight", "conv_body_first.weight"),
    ),
    "a clean GFPGAN": (
        "GFPGAN's clean version",
        "converted from",
        lambda: state_dict("constant_input.weight", "style_conv1.bias"),
    ),
    "DualStyleGAN": (
        "a DualStyleGAN",
        "the StyleGAN2 that it began with",
        lambda: torch_bytes(
            {"g_ema": {"generator.input.input": torch.zeros(2), "res.0.conv.0.weight": torch.zeros(2)}}
        ),
    ),
    "SWAGAN": ("SWAGAN", "StyleGAN2 itself", lambda: state_dict("input.input", "to_rgbs.0.iwt.ll")),
    "a discriminator": (
        "a discriminator without its generator",
        "G_ema",
        lambda: state_dict("b8.fc.bias", "b4.out.weight"),
    ),
    "another network": (
        "not those of a StyleGAN2",
        "NVIDIA's .pkl",
        lambda: state_dict("fc.weight", "fc.bias"),
    ),
    "no tensors": ("it holds no tensors", "NVIDIA's .pkl", lambda: torch_bytes({"epoch": 3})),
    "an object": ("asks for collections.deque", "state_dict()", lambda: OBJECT),
    "an attack": ("asks for posix.getcwd", "made to do harm", lambda: pickle.dumps(os.getcwd, 2)),
    "TorchScript": ("TorchScript", "state_dict()", torch_script),
    "a zip of checkpoints": (
        "a zip archive of 2 checkpoints",
        "give one: models/gan.pkl, b.pt",
        lambda: archive(**{"models/gan.pkl": b"x", "b.pt": b"y"}),
    ),
    "a zip of photos": ("a zip archive without a checkpoint", "NVIDIA's .pkl", lambda: archive(**{"a.png": b"x"})),
    "npz": ("NumPy arrays", "NVIDIA's .pkl", lambda: archive(**{"a.npy": numpy_bytes()})),
    "npy": ("a NumPy array", "NVIDIA's .pkl", numpy_bytes),
    "a page": ("a web page", "went wrong", lambda: b"\n<html><body>404</body></html>"),
    "a page with a mark of its encoding": ("a web page", "went wrong", lambda: b"\xef\xbb\xbf<!-- x --><html></html>"),
    "a page without a head": ("a web page", "went wrong", lambda: b"<title>Sign in</title><body>please</body>"),
    "an LMDB": ("an LMDB, a database of images", "NVIDIA's .pkl", lambda: bytes(16) + b"\xde\xc0\xef\xbe" + bytes(90)),
    "a data.pkl": ("a torch file that was unpacked", "get the .pt itself", lambda: data_pkl()),
    "a page of Google Drive": ("a web page of Google Drive", "download it in a browser", lambda: PAGE),
    "a pointer of git-lfs": ("a pointer of git-lfs", "git lfs pull", lambda: LFS),
    "a PNG": ("an image", "NVIDIA's .pkl", lambda: image("PNG")),
    "a JPEG": ("an image", "NVIDIA's .pkl", lambda: image("JPEG")),
    "a packed file": ("a packed archive", "unpack it", lambda: b"BZh" + bytes(50)),
    "a tar": ("a tar archive without", "NVIDIA's .pkl", lambda: bytes(257) + b"ustar" + bytes(300)),
    "ONNX": ("an ONNX model", "no layers", onnx_model),
    "text": ("a text file", "NVIDIA's .pkl", lambda: b"[project]\nname = 'faces'\n"),
    "bytes": ("neither a pickle", "NVIDIA's .pkl", lambda: bytes(range(7, 200))),
    "an old pickle": ("a pickle of a protocol", "NVIDIA's .pkl", lambda: pickle.dumps({"a": 1}, 0)),
    "safetensors of something else": (
        "not those of a StyleGAN2 (the first is fc)",
        "NVIDIA's .pkl",
        lambda: __import__("safetensors.torch").torch.save({"fc": torch.zeros(1)}),
    ),
}


def refusal(path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_foreign(path)
    assert caught.value.message.startswith(f"{path}: ") and "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("kind", FILES)
def test_what_is_something_else_is_named(kind, tmp_path, capsys):
    what, hint, make = FILES[kind]
    (tmp_path / "gan.pkl").write_bytes(make())
    error = refusal(tmp_path / "gan.pkl")
    assert what in error.message and hint in error.hint
    for name in ("gan.pkl", "gan.safetensors"):  # a name tells nothing
        (tmp_path / name).write_bytes(make())
        assert main(["sample", "--gan", str(tmp_path / name), "--out", str(tmp_path / "samples")]) == 1
        told, to_do = capsys.readouterr().err.splitlines()
        assert what in told and hint in to_do and not (tmp_path / "samples").exists()


def test_a_folder_that_is_taken_for_a_checkpoint_is_named(tmp_path, capsys):
    with zipfile.ZipFile(io.BytesIO(state_dict("input.input"))) as file:
        file.extractall(tmp_path / "gan")
    (inner,) = (tmp_path / "gan").iterdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "data.mdb").touch()
    for path, what in ((tmp_path / "gan", "was unpacked"), (inner, "was unpacked"), (tmp_path / "photos", "an LMDB")):
        with pytest.raises(CheckpointError, match=what):
            read_foreign(path)
        assert main(["info", str(path)]) == 1 and what in capsys.readouterr().err


def test_a_student_is_no_gan(tmp_path):
    save_checkpoint(tmp_path / "student.safetensors", {"a": torch.zeros(1)}, {"kind": "student"})
    error = refusal(tmp_path / "student.safetensors")
    assert "of kind student, expected a GAN" in error.message and "gseg info" in error.hint


def test_what_is_no_file_is_said(tmp_path, monkeypatch):
    (tmp_path / "empty.pkl").touch()
    os.mkfifo(tmp_path / "pipe")
    assert "got a folder" in refusal(tmp_path).message
    assert "No such file" in refusal(tmp_path / "none.pkl").message
    assert "got 0 bytes" in refusal(tmp_path / "empty.pkl").message
    assert "no regular file" in refusal(tmp_path / "pipe").message
    (tmp_path / "large.pkl").write_bytes(struct.pack("<Q", 1))
    monkeypatch.setattr(checkpoint, "MAX_FILE_BYTES", 7)
    error = refusal(tmp_path / "large.pkl")
    assert "got 8 bytes" in error.message and "g_ema" in error.hint
