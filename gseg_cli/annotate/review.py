"""What should make one look again before training on a set of annotations."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.gan.sample_set import sample_name

Counts = npt.NDArray[np.int64]

FEW_PIXELS = 20
LITTLE_LABELLED = 0.05  # of a sample


def review(annotations: AnnotationSet) -> list[str]:
    """Warnings about classes that are never labelled, on one sample only, or on hardly any pixel; and about samples
    that are hardly labelled at all."""
    pictures = [sample_name(seed) for seed in annotations.seeds]
    warnings = review_classes(annotations.classes.names, annotations.pixel_counts, "sample", pictures)
    for seed, counts in zip(annotations.seeds, annotations.pixel_counts, strict=True):
        share = counts[1:].sum() / annotations.labels[0].size
        if share < LITTLE_LABELLED:
            warnings.append(f"sample {sample_name(seed)}: only {share:.1%} of it is labelled with a part")
    return warnings


def review_classes(names: Sequence[str], pixel_counts: Counts, noun: str, pictures: Sequence[str]) -> list[str]:
    """Those of the classes alone. pixel_counts: [pictures, classes]; noun: what such a picture is."""
    warnings = []
    for name, counts in zip(names, pixel_counts.T, strict=True):
        (rows,) = np.nonzero(counts)
        total = int(counts.sum())
        if not total:
            warnings.append(f"class {name}: not labelled anywhere, so it will never be predicted")
            continue
        if total < FEW_PIXELS:
            warnings.append(f"class {name}: fewer than {FEW_PIXELS} pixels ({total})")
        if len(rows) == 1 and len(counts) > 1:
            warnings.append(f"class {name}: on one {noun} only, {pictures[rows[0]]}")
    return warnings
