"""The mapping network of StyleGAN2: z, and the class of a conditional GAN, to w."""

import torch
from torch import Tensor, nn

from gseg_cli.gan.networks import ops
from gseg_runtime.errors import UsageError

ClassIndex = int | Tensor | None  # one for all images, or int64 [N], of each


class MappingNetwork(nn.Module):
    """z [N, z_dim] and c [N, c_dim] -> w [N, w_dim], either of them absent where its width is 0."""

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_layers: int, lr_multiplier: float) -> None:
        super().__init__()
        self.c_dim, self.num_layers = c_dim, num_layers
        if c_dim:
            self.embed = ops.EqualLinear(c_dim, w_dim)
        in_features = z_dim + (w_dim if c_dim else 0)
        for i in range(num_layers):
            layer = ops.EqualLinear(in_features if i == 0 else w_dim, w_dim, lr_multiplier=lr_multiplier, act=True)
            setattr(self, f"fc{i}", layer)

    def forward(self, z: Tensor | None, c: Tensor | None = None) -> Tensor:
        parts = [] if z is None else [ops.normalize_2nd_moment(z.float())]
        if c is not None:
            parts.append(ops.normalize_2nd_moment(self.embed(c)))
        x = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x

    def label(self, class_index: ClassIndex, n: int) -> Tensor | None:
        """The class, one-hot, for n images [n, c_dim]; None where there are no classes."""
        if not self.c_dim:
            return None
        if isinstance(class_index, Tensor):
            return (class_index[:, None] == torch.arange(self.c_dim, device=class_index.device)).float()
        if class_index is None:
            raise UsageError(f"a GAN of {self.c_dim} classes needs one", f"classes are 0 to {self.c_dim - 1}")
        c = torch.zeros(n, self.c_dim, device=self.embed.weight.device)
        c[:, class_index] = 1
        return c


class TrackedMapping(MappingNetwork):
    """Keeps w_avg [w_dim], the running mean of w, as the centre of truncation."""

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_layers: int, lr_multiplier: float) -> None:
        super().__init__(z_dim, c_dim, w_dim, num_layers, lr_multiplier)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def truncated(self, z: Tensor, class_index: ClassIndex, psi: float) -> Tensor:
        """w [N, w_dim], moved to the centre by 1 - psi. UsageError when a conditional GAN was given no class."""
        w = self(z, self.label(class_index, len(z)))
        return w if psi == 1 else self.w_avg.lerp(w, psi)

    @torch.no_grad()
    def track(self, w: Tensor, beta: float = 0.998) -> None:
        self.w_avg.copy_(w.float().mean(dim=0).lerp(self.w_avg, beta))
