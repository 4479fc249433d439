"""Changes of home against the homes themselves."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.kernels.runs import ROW, list_across, list_down
from gnnseg.kernels.slic import MASKED


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
        found = listed[: list_down(slots[y - 1], slots[y], ROW * (y % step == 0), listed)]
        either = known[y] | known[y - 1]
        expected = np.flatnonzero(ids[y] != ids[y - 1])
        np.testing.assert_array_equal(found[either[found]], expected)
