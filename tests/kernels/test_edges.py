"""The edge list against the same definition in numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.kernels.edges import edge_list


def oracle(contact, contrast, pos, area, reach, cell, top):
    """Edges and attributes by `np.nonzero` and fancy indexing, in float64."""
    shape = np.array(area.shape)
    *target, code = np.nonzero(contact)
    target = np.array(target)
    way = np.array(np.unravel_index(code, (2 * reach + 1,) * area.ndim)) - reach
    inside = ((target + way >= 0) & (target + way < shape[:, None])).all(axis=0)
    target, way, code = target[:, inside], way[:, inside], code[inside]
    source, target = tuple(target + way), tuple(target)
    delta = (pos[source] - pos[target]) / cell
    shared = contact[*target, code].astype(np.float64)
    columns = [
        *delta.T,
        np.sqrt((delta**2).cumsum(axis=1)[:, -1]),
        shared / contact.sum(axis=-1)[target],
        contrast[*target, code] / (shared * top),
        area[source] / np.maximum(area[source] + area[target], 1),
    ]
    edge_index = np.stack([np.ravel_multi_index(nodes, shape) for nodes in (source, target)])
    return edge_index, np.stack(columns, axis=1).astype(np.float32)


@given(st.integers(0, 9999), st.lists(st.integers(1, 6), min_size=2, max_size=3), st.data())
def test_edges_equal_their_definition(seed, shape, data):
    rng, axes, reach = np.random.default_rng(seed), len(shape), data.draw(st.sampled_from([1, 2]))
    codes = (2 * reach + 1) ** axes
    contact = (rng.integers(0, 50, (*shape, codes)) * rng.integers(0, 2, codes)).astype("i4")
    contrast = contact * rng.integers(0, 800, contact.shape, dtype=np.int32)
    pos = rng.uniform(0, 100, (*shape, axes))
    area = rng.integers(0, 300, shape)
    cell = data.draw(st.sampled_from([8, (3, 8, 8)[-axes:]]))
    arguments = (contact, contrast, pos, area, reach, cell, 800)
    for got, expected in zip(edge_list(*arguments), oracle(*arguments), strict=True):
        np.testing.assert_array_equal(got, expected)
