"""What should make one look again before training on a set of annotations."""

import numpy as np

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.gan.sample_set import sample_name

FEW_PIXELS = 20
LITTLE_LABELLED = 0.05  # of a sample


def review(annotations: AnnotationSet) -> list[str]:
    """Warnings about classes that are never labelled, on one sample only, or on hardly any pixel; and about samples
    that are hardly labelled at all."""
    warnings = []
    for name, counts in zip(annotations.classes.names, annotations.pixel_counts.T, strict=True):
        (rows,) = np.nonzero(counts)
        total = int(counts.sum())
        if not total:
            warnings.append(f"class {name}: not labelled anywhere, so it will never be predicted")
            continue
        if total < FEW_PIXELS:
            warnings.append(f"class {name}: fewer than {FEW_PIXELS} pixels ({total})")
        if len(rows) == 1 and len(counts) > 1:
            warnings.append(f"class {name}: on one sample only, {sample_name(annotations.seeds[rows[0]])}")
    for seed, counts in zip(annotations.seeds, annotations.pixel_counts, strict=True):
        share = counts[1:].sum() / annotations.labels[0].size
        if share < LITTLE_LABELLED:
            warnings.append(f"sample {sample_name(seed)}: only {share:.1%} of it is labelled with a part")
    return warnings
