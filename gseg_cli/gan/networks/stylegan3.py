"""The StyleGAN3 generator (Karras et al. 2021, *Alias-Free Generative Adversarial Networks*), configurations T and R.

Names of tensors as in NVIDIA's stylegan3. Shapes: N batch, L = num_ws, W = w_dim, R = img_resolution, O/I channels
out/in. Filters are functions of the config and are not among the tensors.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan.generator import FeatureStack, OnLayer
from gseg_cli.gan.networks import ops
from gseg_cli.gan.networks.config import StyleGAN3Config
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.lowpass import kernel_on
from gseg_cli.gan.networks.mapping import TrackedMapping
from gseg_cli.gan.networks.stylegan3_plan import LayerPlan, Lowpass, Signal, feature_layers, plan

MAX_SAMPLES = 2**24  # filtered at once: at 1024 px half the memory, in the same time


class SynthesisInput(nn.Module):
    """Waves over the plane, turned and moved by w, and mixed."""

    freqs: Tensor
    phases: Tensor
    transform: Tensor

    def __init__(self, signal: Signal, w_dim: int) -> None:
        super().__init__()
        self.signal = signal
        c = signal.channels
        self.weight = nn.Parameter(ops.normal(c, c))
        self.affine = ops.EqualLinear(w_dim, 4)  # the direction's cosine and sine, and a shift
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0, 0, 0]))
        self.register_buffer("transform", torch.eye(3))  # from the picture's coordinates to those of the waves
        self.register_buffer("freqs", _frequencies(c, signal.cutoff))  # [C, xy]
        self.register_buffer("phases", (ops.normal(c) / math.sqrt(2)).erf() / 2)  # in cycles, evenly from -0.5 to 0.5

    def forward(self, w: Tensor) -> Tensor:
        """[N, W] -> [N, C, size, size]."""
        move = self._motion(w) @ self.transform  # [N, 3, 3]
        freqs = self.freqs @ move[:, :2, :2]  # [N, C, xy]
        phases = self.phases + (self.freqs @ move[:, :2, 2:]).squeeze(2)
        angles = 2 * math.pi * (self._places() @ freqs.transpose(1, 2) + phases[:, None])  # [N, size * size, C]
        waves = torch.sin(angles) * self._strengths(freqs)[:, None]
        x = waves @ self.weight.t() / math.sqrt(self.signal.channels)
        return x.unflatten(1, (self.signal.size, self.signal.size)).permute(0, 3, 1, 2)

    def _motion(self, w: Tensor) -> Tensor:
        """The rotation of a shifted plane, [N, 3, 3]."""
        values = self.affine(w)
        cos, sin, x, y = (values / values[:, :2].norm(dim=1, keepdim=True)).unbind(1)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        shifted = (-cos * x + sin * y, -sin * x - cos * y)
        rows = [(cos, -sin, shifted[0]), (sin, cos, shifted[1]), (zero, zero, one)]
        return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)

    def _strengths(self, freqs: Tensor) -> Tensor:
        """[N, C]: waves beyond the cutoff, which a transform that shrinks can make, fade out up to half the rate."""
        beyond = freqs.norm(dim=2) - self.signal.cutoff
        return (1 - beyond / (self.signal.rate / 2 - self.signal.cutoff)).clamp(0, 1)

    def _places(self) -> Tensor:
        """Of the samples, row by row, x and y of each; the picture reaches from -0.5 to 0.5."""
        size, rate = self.signal.size, self.signal.rate
        at = (torch.arange(size, device=self.freqs.device) - (size - 1) / 2) / rate
        y, x = torch.meshgrid(at, at, indexing="ij")
        return torch.stack([x, y], dim=2).flatten(0, 1)


def _frequencies(n: int, cutoff: float) -> Tensor:
    """Spread evenly over the disc of this radius."""
    freqs = ops.normal(n, 2)
    squares = freqs.square().sum(dim=1, keepdim=True)
    return freqs / squares.sqrt() * (1 - (-squares / 2).exp()).sqrt() * cutoff


class SynthesisLayer(nn.Module):
    """Modulated convolution, and a leaky ReLU at a finer rate, between filters that keep its harmonics out."""

    magnitude_ema: Tensor

    def __init__(self, layer: LayerPlan, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.plan, self.clamp = layer, clamp
        i, o = layer.before.channels, layer.after.channels
        self.affine = ops.EqualLinear(w_dim, i, bias_init=1.0)
        self.weight = nn.Parameter(ops.normal(o, i, layer.kernel, layer.kernel))
        self.bias = nn.Parameter(torch.zeros(o))
        self.register_buffer("magnitude_ema", torch.ones([]))  # mean square of the input while training

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, I, h, h], w [N, W] -> [N, O, size, size]."""
        styles: Tensor = self.affine(w)
        weight: Tensor = self.weight
        if self.plan.is_torgb:
            scale = torch.full_like(styles[:, :1], 1 / math.sqrt(styles.shape[1]))  # [N, 1]
        else:
            weight = weight * weight.square().mean(dim=[1, 2, 3], keepdim=True).rsqrt()
            styles = ops.normalize_2nd_moment(styles)  # of each image; NVIDIA's code takes the batch, to the same end
            scale = (styles.square() @ weight.square().sum(dim=[2, 3]).t() + 1e-8).rsqrt()  # [N, O]
        x = x * (styles * self.magnitude_ema.rsqrt())[:, :, None, None]
        x = F.conv2d(x, weight, padding=self.plan.kernel - 1)
        scale, bias = scale[:, :, None, None], self.bias[:, None, None]
        x = x * scale + bias if torch.is_grad_enabled() else x.mul_(scale).add_(bias)  # in place it saves memory
        return ops.clamp(x, self.clamp) if self.plan.is_torgb else self._filtered_lrelu(x)

    def _filtered_lrelu(self, x: Tensor) -> Tensor:
        """A few channels at a time: between the filters a signal is four times as large, or sixteen."""
        num_samples = len(x) * (x.shape[2] * self.plan.up) * (x.shape[3] * self.plan.up)
        parts = x.split(max(1, MAX_SAMPLES // num_samples), dim=1)
        return self._filter(x) if len(parts) == 1 else torch.cat([self._filter(part) for part in parts], dim=1)

    def _filter(self, x: Tensor) -> Tensor:
        assert self.plan.up_filter is not None and self.plan.down_filter is not None
        # The ReLU is linear along rays, so that its gain of sqrt(2) can be the filter's.
        x = _upsample(x, self.plan.up_filter, self.plan.up, self.plan.trim, gain=ops.LRELU_GAIN)
        x = F.leaky_relu(x, 0.2, inplace=True)
        if self.clamp is not None:
            x = x.clamp(-self.clamp, self.clamp) if torch.is_grad_enabled() else x.clamp_(-self.clamp, self.clamp)
        return _downsample(x, self.plan.down_filter, self.plan.down)


def _upsample(x: Tensor, lowpass: Lowpass, up: int, trim: int, gain: float) -> Tensor:
    """Zeros between the samples, then the filter, one direction after the other."""
    f = kernel_on(lowpass, x.device).to(x.dtype) * (up * math.sqrt(gain))
    for shape in ((-1, 1), (1, -1)):
        stride, padding = ([n if side == -1 else least for side in shape] for n, least in ((up, 1), (trim, 0)))
        x = F.conv_transpose2d(x, _each(f.view(shape), x), stride=stride, padding=padding, groups=x.shape[1])
    return x


def _downsample(x: Tensor, lowpass: Lowpass, down: int) -> Tensor:
    """The filter, at every `down`-th sample."""
    f = kernel_on(lowpass, x.device).to(x.dtype)
    if lowpass.is_radial:
        return F.conv2d(x, _each(f, x), stride=down, groups=x.shape[1])
    x = F.conv2d(x, _each(f[:, None], x), stride=(down, 1), groups=x.shape[1])
    return F.conv2d(x, _each(f[None], x), stride=(1, down), groups=x.shape[1])


def _each(f: Tensor, x: Tensor) -> Tensor:
    """The filter [h, w] for every channel of x."""
    return f.expand(x.shape[1], 1, *f.shape)


class SynthesisNetwork(nn.Module):
    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__()
        layers = plan(config)
        self.output_scale = config.output_scale
        self.names = [layer.name for layer in layers]
        self.input = SynthesisInput(layers[0].before, config.w_dim)
        for layer in layers:
            setattr(self, layer.name, SynthesisLayer(layer, config.w_dim, config.conv_clamp))

    def forward(self, ws: Tensor, on_layer: OnLayer | None = None) -> Tensor:
        """ws [N, L, W] -> image [N, img_channels, R, R]; on_layer is given what of each layer lies in the picture."""
        x = self.input(ws[:, 0]).contiguous(memory_format=torch.channels_last)
        for i, name in enumerate(self.names, start=1):
            layer = getattr(self, name)
            x = layer(x, ws[:, i])
            if on_layer is not None and not layer.plan.is_torgb:
                on_layer(_within(x, layer.plan.after.margin))
        return x * self.output_scale


def _within(x: Tensor, margin: int) -> Tensor:
    return x[:, :, margin : x.shape[2] - margin, margin : x.shape[3] - margin]


class StyleGAN3(nn.Module):
    """Generator protocol over mapping and synthesis. Features are those of every layer, without its margin."""

    kind = "stylegan3"
    relative_memory = 4  # of an image, to that of a StyleGAN2: most layers are of its full size, and wide

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__()
        self.config = config
        self.z_dim, self.w_dim, self.img_resolution = config.z_dim, config.w_dim, config.img_resolution
        self.num_ws = config.num_layers + 2  # the waves' and the colours' too
        self.feature_channels = tuple(channels for channels, _ in feature_layers(config))
        self.class_index: int | None = None
        self.mapping_network = TrackedMapping(
            config.z_dim, config.c_dim, config.w_dim, config.mapping_layers, config.mapping_lr_multiplier
        )
        self.synthesis_network = SynthesisNetwork(config)

    def mapping(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        """UsageError when a conditional GAN was given no class."""
        w = self.mapping_network.truncated(z, self.class_index, truncation_psi)
        return w.unsqueeze(1).expand(-1, self.num_ws, -1)

    def synthesis(self, ws: Tensor, on_layer: OnLayer | None = None) -> Tensor:
        return self.synthesis_network(ws, on_layer).expand(-1, 3, -1, -1)  # grey three times

    def features(self, ws: Tensor) -> tuple[Tensor, FeatureStack]:
        maps: list[Tensor] = []
        image = self.synthesis(ws, maps.append)
        return image, FeatureStack(tuple(maps))


def discriminator_of(config: StyleGAN3Config) -> Discriminator:
    return Discriminator(config.of_discriminator())
