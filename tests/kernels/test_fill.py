"""Filling of pixels that are not valid, against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from gnnseg.kernels.fill import fill_rings


def filled(valid, rings, values):
    """Ring after ring, whole arrays at a time."""
    known, values = valid.copy(), values.astype(int)
    around = np.ones((3, 3), int)
    for _ in range(rings):
        count = ndimage.correlate(known.astype(int), around, mode="constant")
        total = ndimage.correlate(values * known, around[None], mode="constant")
        new = ~known & (count > 0)
        values[:, new] = total[:, new] // count[new]
        known |= new
    return values


@pytest.mark.parametrize(("share", "rings"), [(0.9, 1), (0.3, 2), (0.02, 5), (0.0, 3), (0.5, 0)])
def test_invalid_pixels_take_the_mean_of_those_around(share, rings):
    rng = np.random.default_rng(rings)
    valid = rng.random((13, 21)) < share
    work = rng.integers(0, 4081, (2, 16, 25)).astype(np.int16)
    expected = work.copy()
    expected[:, 1:14, 3:24] = filled(valid, rings, work[:, 1:14, 3:24])
    fill_rings(valid, rings, work, (1, 3))
    np.testing.assert_array_equal(work, expected)
