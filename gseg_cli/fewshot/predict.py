"""Label maps of generated images, and how much the teacher doubts them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gseg_cli.device import send
from gseg_cli.fewshot.model import Reading, Teacher
from gseg_cli.gan.bars import outside
from gseg_cli.gan.generator import Generator, to_uint8
from gseg_cli.gan.transparency import draw, over


@dataclass(frozen=True)
class Prediction:
    """images uint8 [N, R, R, 3]; probs [N, C, S, S], the mean over the heads; doubt [N, S, S] in nats.

    doubt is the Jensen-Shannon divergence of an ensemble's heads (DatasetGAN), or the entropy of a single head.
    """

    images: Tensor
    probs: Tensor
    doubt: Tensor

    @property
    def labels(self) -> Tensor:
        return self.probs.argmax(dim=1).to(torch.uint8)  # [N, S, S]

    def score(self, share: float = 0.1) -> Tensor:
        """One figure per image [N]: the mean doubt of its most doubtful pixels, a tenth of them."""
        flat = self.doubt.flatten(1)
        return flat.topk(max(1, round(share * flat.shape[1])), dim=1).values.mean(dim=1)


@torch.no_grad()
def predict(generator: Generator, teacher: Teacher, ws: Tensor, behind: Tensor | None = None) -> Prediction:
    """Segment the images of the latents ws [N, num_ws, w_dim] by their features.

    behind: colours [N, 3, 1, 1] instead of the checkerboard behind pictures with alpha.
    """
    reading = Reading(teacher)
    if behind is None:
        image = generator.synthesis(ws, reading.add)
    else:
        image = over(draw(generator, ws, reading.add), behind)
    heads = reading.probs()  # [H, N, C, S, S]
    if (bars := outside(generator, heads.shape[-1])) is not None:
        heads = _as_background(heads, send(bars, heads.device))
    probs = heads.mean(dim=0)
    doubt = entropy(probs)
    if len(heads) > 1:
        doubt = (doubt - entropy(heads.flatten(0, 1)).unflatten(0, heads.shape[:2]).mean(dim=0)).clamp_min(0)
    return Prediction(to_uint8(image), probs, doubt)


def _as_background(heads: Tensor, bars: Tensor) -> Tensor:
    """heads [H, N, C, S, S] with class 0 for certain where the bars [S, S] are."""
    background = torch.zeros(heads.shape[2], 1, 1, device=heads.device)
    background[0] = 1
    return torch.where(bars, background, heads)


def entropy(probs: Tensor) -> Tensor:
    """Over dim 1, in nats."""
    return -torch.xlogy(probs, probs).sum(dim=1)
