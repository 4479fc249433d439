"""The table of planes: each is summed over every region, plain and squared; and the pattern rings.

A new texture is one more row here and, if its rule is new, one more of `RULES` and in each of the
two loops: `gnnseg.kernels.region_sums` and, for a GPU, `gnnseg.kernels.cuda.region_sums`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from gnnseg.kernels.patterns import PATTERNS
from gnnseg.kernels.region_sums import (
    ALONG_X,
    ALONG_Y,
    FALLING,
    GREY_BINS,
    LAPLACIAN,
    RISING,
    VALUE,
)

DISTANCES = (1, 2, 4)
"""Scales of the texture filters, in pixels."""
RINGS = (1, 2, 4)
"""Distances at which local binary patterns are counted, in pixels."""
NUM_BINS = GREY_BINS + len(RINGS) * PATTERNS
"""Columns of a region's histogram: of grey, then of the patterns of each ring."""
_COLOURS = ["light", "red_green", "yellow_blue"]
_TEXTURES = {
    "along_x": ALONG_X,
    "along_y": ALONG_Y,
    "falling": FALLING,
    "rising": RISING,
    "laplacian": LAPLACIAN,
}


@dataclass(frozen=True)
class Plane:
    """A named plane: a rule, and its channel or distance."""

    name: str
    rule: int
    argument: int


@cache
def planes(num_channels: int, *, rgb: bool) -> tuple[Plane, ...]:
    """Planes of an image: its channels, then the textures of its grey at each scale.

    >>> [plane.name for plane in planes(3, rgb=True)][:4]
    ['light', 'red_green', 'yellow_blue', 'along_x_1']
    """
    names = _COLOURS if rgb else [f"channel_{c}" for c in range(num_channels)]
    values = (Plane(name, VALUE, channel) for channel, name in enumerate(names))
    textures = (
        Plane(f"{name}_{distance}", rule, distance)
        for distance in DISTANCES
        for name, rule in _TEXTURES.items()
    )
    return (*values, *textures)


def plane_table(rows: tuple[Plane, ...]) -> np.ndarray:
    """(P, 2) int64 of rules and arguments, as the kernel takes them."""
    return np.array([(row.rule, row.argument) for row in rows], np.int64)
