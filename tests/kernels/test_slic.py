"""Lattice SLIC against the documented rule, written pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gnnseg.kernels.ruler import HEAVIEST, SPAN
from gnnseg.kernels.slic import slic
from gnnseg.kernels.slots import MASKED, OWN
from gnnseg.kernels.strip import STRIP

WEIGHTS = [0.0, 0.013, 1.7, 40.0, 333.3]
OFFSETS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def wide(work, margin=1):
    """With the edges once more."""
    return np.pad(work, ((0, 0), (margin, margin), (margin, margin)), mode="edge")


def softened(work):
    """The 3 x 3 binomial filter, rounded."""
    kernel = np.outer([1, 2, 1], [1, 2, 1])[None]
    return (ndimage.correlate(work.astype(int), kernel, mode="nearest") + 8) >> 4


def run(work, mask, *, step, n_iter, stride, weight):
    height, width = mask.shape
    cells = -(-height // step), -(-width // step)
    slots = np.where(mask, np.uint8(0), np.uint8(MASKED))
    colour = np.zeros((*cells, len(work)), np.int32)
    place = np.zeros((*cells, 2), np.int32)
    slic(wide(work), step, n_iter, stride, weight, slots, colour, place)
    return slots, colour, place


class Oracle:
    """Centres and slots by dictionaries, positions in the whole image, one pixel at a time."""

    def __init__(self, work, mask, *, step, n_iter, stride, weight):
        self.work, self.mask, self.step = softened(work), mask, step
        self.weight = np.float32(weight / 4)
        self.centres = {}
        seen = self.pixels(stride if n_iter > 0 else 1)
        self.fit(seen, self.cell, 2 * (stride - 1) if n_iter > 0 else 0)
        rest = [p for p in self.pixels(1) if self.cell(*p) not in self.centres]
        self.fit(rest, self.cell, 0)
        for _ in range(n_iter):
            # Half way from the first of `stride` pixels to their middle, in quarters.
            self.fit(seen, self.home, stride - 1)
        self.slots = np.full(mask.shape, MASKED, np.uint8)
        for y, x in self.pixels(1):
            home_y, home_x = self.home(y, x)
            self.slots[y, x] = 5 * (home_y - y // step + 2) + home_x - x // step + 2

    def pixels(self, stride):
        every = np.argwhere(self.mask).tolist()
        return [(y, x) for y, x in every if not (y % self.step % stride or x % self.step % stride)]

    def cell(self, y, x):
        return y // self.step, x // self.step

    def fit(self, pixels, home, shift):
        members = {}
        for y, x in pixels:
            members.setdefault(home(y, x), []).append((y, x))
        for key, found in members.items():
            ys, xs = np.array(found).T
            values = np.array([4 * ys, 4 * xs, *self.work[:, ys, xs]])
            mean = (2 * values.sum(axis=1) + len(ys)) // (2 * len(ys))
            last = 4 * (np.array(key) + 2) * self.step - 4
            mean[:2] = np.minimum(mean[:2] + shift, last)
            self.centres[key] = mean.tolist()

    def home(self, y, x):
        own = self.cell(y, x)

        def on_ruler(quarter, cell):
            """Quarters of a pixel count from two cells before the pixel's own."""
            return np.rint(self.weight * np.float32(quarter - 4 * self.step * (cell - 2)))

        def cost(key):
            quarters, means = self.centres[key][:2], self.centres[key][2:]
            away = [
                abs(on_ruler(4 * p, cell) - on_ruler(quarter, cell))
                for p, quarter, cell in zip((y, x), quarters, own, strict=True)
            ]
            values = self.work[:, y, x]
            return sum(away) + sum(abs(v - m) for v, m in zip(values, means, strict=True))

        near = [(own[0] + dy, own[1] + dx) for dy, dx in OFFSETS]
        return min((key for key in near if key in self.centres), key=cost)


def check(work, mask, **settings):
    slots, colour, place = run(work, mask, **settings)
    oracle = Oracle(work, mask, **settings)
    np.testing.assert_array_equal(slots, oracle.slots)
    for (home_y, home_x), (quarter_y, quarter_x, *means) in oracle.centres.items():
        corner = np.array([home_y - 1, home_x - 1]) * 4 * settings["step"]
        np.testing.assert_array_equal(place[home_y, home_x] + corner, [quarter_y, quarter_x])
        np.testing.assert_array_equal(colour[home_y, home_x], means)


