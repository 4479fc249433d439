"""Deciles against NumPy on the cumulative histogram."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.kernels.deciles import deciles


@pytest.mark.parametrize("high", [2, 50])
def test_deciles_lie_where_the_cumulative_histogram_reaches_them(high):
    histogram = np.random.default_rng(high).integers(0, high, (200, 32)).astype(np.int32)
    histogram[0] = 0
    percents = np.arange(10, 100, 10)
    out = np.empty((200, 9))
    deciles(histogram, percents, out)
    cumulative = np.cumsum(histogram, axis=1).astype(float)
    for d, percent in enumerate(percents.tolist()):
        target = cumulative[:, -1] * percent / 100
        index = (cumulative < target[:, None]).sum(axis=1).clip(max=31)
        inside = np.maximum(histogram[np.arange(200), index], 1)
        before = cumulative[np.arange(200), index] - histogram[np.arange(200), index]
        np.testing.assert_array_equal(out[:, d], (index + (target - before) / inside) / 32)
