"""The low-pass filters of StyleGAN3 (Karras et al. 2021, appendix C): Kaiser-windowed sinc and, radially, jinc."""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from gseg_cli.device import send
from gseg_cli.gan.networks.stylegan3_plan import Lowpass


def kernel(lowpass: Lowpass) -> Tensor:
    """[taps], or radially [taps, taps]; float32, of sum 1."""
    at = (np.arange(lowpass.taps) - (lowpass.taps - 1) / 2) / lowpass.rate  # never 0, where jinc is not defined
    window = np.kaiser(lowpass.taps, _beta(lowpass))
    if lowpass.is_radial:
        radius = torch.from_numpy(np.hypot(*np.meshgrid(at, at)))
        values = (torch.special.bessel_j1(2 * math.pi * lowpass.cutoff * radius) / radius).numpy()
        values *= np.outer(window, window)
    else:
        values = np.sinc(2 * lowpass.cutoff * at) * window
    return torch.from_numpy((values / values.sum()).astype(np.float32))


def _beta(lowpass: Lowpass) -> float:
    """The shape of Kaiser's window, by his formulas of 1974, for a transition band of this width."""
    attenuation = 2.285 * (lowpass.taps - 1) * math.pi * (4 * lowpass.half_width / lowpass.rate) + 7.95  # dB
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    excess = max(0.0, attenuation - 21)
    return 0.5842 * excess**0.4 + 0.07886 * excess


@cache
def kernel_on(lowpass: Lowpass, device: torch.device) -> Tensor:
    return send(kernel(lowpass), device)
