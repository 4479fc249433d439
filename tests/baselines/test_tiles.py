"""Tiles: where they lie, and that their weights make one whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.baselines.tiles import blend, check_tiles, stretches, tiles
from gnnseg.errors import UsageError

sizes = st.integers(1, 200), st.integers(2, 70), st.integers(0, 35)


@given(*sizes)
def test_tiles_cover_an_axis_and_their_weights_sum_to_one(length, tile, overlap):
    overlap = min(overlap, tile // 2)
    parts = stretches(length, tile, overlap)
    total = np.zeros(length)
    for part in parts:
        assert part.stop - part.start == min(tile, length) == len(part.weight)
        assert (part.weight > 0).all()
        total[part.start : part.stop] += part.weight
    np.testing.assert_allclose(total, 1, atol=1e-6)
    starts = [part.start for part in parts]
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert parts[-1].stop == length
    assert all(first.stop - second.start >= overlap for first, second in pairwise(parts))


def test_weights_fall_evenly_where_two_tiles_overlap():
    first, second = stretches(18, 10, 2)
    assert (first.stop, second.start) == (10, 8)
    np.testing.assert_allclose(first.weight, [1] * 8 + [2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(second.weight, [1 / 3, 2 / 3] + [1] * 8, rtol=1e-6)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(8, 40), st.integers(0, 20))
def test_blending_what_knows_no_neighbours_changes_nothing(height, width, tile, overlap):
    overlap = min(overlap, tile // 2)
    truth = np.random.default_rng(height).normal(size=(2, height, width)).astype(np.float32)
    found = blend(
        lambda window: truth[(slice(None), *window.slices)],
        (height, width), 2, tile=tile, overlap=overlap,
    )  # fmt: skip
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_every_tile_is_looked_at_once():
    seen = [tile.window for tile in tiles(100, 70, 40, 10)]
    assert len(seen) == len(set(seen)) == 3 * 2
    assert {window.shape for window in seen} == {(40, 40)}


@pytest.mark.parametrize(("tile", "overlap"), [(64, 33), (64, -1)])
def test_tiles_that_overlap_too_much_are_refused(tile, overlap):
    with pytest.raises(UsageError, match="overlap by 0 to 32"):
        check_tiles(tile, overlap)
