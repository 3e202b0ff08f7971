"""How far photos are from what a GAN draws, by their own pixels alone."""

import numpy as np
import numpy.typing as npt
import torch

from gseg_cli.device import send
from gseg_cli.gan.bars import outside
from gseg_cli.gan.inversion.drawn_samples import look_at
from gseg_cli.gan.inversion.inverter import Fitted, Inverter
from gseg_runtime.label_map import Pixels


def own_distances(
    inverter: Inverter, photos: Pixels, inside: npt.NDArray[np.bool_], fitted: Fitted
) -> npt.NDArray[np.float32] | None:
    """As `Fitted.distances`; photos, inside: as of `Inverter.fit`, which made `fitted` of them.

    Beside a photo stands what the GAN draws there. It draws no bars of a letterbox: they would take faces beyond the
    limit that are within it as a whole.
    """
    if inverter.domain is None:
        return None
    if (bars := outside(inverter.generator, inverter.size)) is not None:
        inside = inside & ~bars.numpy()
    shown = np.where(inside[..., None], photos, fitted.images)
    target = send(torch.from_numpy(shown), inverter.device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return inverter.domain.distance_of(look_at(target, inverter.discriminator)).cpu().numpy()
