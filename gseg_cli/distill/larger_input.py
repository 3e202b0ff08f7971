"""Larger pictures for a finished student of labelled photos than it learned from.

Networks that see objects smaller in use than in training lose (Touvron et al. 2019, FixRes), and augmentation enlarges
what a student learns from.
"""

import math
from dataclasses import replace

from gseg_cli.distill.config import AugmentConfig
from gseg_cli.distill.net_config import PRETRAINED, NetConfig
from gseg_cli.distill.student import Student


def segmented_size(net: NetConfig, augment: AugmentConfig) -> int:
    """The side of the pictures that a finished student segments, in pixels.

    lite0's grows by the cube root of the largest enlargement, as far as whole steps of its stride go
    (benchmarks/input_size.md).
    """
    if net.size != PRETRAINED:
        return net.input_size
    return int(net.input_size * math.cbrt(augment.scale_max) / net.stride) * net.stride


def with_larger_input(student: Student, augment: AugmentConfig) -> Student:
    """The same student, which from now on takes pictures of `segmented_size`."""
    student.config = replace(student.config, input_size=segmented_size(student.config, augment))
    return student
