"""The edge list against the same definition in numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.kernels.edges import edge_list


def oracle(contact, contrast, pos, area, reach, cell, top):
    """Edges and attributes by `np.nonzero` and fancy indexing, in float64."""
    height, width, _ = contact.shape
    side = 2 * reach + 1
    y, x, code = np.nonzero(contact)
    sy, sx = y + code // side - reach, x + code % side - reach
    inside = (sy >= 0) & (sy < height) & (sx >= 0) & (sx < width)
    y, x, code, sy, sx = (array[inside] for array in (y, x, code, sy, sx))
    delta = (pos[sy, sx] - pos[y, x]) / cell
    shared = contact[y, x, code].astype(np.float64)
    columns = [
        delta[:, 0],
        delta[:, 1],
        np.sqrt(delta[:, 0] ** 2 + delta[:, 1] ** 2),
        shared / contact.sum(axis=-1)[y, x],
        contrast[y, x, code] / (shared * top),
        area[sy, sx] / np.maximum(area[sy, sx] + area[y, x], 1),
    ]
    edge_index = np.stack([sy * width + sx, y * width + x])
    return edge_index, np.stack(columns, axis=1).astype(np.float32)


@given(st.integers(0, 9999), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2]))
def test_edges_equal_their_definition(seed, height, width, reach):
    rng = np.random.default_rng(seed)
    codes = (2 * reach + 1) ** 2
    contact = (rng.integers(0, 50, (height, width, codes)) * rng.integers(0, 2, codes)).astype("i4")
    contrast = contact * rng.integers(0, 800, contact.shape, dtype=np.int32)
    pos = rng.uniform(0, 100, (height, width, 2))
    area = rng.integers(0, 300, (height, width))
    arguments = (contact, contrast, pos, area, reach, 8, 800)
    for got, expected in zip(edge_list(*arguments), oracle(*arguments), strict=True):
        np.testing.assert_array_equal(got, expected)
