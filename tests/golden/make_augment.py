"""Writes augment.json: what NVIDIA's own augmentation makes of a picture that anyone can draw again.

    python tests/golden/make_augment.py STYLEGAN2_ADA    # a checkout of github.com/NVlabs/stylegan2-ada-pytorch

Needs PyTorch, scipy, and `requests`, which the checkout imports. tests/gan/test_augment.py reads it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

SIZE = 24
GROUPS = {
    "blit": ("xflip", "rotate90", "xint"),
    "geometric": ("scale", "rotate", "aniso", "xfrac"),
    "colour": ("brightness", "contrast", "lumaflip", "hue", "saturation"),
}
CASES = [*((group, names) for group, names in GROUPS.items()), ("all", tuple(sum(GROUPS.values(), ())))]
PERCENTILES = (0.12, 0.37, 0.81)  # of every parameter's distribution: NVIDIA's own way to fix them
PIXELS = range(0, SIZE, 5)


def picture() -> torch.Tensor:
    """float32 [1, 3, SIZE, SIZE] in [-1, 1], rough and without symmetry."""
    values = np.random.RandomState(0).uniform(-1, 1, (1, 3, SIZE, SIZE))
    return torch.from_numpy(values.astype(np.float32))


def main(checkout: Path) -> None:
    sys.path.insert(0, str(checkout))
    from training.augment import AugmentPipe

    cases = []
    for group, names in CASES:
        pipe = AugmentPipe(**dict.fromkeys(names, 1))
        for percentile in PERCENTILES:
            result = pipe(picture(), debug_percentile=percentile)[0][:, PIXELS][:, :, PIXELS]
            cases.append({"group": group, "percentile": percentile, "pixels": np.round(result.numpy(), 6).tolist()})
    path = Path(__file__).with_name("augment.json")
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
