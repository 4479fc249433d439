"""The scale of costs on which positions and channels are compared, in 16-bit integers."""

from __future__ import annotations

import numpy as np

QUARTERS = 4
"""Centres are kept in quarters of a pixel."""
SPAN = 16384
"""Most that the channels of a pixel may add up to."""
HEAVIEST = 2000
"""Largest cost of a distance of one step along one axis."""
_AXIS = 3 * HEAVIEST + 1  # largest cost of a distance between a pixel and a home
BASE = SPAN + _AXIS
"""Added to differences of distances, so that none is negative: as much as a pixel can have."""
FARTHEST = (1 << 16) - 1
"""In place of what a home costs that there is not: more than `BASE` and any distance."""


def make_ruler(step: int, weight: float) -> np.ndarray:
    """Where a quarter pixel stands on the scale of the costs, from two cells before: int16."""
    quarters = np.arange(5 * QUARTERS * step + 1, dtype=np.float32)
    return np.rint(np.float32(weight / QUARTERS) * quarters).astype(np.int16)
