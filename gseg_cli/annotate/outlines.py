"""Outlines of the regions of a label map, with few corners, to be corrected by hand in a labelling program.

They run through the middles of the pixels' sides, which is at least 0.35 from every pixel's centre. Corners are left
out only as far as that, so that the outlines, filled again, give the very same label map.
"""

import numpy as np

from gseg_cli.annotate.shapes import Polygon, cover
from gseg_runtime import outlines as of_parts
from gseg_runtime.enlarged import Enlarged
from gseg_runtime.label_map import LabelMap
from gseg_runtime.outlines import Outline

TOLERANCE = 0.35  # pixels


def outlines(labels: LabelMap) -> list[Outline]:
    """In paint order: what lies within another region comes after it, and first rings, without holes, are enough.

    Background around all of them is left out.
    """
    covered = np.zeros(labels.shape, bool)
    kept: list[Outline] = []
    found = of_parts.outlines(Enlarged(labels, *labels.shape), TOLERANCE)
    for outline in sorted(found, key=lambda outline: outline.filled_area, reverse=True):
        mask = cover(Polygon(outline.rings[:1]), *labels.shape)
        if outline.label or (mask & covered).any():
            covered |= mask
            kept.append(outline)
    return kept
