"""The form of filtered resampling that GPUs take gives what the plain one gives."""

import pytest
import torch

from gseg_cli.gan.networks import ops, polyphase

F64 = torch.float64


@pytest.fixture(autouse=True)
def in_double_precision(monkeypatch):
    monkeypatch.setattr(polyphase, "_taps", lambda kind, device, taps=polyphase._taps: taps(kind, device).double())


def drawn(*shape):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(0)).requires_grad_()


F = ops.resample_filter().double()
CASES = {
    "up": (drawn(2, 3, 4, 6), drawn(5, 3, 3, 3), lambda x, w: ops.conv_up(x, w, F), polyphase.conv_up),
    "down": (drawn(2, 3, 8, 6), drawn(5, 3, 3, 3), lambda x, w: ops.conv_down(x, w, F), polyphase.conv_down),
    "down, 1 x 1": (drawn(2, 3, 8, 6), drawn(5, 3, 1, 1), lambda x, w: ops.conv_down(x, w, F), polyphase.conv_down),
    "colours": (
        drawn(2, 3, 4, 6),
        drawn(1),
        lambda x, w: ops.upsample2d(x, F) * w,
        lambda x, w: polyphase.upsample2d(x) * w,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_picture_and_its_gradients_are_those_of_filter_and_convolution(case):
    x, weight, plain, dense = CASES[case]
    results = []
    for function in (plain, dense):
        y = function(x, weight)
        first = torch.autograd.grad(y.sin().sum(), [x, weight], create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), [x, weight])  # as R1 and path length need
        results.append([y, *first, *second])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)


def test_channels_stay_last():
    x = torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    assert polyphase.spread(x).is_contiguous(memory_format=torch.channels_last)
    assert polyphase.gather(x).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(polyphase.gather(polyphase.spread(x)), x)
