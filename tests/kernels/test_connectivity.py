"""Connectivity against pieces from SciPy and rounds in plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gnnseg.kernels.connectivity import connect
from gnnseg.kernels.slots import MASKED, REACH

NOWHERE = -99
SIDES = [(-1, 0), (1, 0), (0, -1), (0, 1)]


def homes_of(slots, step):
    """(H, W, 2) cells of the homes; far away where masked."""
    y, x = np.indices(slots.shape)
    wide = slots.astype(int)
    homes = np.stack([y // step + wide // 5 - 2, x // step + wide % 5 - 2], axis=-1)
    homes[slots == MASKED] = NOWHERE
    return homes


def main_pixels(homes):
    """Where the main pieces lie."""
    inside = np.zeros(homes.shape[:2], bool)
    for home in {tuple(h) for h in homes.reshape(-1, 2).tolist()} - {(NOWHERE, NOWHERE)}:
        pieces, count = ndimage.label((homes == home).all(axis=-1))
        sizes = np.bincount(pieces.ravel())[1:]
        first = [np.flatnonzero(pieces == k + 1)[0] for k in range(count)]
        inside |= pieces == 1 + min(range(count), key=lambda k: (-sizes[k], first[k]))
    return inside


def best_home(homes, inside, pixel, *, step):
    y, x = pixel
    own, found = np.array([y // step, x // step]), []
    for dy, dx in SIDES:
        ny, nx = y + dy, x + dx
        if 0 <= ny < homes.shape[0] and 0 <= nx < homes.shape[1] and inside[ny, nx]:
            home = homes[ny, nx]
            if np.abs(home - own).max() <= 2:
                found.append(tuple(home.tolist()))
    return min(found, key=lambda home: (-found.count(home), home), default=None)


def oracle(step, rounds, slots):
    homes = homes_of(slots, step)
    inside = main_pixels(homes)
    left = [tuple(p) for p in np.argwhere(~inside & (slots != MASKED)).tolist()]
    for _ in range(rounds):
        chosen = {p: best_home(homes, inside, p, step=step) for p in left}
        for (y, x), home in chosen.items():
            if home is not None:
                homes[y, x], inside[y, x] = home, True
        left = [p for p in left if chosen[p] is None]
    y, x = np.indices(slots.shape)
    new = 5 * (homes[..., 0] - y // step + 2) + homes[..., 1] - x // step + 2
    new[slots == MASKED] = MASKED
    return new, [list(pixel) for pixel in left]


def random_slots(rng, shape, grain, masked, *, reach):
    """Slots of homes up to `reach` cells away, also outside the window, in specks of pixels."""
    coarse = [-(-size // grain) for size in shape]
    offset = rng.integers(-reach, reach + 1, (2, *coarse))
    offset = np.repeat(np.repeat(offset, grain, 1), grain, 2)
    offset = offset[:, : shape[0], : shape[1]]
    slots = (5 * (offset[0] + 2) + offset[1] + 2).astype(np.uint8)
    slots[rng.random(shape) < masked] = MASKED
    return slots


@settings(max_examples=100)
@given(st.data())
def test_it_is_the_documented_rule(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    step = data.draw(st.integers(2, 5))
    shape = data.draw(st.tuples(st.integers(1, 18), st.sampled_from([*range(1, 18), 64, 65, 133])))
    slots = random_slots(
        rng,
        shape,
        data.draw(st.integers(1, 4)),
        data.draw(st.sampled_from([0.0, 0.1, 0.5])),
        reach=data.draw(st.integers(0, REACH)),
    )
    rounds = data.draw(st.integers(0, 2 * step))
    expected, expected_left = oracle(step, rounds, slots)
    left = connect(slots, step, rounds)
    np.testing.assert_array_equal(slots, expected)
    assert left.tolist() == expected_left


def test_of_equal_pieces_the_first_in_raster_order_is_the_main_one():
    slots = np.full((4, 8), 12, np.uint8)
    slots[0, 3] = 13  # the right cell's, before
    slots[3, 3] = 13  # and after its neighbour in raster order
    slots[:, 4:] = MASKED
    left = connect(slots, 4, 0)
    assert left.tolist() == [[3, 3]]


def test_pieces_larger_than_a_word_hang_together():
    step, width = 100, 300
    slots = np.full((step, width), 12, np.uint8)
    slots[:, 100:200] = 11  # all of it and the first cell are one superpixel
    slots[:, 200:] = 10
    slots[50, :250] = MASKED  # cuts it in two, but for the right end
    before = slots.copy()
    assert connect(slots, step, 3).size == 0
    slots[50, 250:] = MASKED
    before[50, 250:] = MASKED
    left = connect(slots, step, 3)
    np.testing.assert_array_equal(slots, before)
    assert len(left) == 49 * width  # the lower piece is the smaller one