@settings(max_examples=60)
@given(st.data())
def test_it_is_the_documented_rule(data):
    step = data.draw(st.integers(2, 6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    top = data.draw(st.sampled_from([1, 3, 1020]))  # few values: many ties
    work = rng.integers(0, top + 1, (data.draw(st.sampled_from([1, 2, 3, 5, 8])), *shape))
    mask = rng.random(shape) < data.draw(st.sampled_from([0.3, 0.9, 1.0]))
    check(
        work.astype(np.int16),
        mask,
        step=step,
        n_iter=data.draw(st.integers(0, 3)),
        stride=data.draw(st.integers(1, step)),
        weight=data.draw(st.sampled_from(WEIGHTS)),
    )


@pytest.mark.parametrize("channels", [3, 4, 5, 16])
def test_the_largest_distances_fit(channels):
    """Black and white, as far apart and as heavy as can be, beside cells without a home."""
    rng = np.random.default_rng(0)
    white = min(SPAN // channels, 4095)
    blocks = rng.integers(0, 2, (channels, 6, 6)) * white
    blocks[:, :3] = blocks[:1, :3]  # all channels black or white at once
    work = np.kron(blocks, np.ones((1, 3, 3))).astype(np.int16)
    assert softened(work).sum(axis=0).max() == channels * white
    mask = np.ones((18, 18), bool)
    mask[6:12, :6] = mask[6:12, 12:] = False
    check(work, mask, step=6, n_iter=2, stride=1, weight=HEAVIEST / 6)


@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_rows_of_several_strips(channels, stride):
    """More pixels in a row, also of those that the rounds look at, than are worked on at once."""
    rng = np.random.default_rng(stride)
    shape = 9, 2 * STRIP * stride + 30
    work = rng.integers(0, 1021, (channels, *shape)).astype(np.int16)
    check(work, rng.random(shape) < 0.9, step=6, n_iter=1, stride=stride, weight=1.7)


@pytest.mark.parametrize("channels", [4, 5])
def test_sums_of_the_largest_cell_fit(channels):
    value = SPAN // channels if channels > 4 else 4095
    work = np.full((channels, 256, 256), value, np.int16)
    work[-1] = 7
    mask = np.ones((256, 256), bool)
    slots, colour, place = run(work, mask, step=256, n_iter=1, stride=1, weight=1.0)
    assert (slots == OWN).all()
    assert colour[0, 0].tolist() == [value] * (channels - 1) + [7]
    assert place[0, 0].tolist() == [4 * 256 + 4 * 255 // 2] * 2


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_stride_keeps_centres_inside(seed):
    """All members of a home may lie in the far corner of the next cell."""
    rng = np.random.default_rng(seed)
    mask = rng.random((40, 40)) < 0.01
    mask[19::10, 19::10] = True
    work = rng.integers(0, 2, (1, 40, 40)).astype(np.int16) * 800
    check(work, mask, step=10, n_iter=3, stride=9, weight=0.01)


def test_equal_costs_go_to_the_first_home_in_raster_order():
    """Without weight on space and on one grey, all homes are equally near."""
    work, mask = np.zeros((1, 9, 9), np.int16), np.ones((9, 9), bool)
    slots, *_ = run(work, mask, step=3, n_iter=0, stride=1, weight=0.0)
    homes_y = np.arange(9)[:, None] // 3 + slots // 5 - 2.0
    np.testing.assert_array_equal(homes_y[:, 0], [0, 0, 0, 0, 0, 0, 1, 1, 1])
    assert slots[0, 0] == OWN


@pytest.mark.parametrize("stride", [2, 4])
def test_a_stride_moves_centres_by_less_than_the_pixels_left_out(stride):
    work, mask = np.zeros((1, 24, 24), np.int16), np.ones((24, 24), bool)
    every, some = (run(work, mask, step=8, n_iter=1, stride=s, weight=50.0)[2] for s in (1, stride))
    np.testing.assert_array_equal(every, np.full((3, 3, 2), 4 * (8 + 3.5)))
    assert np.abs(every - some).max() <= stride - 1


@settings(max_examples=25)
@given(st.data())
def test_open_sides_leave_out_what_their_halo_makes_wrong(data):
    """Cells further in are those of a closed window; the others are not touched."""
    step, n_iter = data.draw(st.integers(2, 4)), data.draw(st.integers(0, 2))
    shape = data.draw(st.tuples(st.integers(3, 60), st.integers(3, 60)))
    sides = data.draw(st.tuples(*[st.booleans()] * 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    work, mask = rng.integers(0, 800, (2, *shape)).astype(np.int16), rng.random(shape) < 0.9
    closed, *_ = run(work, mask, step=step, n_iter=n_iter, stride=1, weight=0.01)
    slots = np.where(mask, np.uint8(77), np.uint8(MASKED))
    cells = -(-shape[0] // step), -(-shape[1] // step)
    colour, place = np.zeros((*cells, 2), np.int32), np.zeros((*cells, 2), np.int32)
    slic(wide(work, 3), step, n_iter, 1, 0.01, slots, colour, place, (3, 3), sides)
    halo = 2 * n_iter + 1
    y, x = np.indices(shape) // step
    left_out = (sides[0] & (y < halo)) | (sides[1] & (y >= cells[0] - halo))
    left_out |= (sides[2] & (x < halo)) | (sides[3] & (x >= cells[1] - halo))
    np.testing.assert_array_equal(slots, np.where(left_out & mask, 77, closed))
