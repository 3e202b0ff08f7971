"""FID and KID by torch-fidelity, with Inception weights that the user brings."""

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gseg_runtime.errors import BackendUnavailable, CheckpointError
from gseg_runtime.pip_hint import install

BATCH = 32
SUBSET = 1000  # of KID
LAYER = "2048"


class Inception:
    """torch-fidelity's Inception of 2015 with the weights of a file; nothing is downloaded.

    Raises BackendUnavailable without torch-fidelity, CheckpointError when the file does not hold its weights.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise BackendUnavailable(f"FID needs torch-fidelity: {error}", install("fid")) from error
        hint = "torch-fidelity's weights-inception-2015-12-05-6726825d.pth holds them"
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises nearly anything on a file that is none of its own
            raise CheckpointError(f"{weights}: its weights cannot be read safely: {error}", hint) from error
        with tempfile.TemporaryDirectory() as folder:
            # It unpickles what it is given without asking, so it is given a file of ours.
            safe = Path(folder) / "weights.pth"
            torch.save(state, safe)
            try:
                self.net: Any = FeatureExtractorInceptionV3("inception", [LAYER], str(safe)).to(device)
            except (RuntimeError, TypeError, AttributeError) as error:
                raise CheckpointError(f"{weights}: not the weights of Inception: {error}", hint) from error
        self.device = device

    def distances(self, photos: Tensor, samples: Tensor) -> dict[str, float]:
        """fid, and kid times 1000 from 1000 pictures on, between uint8 [N, 3, R, R] and uint8 [M, 3, R, R]."""
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
        from torch_fidelity.metric_kid import kid_features_to_metric

        a, b = self._features(photos), self._features(samples)
        fid = fid_statistics_to_metric(fid_features_to_statistics(a), fid_features_to_statistics(b), verbose=False)
        figures = {"fid": fid["frechet_inception_distance"]}
        if min(len(a), len(b)) >= SUBSET:
            kid = kid_features_to_metric(a, b, kid_subset_size=SUBSET, verbose=False)
            figures["kid"] = 1000 * kid["kernel_inception_distance_mean"]
        return figures

    @torch.no_grad()
    def _features(self, images: Tensor) -> Tensor:
        return torch.cat([self.net(batch.to(self.device))[0].cpu() for batch in images.split(BATCH)])


@lru_cache(maxsize=1)
def load_inception(weights: Path, device: torch.device) -> Inception:
    """Once for whoever checks the file and whoever measures."""
    return Inception(weights, device)
