"""Region sums against np.bincount over whole planes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.features import NUM_BINS, RINGS, plane_table, planes
from gnnseg.kernels.patterns import PATTERNS
from gnnseg.kernels.region_sums import (
    ALONG_X,
    ALONG_Y,
    FALLING,
    GEOMETRY,
    GREY_BINS,
    LAPLACIAN,
    RISING,
    VALUE,
    region_sums,
)
from gnnseg.kernels.slots import MASKED

MARGIN = 4
SHIFTS = {
    ALONG_X: ((0, 1), (0, -1)),
    ALONG_Y: ((1, 0), (-1, 0)),
    FALLING: ((1, 1), (-1, -1)),
    RISING: ((1, -1), (-1, 1)),
}


def plane_image(work, grey, rule, argument):
    """One plane as a whole (H, W) array, without the margin."""
    height, width = (size - 2 * MARGIN for size in grey.shape)

    def moved(dy, dx):
        y, x = MARGIN + dy * argument, MARGIN + dx * argument
        return grey[y : y + height, x : x + width].astype(np.int64)

    if rule == VALUE:
        return work[argument, MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.int64)
    if rule == LAPLACIAN:
        ring = sum(moved(*side) for side in ((1, 0), (-1, 0), (0, 1), (0, -1)))
        return np.abs(ring - 4 * moved(0, 0)) // 4
    first, second = SHIFTS[rule]
    return np.abs(moved(*first) - moved(*second))


def oracle(work, grey, slots, *, step, table, top):
    height, width = slots.shape
    cells = -(-height // step), -(-width // step)
    y, x = np.indices((height, width))
    wide = slots.astype(np.int64)
    home_y, home_x = y // step + wide // 5 - 2, x // step + wide % 5 - 2
    kept = (slots != MASKED) & (home_y >= 0) & (home_x >= 0)
    kept &= (home_y < cells[0]) & (home_x < cells[1])
    ids = (home_y * cells[1] + home_x)[kept]
    y, x = y - home_y * step, x - home_x * step
    values = [plane_image(work, grey, *row) for row in table.tolist()]
    terms = [np.ones_like(y), y, x, y * y, y * x, x * x, *(v**n for v in values for n in (1, 2))]
    num = cells[0] * cells[1]
    columns = [np.bincount(ids, term[kept], num) for term in terms]
    centre = grey[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.int64)
    bins = centre[kept] * GREY_BINS // (top + 1)
    bars = [np.bincount(ids * GREY_BINS + bins, minlength=num * GREY_BINS).reshape(num, -1)]
    for ring in RINGS:
        codes = pattern_image(grey, ring, top // 100)[kept]
        counts = np.bincount(ids * PATTERNS + codes, minlength=num * PATTERNS)
        bars.append(counts.reshape(num, -1))
    histogram = np.concatenate(bars, axis=1).reshape(*cells, -1)
    return np.stack(columns, -1).reshape(*cells, -1), histogram


def pattern_image(grey, distance, contrast):
    """The pattern of every pixel within the margin, by the definition."""
    wide = grey.astype(np.int64)
    height, width = (size - 2 * MARGIN for size in grey.shape)
    sides = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    corners = [(MARGIN + dy * distance, MARGIN + dx * distance) for dy, dx in [*sides, (0, 0)]]
    *ring, centre = (wide[y : y + height, x : x + width] for y, x in corners)
    bits = np.stack([level > centre + contrast for level in ring])
    changes = (bits != np.roll(bits, 1, axis=0)).sum(axis=0)
    return np.where(changes <= 2, bits.sum(axis=0), PATTERNS - 1)


def random_window(rng, channels, top, height, width):
    size = height + 2 * MARGIN, width + 2 * MARGIN
    work = rng.integers(0, top + 1, (channels, *size)).astype(np.int16)
    return work, rng.integers(0, top + 1, size).astype(np.int16)


def check(work, grey, slots, *, step, top, corner=(MARGIN, MARGIN)):
    """Compare the sums of the part of `work` and `grey` that `slots` covers from `corner` on."""
    table = plane_table(planes(len(work), rgb=False))
    y, x = corner[0] - MARGIN, corner[1] - MARGIN
    frame = slice(y, y + slots.shape[0] + 2 * MARGIN), slice(x, x + slots.shape[1] + 2 * MARGIN)
    expected = oracle(work[:, *frame], grey[frame], slots, step=step, table=table, top=top)
    sums = np.zeros(expected[0].shape, np.int64)
    histogram = np.zeros(expected[1].shape, np.int32)
    rings = np.array(RINGS)
    region_sums(work, grey, slots, step, table, rings, top, sums, histogram, corner)
    np.testing.assert_array_equal(sums, expected[0])
    np.testing.assert_array_equal(histogram, expected[1])


@settings(max_examples=60)
@given(st.data())
def test_it_is_bincount(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    step = data.draw(st.integers(2, 7))
    height, width = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    channels, top = data.draw(st.sampled_from([(1, 800), (3, 800), (5, 100)]))
    corner = data.draw(st.tuples(*[st.integers(MARGIN, MARGIN + 3)] * 2))
    rest = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    outer = (s + c - MARGIN + r for s, c, r in zip((height, width), corner, rest, strict=True))
    work, grey = random_window(rng, channels, top, *outer)
    slots = rng.integers(0, 25, (height, width)).astype(np.uint8)
    grain = data.draw(st.sampled_from([1, 3, 9]))
    slots = np.repeat(np.repeat(slots, grain, 0), grain, 1)[:height, :width].copy()
    slots[rng.random(slots.shape) < 0.1] = MASKED
    check(work, grey, slots, step=step, top=top, corner=corner)


@pytest.mark.parametrize(("height", "width"), [(300, 130), (70, 2150), (32, 2048), (33, 4097)])
def test_many_rows_and_columns(height, width):
    """More than are worked on at once; regions as tall as five cells."""
    rng = np.random.default_rng(height)
    slots = np.full((height, width), 12, np.uint8)
    y = np.arange(height) // 60 % 5
    slots[:, : width // 2] = 5 * (4 - y)[:, None] + 2  # one home for 300 rows
    slots[rng.random(slots.shape) < 0.01] = MASKED
    check(*random_window(rng, 1, 800, height, width), slots, step=60, top=800)


@pytest.mark.parametrize("step", [2, 3, 8, 16, 20])
@pytest.mark.parametrize("width", [1, 15, 17, 255, 257])
def test_every_slot_next_to_every_other(step, width):
    """As many homes in a tile as there can be, in tiles and strips that are cut off."""
    rng = np.random.default_rng(step)
    slots = rng.integers(0, 25, (21, width)).astype(np.uint8)
    check(*random_window(rng, 2, 800, 21, width), slots, step=step, top=800)


@pytest.mark.parametrize("top", [1, 31, 32, 100, 799, 1020, 4095])
def test_every_level_falls_into_its_bin(top):
    grey = np.arange(top + 1, dtype=np.int16)[None]
    slots = np.full(grey.shape, 12, np.uint8)
    none, cells = np.zeros((0, 2), np.int64), -(-grey.size // 16)
    sums = np.zeros((1, cells, GEOMETRY), np.int64)
    histogram = np.zeros((1, cells, GREY_BINS), np.int32)
    work, corner = grey[None], (0, 0)
    region_sums(work, grey, slots, 16, none, none[:, 0], top, sums, histogram, corner)
    expected = np.zeros(histogram.shape[1:], int)
    np.add.at(expected, (np.arange(top + 1) // 16, np.arange(top + 1) * GREY_BINS // (top + 1)), 1)
    np.testing.assert_array_equal(histogram[0], expected)


def test_more_bins_than_can_be_counted_are_refused():
    grey, slots = np.zeros((1, 1), np.int16), np.full((1, 1), 12, np.uint8)
    none = np.zeros((0, 2), np.int64)
    sums, histogram = np.zeros((1, 1, GEOMETRY), np.int64), np.zeros((1, 1, 256), np.int32)
    with pytest.raises(ValueError, match="at most 255"):
        region_sums(grey[None], grey, slots, 16, none, none[:, 0], 1, sums, histogram, (0, 0))


def test_sums_of_the_largest_values_do_not_overflow():
    """A cell of 256 pixels of more than the largest colour, in one window."""
    step, value = 256, 4095
    size = step + 2 * MARGIN, step + 2 * MARGIN
    work, grey = np.full((3, *size), value, np.int16), np.full(size, 800, np.int16)
    slots = np.full((step, step), 12, np.uint8)
    table = plane_table(planes(3, rgb=True))
    sums = np.zeros((1, 1, GEOMETRY + 2 * len(table)), np.int64)
    histogram = np.zeros((1, 1, GREY_BINS), np.int32)
    none = np.array([], np.int64)
    corner = MARGIN, MARGIN
    region_sums(work, grey, slots, step, table, none, 800, sums, histogram, corner)
    assert sums[0, 0, GEOMETRY + 1] == step * step * value**2
    assert histogram[0, 0, -1] == step * step


def test_sums_add_up():
    """A second call adds to what is there."""
    work, grey = np.ones((1, 12, 12), np.int16), np.ones((12, 12), np.int16)
    table = plane_table(planes(1, rgb=False))
    sums = np.zeros((1, 1, GEOMETRY + 2 * len(table)), np.int64)
    histogram = np.zeros((1, 1, GREY_BINS + PATTERNS), np.int32)
    slots = np.full((4, 4), 12, np.uint8)
    for _ in range(2):
        rings, corner = np.array([3]), (MARGIN, MARGIN)
        region_sums(work, grey, slots, 4, table, rings, 800, sums, histogram, corner)
    assert sums[0, 0, 0] == histogram[..., :GREY_BINS].sum() == 32
    assert histogram[0, 0, GREY_BINS] == 32  # nothing is brighter


@pytest.mark.parametrize("step", [2, 5])
@pytest.mark.parametrize("mark", [25, 100, 255])
def test_any_mark_is_of_no_region(step, mark):
    rng = np.random.default_rng(mark)
    work, grey = random_window(rng, 1, 800, 37, 41)
    slots = rng.integers(0, 25, (37, 41)).astype(np.uint8)
    marked = rng.random(slots.shape) < 0.3
    cells = -(-37 // step), -(-41 // step)
    table = plane_table(planes(1, rgb=False))
    found = []
    for value in (MASKED, mark):
        sums = np.zeros((*cells, GEOMETRY + 2 * len(table)), np.int64)
        histogram = np.zeros((*cells, NUM_BINS), np.int32)
        part = np.where(marked, np.uint8(value), slots)
        kinds = table, np.array(RINGS), 800
        region_sums(work, grey, part, step, *kinds, sums, histogram, (MARGIN, MARGIN))
        found.append((sums, histogram))
    np.testing.assert_array_equal(found[1][0], found[0][0])
    np.testing.assert_array_equal(found[1][1], found[0][1])
    assert found[0][0].any()
