"""Tiles: where they lie, and that their weights make one whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.baselines.strips import blended_slabs
from gnnseg.baselines.tiles import check_tiles, stretches
from gnnseg.blocks import Window
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


@st.composite
def cuts(draw):
    """A plane, tiles, rows of a slab, and a part of the plane."""
    shape = draw(st.integers(1, 90)), draw(st.integers(1, 60))
    tile, rows = draw(st.integers(4, 40)), draw(st.integers(1, 50))
    overlap = draw(st.integers(0, tile // 2))
    (y0, y1), (x0, x1) = (
        sorted(draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True)))
        for n in shape
    )
    return shape, tile, overlap, rows, Window(y0, y1, x0, x1)


@given(cuts())
@settings(max_examples=200)
def test_a_part_has_the_very_logits_of_the_whole(cut):
    shape, tile, overlap, rows, part = cut
    random = np.random.default_rng(tile)
    noise = {}

    def logits_of(window):
        if window.key not in noise:
            noise[window.key] = random.normal(size=(2, *window.shape)).astype(np.float32)
        return noise[window.key], noise[window.key][0] > -1

    whole, valid = np.zeros((2, *shape), np.float32), np.ones(shape, bool)
    for down in stretches(shape[0], tile, overlap):
        for right in stretches(shape[1], tile, overlap):
            window = Window(down.start, down.stop, right.start, right.stop)
            logits, good = logits_of(window)
            whole[(slice(None), *window.slices)] += logits * (down.weight[:, None] * right.weight)
            valid[window.slices] &= good
    slabs = blended_slabs(logits_of, shape, part, 2, tile=tile, overlap=overlap, rows=rows)
    bottom = part.y0
    for slab in slabs:
        assert (slab.window.y0, slab.window.x0, slab.window.x1) == (bottom, part.x0, part.x1)
        bottom = slab.window.y1
        assert slab.window.shape[0] == rows or bottom == part.y1
        np.testing.assert_array_equal(slab.logits, whole[(slice(None), *slab.window.slices)])
        np.testing.assert_array_equal(slab.valid, valid[slab.window.slices])
    assert bottom == part.y1


@given(st.integers(1, 90), st.integers(1, 90), st.integers(8, 40), st.integers(0, 20))
def test_blending_what_knows_no_neighbours_changes_nothing(height, width, tile, overlap):
    overlap = min(overlap, tile // 2)
    truth = np.random.default_rng(height).normal(size=(2, height, width)).astype(np.float32)
    given = {"tile": tile, "overlap": overlap, "rows": height}
    for slab in blended_slabs(
        lambda window: (truth[(slice(None), *window.slices)], None),
        (height, width), Window(0, height, 0, width), 2, **given,
    ):  # fmt: skip
        np.testing.assert_allclose(slab.logits, truth, atol=1e-5)
        assert slab.valid.all()


def test_every_tile_is_looked_at_once():
    seen = []

    def logits_of(window):
        seen.append(window)
        return np.zeros((1, *window.shape), np.float32), None

    whole = Window(0, 100, 0, 70)
    list(blended_slabs(logits_of, (100, 70), whole, 1, tile=40, overlap=10, rows=16))
    assert len(seen) == len(set(seen)) == 3 * 2
    assert {window.shape for window in seen} == {(40, 40)}


@pytest.mark.parametrize(("tile", "overlap"), [(64, 33), (64, -1), (0, 0), (9000, 0)])
def test_tiles_that_overlap_too_much_are_refused(tile, overlap):
    with pytest.raises(UsageError, match=r"overlap by 0 to 32|64 to 8192 pixels on a side"):
        check_tiles(tile, overlap)
