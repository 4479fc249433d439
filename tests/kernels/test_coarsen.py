"""Pooling of tables, cell by cell and edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.kernels.coarsen import coarsen


def oracle(area, moment, contact, contrast, *, reach, cell):
    height, width = area.shape
    side = 2 * reach + 1
    out = [np.zeros((height // 2, width // 2, *tail), int) for tail in ((), (2,), (9,), (9,))]
    for y, x in np.ndindex(height, width):
        parent = y // 2, x // 2
        corner = np.array([y - 2 * parent[0], x - 2 * parent[1]]) * cell
        out[0][parent] += area[y, x]
        out[1][parent] += moment[y, x] + area[y, x] * corner
        for code in range(side**2):
            other = (y + code // side - reach) // 2, (x + code % side - reach) // 2
            delta = other[0] - parent[0], other[1] - parent[1]
            if delta != (0, 0):
                assert max(map(abs, delta)) <= 1
                coarse = 3 * (delta[0] + 1) + delta[1] + 1
                out[2][(*parent, coarse)] += contact[y, x, code]
                out[3][(*parent, coarse)] += contrast[y, x, code]
    return out


@pytest.mark.parametrize("reach", [1, 2])
@settings(max_examples=15)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(2, 512), st.integers(0, 2**32 - 1))
def test_it_pools_two_by_two_cells(reach, height, width, cell, seed):
    rng = np.random.default_rng(seed)
    shape = 2 * height, 2 * width
    area = rng.integers(0, 300, shape)
    moment = rng.integers(-300, 3000, (*shape, 2))
    contact = rng.integers(0, 9, (*shape, (2 * reach + 1) ** 2)).astype(np.int32)
    contact *= rng.random(contact.shape) < 0.5
    contrast = contact * rng.integers(0, 800, contact.shape, np.int32)
    expected = oracle(area, moment, contact, contrast, reach=reach, cell=cell)
    dtypes = (np.int64, np.int64, np.int32, np.int32)
    out = [np.zeros(e.shape, dtype) for e, dtype in zip(expected, dtypes, strict=True)]
    coarsen(area, moment, contact, contrast, reach, cell, *out)
    for got, want in zip(out, expected, strict=True):
        np.testing.assert_array_equal(got, want)
