"""Changes of home against the homes themselves."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.kernels.runs import ROW, list_across, list_down, list_shifted
from gnnseg.kernels.slots import LAYER, MASKED


def homes(slots, step):
    """Two rows of cells on; an id for each home, -1 where masked."""
    y, x = np.indices(slots.shape)
    wide = slots.astype(int)
    ids = (y // step + wide // 5) * 1000 + x // step + wide % 5
    return np.where(slots == MASKED, -1, ids)


@given(st.data())
def test_changes_are_where_homes_differ(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    step = data.draw(st.integers(2, 9))
    width = data.draw(st.integers(1, 70))
    codes = data.draw(st.sampled_from([[12], [11, 12, 13], [7, 12, 17], list(range(25))]))
    slots = rng.choice(np.array(codes, np.uint8), (2 * step, width))
    slots[rng.random(slots.shape) < data.draw(st.sampled_from([0.0, 0.2]))] = MASKED
    ids = homes(slots, step)
    listed = np.empty(width + 1, np.int32)
    known = slots != MASKED
    across = list_across(slots[0], step, listed)
    expected = np.flatnonzero(ids[0, 1:] != ids[0, :-1]) + 1
    more = sorted({0, *expected, *(x for x in range(0, width, step) if not known[0, x])})
    found = listed[:across].tolist()
    assert set(expected) <= set(found) <= set(more)
    for y in range(1, 2 * step):
        found = listed[: list_down(slots[y - 1], slots[y], y % step == 0, listed)]
        either = known[y] | known[y - 1]
        expected = np.flatnonzero(ids[y] != ids[y - 1])
        np.testing.assert_array_equal(found[either[found]], expected)


@given(st.data())
def test_changes_in_a_volume(data):
    """Along y and along z, of all homes that a voxel may have."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    width = data.draw(st.integers(1, 40))
    above, here = rng.integers(0, 125, (2, width)).astype(np.uint8)
    axis, goes_on = data.draw(st.sampled_from([(0, LAYER), (1, ROW)])), data.draw(st.booleans())
    shift = axis[1] * goes_on
    close = rng.random(width) < 0.7  # often one home, as far as slots can tell
    above[close] = np.minimum(here[close] + shift, 124)
    for slots in (above, here):
        slots[rng.random(width) < 0.1] = MASKED
    home = np.stack([here // LAYER, here % LAYER // ROW, here % ROW]).astype(int)
    home[axis[0]] += goes_on
    other = np.stack([above // LAYER, above % LAYER // ROW, above % ROW]).astype(int)
    listed = np.empty(width + 1, np.int32)
    found = listed[: list_shifted(above, here, shift, listed)]
    differs = (home != other).any(axis=0) | ((above == MASKED) != (here == MASKED))
    both = (above == MASKED) & (here == MASKED)
    np.testing.assert_array_equal(found[~both[found]], np.flatnonzero(differs & ~both))
