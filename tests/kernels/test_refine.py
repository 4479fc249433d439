"""Bands along borders and mixed logits, against their definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from gnnseg.kernels.refine import FINE, LEVELS, PARTS, SHIFT, Homes, border_band, mix
from gnnseg.kernels.slots import MASKED


def expected_band(labels, reach, unlabelled):
    marks = np.zeros(labels.shape, bool)
    known = labels != unlabelled
    for dy, dx in ((0, 1), (1, 0)):
        a = np.s_[: labels.shape[0] - dy, : labels.shape[1] - dx]
        b = np.s_[dy:, dx:]
        differ = (labels[a] != labels[b]) & known[a] & known[b]
        marks[a] |= differ
        marks[b] |= differ
    side = 2 * reach - 1
    return binary_dilation(marks, np.ones((side, side))) & known


@settings(max_examples=60)
@given(st.data())
def test_the_band_is_what_lies_near_a_border(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 70)))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16]))
    reach = data.draw(st.integers(1, 5))
    coarse = rng.integers(0, 3, [-(-size // 6) for size in shape])
    labels = coarse.repeat(6, 0).repeat(6, 1)[: shape[0], : shape[1]].astype(dtype)
    labels[rng.random(shape) < data.draw(st.sampled_from([0, 0.05, 0.5]))] = 200
    out = np.ones(shape, bool)
    border_band(labels, reach, 200, out)
    np.testing.assert_array_equal(out, expected_band(labels, reach, 200))


def draw_homes(rng, cells, channels, classes, step):
    return Homes(
        logits=rng.integers(-20 * LEVELS, 1, (*cells, classes)).astype(np.int32),
        colour=rng.integers(0, 16 * 1020, (*cells, channels)).astype(np.int32),
        precision=rng.integers(1, 2 * 10**6, (*cells, channels)),
        centre=rng.integers(0, PARTS * step, (*cells, 2)).astype(np.int32),
        occupied=rng.random(cells) < 0.9,
    )


def draw_window(rng, step, shape, channels):
    """Slots, working channels with a margin of two, homes two cells wider, and some pixels."""
    cells = [-(-size // step) for size in shape]
    slots = rng.integers(0, 25, shape).astype(np.uint8)
    work = rng.integers(0, 1021, (channels, shape[0] + 4, shape[1] + 4)).astype(np.int16)
    homes = draw_homes(rng, [n + 4 for n in cells], channels, 4, step)
    y, x = np.indices(shape)
    wide = slots.astype(int)
    own = y // step + wide // 5, x // step + wide % 5
    homes.occupied[own] = True
    slots[rng.random(shape) < 0.1] = MASKED
    places = np.argwhere(slots != MASKED).astype(np.int32)
    return slots, work, homes, places[rng.random(len(places)) < 0.5]


def expected_mix(slots, step, homes, first, work, corner, places, nearness):
    """One pixel after the other, in floating point."""
    out = []
    binomial = np.outer([1, 2, 1], [1, 2, 1])
    for y, x in places.astype(int):
        cell_y, cell_x = first[0] + y // step, first[1] + x // step
        slot = int(slots[y, x])
        near = {(cell_y + dy, cell_x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
        near.add((cell_y + slot // 5 - 2, cell_x + slot % 5 - 2))
        rows, columns = homes.occupied.shape
        near = [(r, c) for r, c in near if 0 <= r < rows and 0 <= c < columns]
        near = [home for home in near if homes.occupied[home]]
        patch = work[
            :, corner[0] + y - 1 : corner[0] + y + 2, corner[1] + x - 1 : corner[1] + x + 2
        ]
        soft = (patch * binomial).sum(axis=(1, 2))
        exponents = []
        for home in near:
            at = np.array([y, x]) - (np.array(home) - first) * step
            far = (PARTS * at - homes.centre[home]).astype(float)
            away = (soft - homes.colour[home]).astype(float)
            cost = (far**2).sum() * nearness + (away**2 * homes.precision[cell_y, cell_x]).sum()
            exponents.append(cost / 2**SHIFT / FINE)
        weights = np.exp(min(exponents) - np.array(exponents))
        logits = np.array([homes.logits[home] for home in near]) / LEVELS
        out.append(weights @ logits / weights.sum())
    return np.array(out)


@settings(max_examples=40)
@given(st.data())
def test_mixed_logits_are_the_weighted_mean_of_those_around(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    step, channels = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 4))
    shape = data.draw(st.tuples(st.integers(1, 15), st.integers(1, 15)))
    slots, work, homes, places = draw_window(rng, step, shape, channels)
    nearness = data.draw(st.integers(0, 2**33))
    out = np.full((len(places), 4), np.nan, np.float32)
    mix(slots, step, homes, (2, 2), work, (2, 2), places, nearness, out)
    expected = expected_mix(slots, step, homes, (2, 2), work, (2, 2), places, nearness)
    # Exponents are cut to 1/32: a weight is off by 3 % at most.
    np.testing.assert_allclose(out, expected.reshape(out.shape), atol=0.04 * 20)
    if len(places):
        assert np.abs(out - expected).mean() < 0.1


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_homes_of_one_mind_stay_so(seed):
    rng = np.random.default_rng(seed)
    slots, work, homes, places = draw_window(rng, 4, (13, 17), 2)
    same = homes._replace(logits=np.broadcast_to(homes.logits[:1, :1], homes.logits.shape).copy())
    out = np.empty((len(places), 4), np.float32)
    mix(slots, 4, same, (2, 2), work, (2, 2), places, 10**6, out)
    expected = (homes.logits[0, 0] / LEVELS).astype(np.float32)
    np.testing.assert_array_equal(out, np.broadcast_to(expected, out.shape))
