"""Adjacency against all pairs of neighbouring pixels at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.kernels import adjacency_volume
from gnnseg.kernels.adjacency import CODES, adjacency
from gnnseg.kernels.coarsen import coarsen_volume
from gnnseg.kernels.slots import MASKED


def sides(slots, grey, step):
    """Homes of both pixels (n, 2) and the grey difference (n,), in both directions."""
    y, x = np.indices(slots.shape)
    wide = slots.astype(int)
    homes = np.stack([y // step + wide // 5 - 2, x // step + wide % 5 - 2], axis=-1)
    value, known = grey.astype(int), slots != MASKED
    pairs = []
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        kept = known[here] & known[there] & (homes[here] != homes[there]).any(-1)
        difference = np.abs(value[here] - value[there])[kept]
        pairs.append((homes[here][kept], homes[there][kept], difference))
        pairs.append((homes[there][kept], homes[here][kept], difference))
    return [np.concatenate(columns) for columns in zip(*pairs, strict=True)]


def oracle(grey, slots, step):
    cells = np.array([-(-size // step) for size in slots.shape])
    target, source, difference = sides(slots, grey, step)
    inside = ((target >= 0) & (target < cells)).all(-1)
    near = inside & (np.abs(source - target).max(-1, initial=0) <= 2)
    boundary = np.zeros(cells, int)
    np.add.at(boundary, tuple(target[inside].T), 1)
    contact, contrast = np.zeros((*cells, CODES), int), np.zeros((*cells, CODES), int)
    code = (source - target + 2) @ [5, 1]
    index = (*target[near].T, code[near])
    np.add.at(contact, index, 1)
    np.add.at(contrast, index, difference[near])
    return contact, contrast, boundary


@settings(max_examples=60)
@given(st.data())
def test_it_counts_the_sides_between_regions(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    step = data.draw(st.integers(2, 6))
    shape = data.draw(st.tuples(st.integers(1, 20), st.sampled_from([*range(1, 21), 63, 130])))
    grey = rng.integers(0, 801, shape).astype(np.int16)
    codes = data.draw(st.sampled_from([[12], [11, 12, 17], list(range(25))]))
    slots = rng.choice(np.array(codes, np.uint8), shape)
    slots[rng.random(shape) < data.draw(st.sampled_from([0.0, 0.2]))] = MASKED
    cells = [-(-size // step) for size in shape]
    contact, contrast = np.zeros((2, *cells, CODES), np.int32)
    boundary = np.zeros(cells, np.int32)
    y, x = corner = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    outer = rng.integers(0, 801, (shape[0] + 5, shape[1] + 5)).astype(np.int16)
    outer[y : y + shape[0], x : x + shape[1]] = grey
    adjacency(outer, slots, step, contact, contrast, boundary, corner)
    expected = oracle(grey, slots, step)
    np.testing.assert_array_equal(contact, expected[0])
    np.testing.assert_array_equal(contrast, expected[1])
    np.testing.assert_array_equal(boundary, expected[2])


def test_contrast_along_large_faces_stops_at_the_end():
    """Flat cells as wide as can be, of two regions in turn, black and white."""
    size, most = 128, np.iinfo(np.int32).max
    striped = np.arange(size) % 2
    slots = np.broadcast_to(62 + striped, (size, size)).astype(np.uint8)
    grey = np.broadcast_to(1020 * striped, (size, size)).astype(np.int16)
    contact, contrast = np.zeros((2, 6, 1, 2, adjacency_volume.CODES), np.int32)
    boundary = np.zeros((6, 1, 2), np.int32)
    tables = contact, contrast, boundary
    adjacency_volume.adjacency_in_plane(grey, slots, 256, tables, (0, 0), 256)
    sides = 256 * size * (size - 1)
    assert sides * 1020 > most
    for home, code in ((0, 63), (1, 61)):
        assert boundary[2, 0, home] == contact[2, 0, home, code] == sides
        assert contrast[2, 0, home, code] == most
    fine = np.ones((1, 2, 2), np.int64), np.zeros((1, 2, 2, 3), np.int64)
    pairs = np.zeros((2, 1, 2, 2, 27), np.int32)
    for table, each in zip(pairs, (most // 4, most - 1), strict=True):
        table[0, :, 1, 14] = each  # both rows touch what lies on the right
    shapes = (), (3,), (27,), (27,)
    out = [np.zeros((1, 1, 1, *rest), np.int64) for rest in shapes[:2]]
    out += [np.zeros((1, 1, 1, *rest), np.int32) for rest in shapes[2:]]
    coarsen_volume((*fine, *pairs), 1, (1, 256, 256), 1, tuple(out), 1)
    assert (out[2][0, 0, 0, 14], out[3][0, 0, 0, 14]) == (2 * (most // 4), most)
