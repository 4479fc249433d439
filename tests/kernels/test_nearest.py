"""Nearest neighbours against a sort of all pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.kernels.nearest import nearest


def oracle(pos, area, k):
    height, width = area.shape
    chosen = np.zeros((height, width, 25), bool)
    occupied = [tuple(p) for p in np.argwhere(area > 0).tolist()]
    for y, x in occupied:
        near = [
            (((pos[ny, nx] - pos[y, x]) ** 2).sum(), 5 * (ny - y + 2) + nx - x + 2)
            for ny, nx in occupied
            if (ny, nx) != (y, x) and abs(ny - y) <= 2 and abs(nx - x) <= 2
        ]
        chosen[y, x, [code for _, code in sorted(near)[:k]]] = True
    return chosen


@settings(max_examples=40)
@given(
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(1, 25),
    st.sampled_from([0.0, 0.5, 4.0]),
    st.integers(0, 2**32 - 1),
)
def test_it_is_a_sort_by_distance_then_id(height, width, k, jitter, seed):
    rng = np.random.default_rng(seed)
    pos = np.stack(np.indices((height, width)), -1) * 8.0
    pos += np.rint(jitter * rng.standard_normal(pos.shape))  # whole numbers: many ties
    area = rng.integers(0, 4, (height, width))
    chosen = rng.random((height, width, 25)) < 0.5  # what stood there does not matter
    nearest(pos, area, k, chosen)
    np.testing.assert_array_equal(chosen, oracle(pos, area, k))
