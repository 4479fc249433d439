"""Windows, blocks and the lattice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.blocks import Lattice, Window, blocks, step_for
from gnnseg.errors import UsageError

SPANS = st.tuples(st.integers(-20, 40), st.integers(0, 30))


@st.composite
def windows(draw):
    (y, height), (x, width) = draw(SPANS), draw(SPANS)
    return Window(y, y + height, x, x + width)


@given(windows(), st.integers(1, 9))
def test_split_tiles_a_window_on_the_grid(window, size):
    seen = np.zeros(window.shape, int)
    corners = []
    for tile in window.split(size):
        assert tile.size
        assert tile.coarsen(size).size == 1
        seen[tile.relative_to(window).slices] += 1
        corners.append((tile.y0, tile.x0))
    assert (seen == 1).all()
    assert corners == sorted(corners)


@given(windows(), windows(), st.integers(1, 9), st.integers(0, 4))
def test_blocks_read_their_halo_within_limits(bounds, more, size, halo):
    limits = Window(
        min(bounds.y0, more.y0),
        max(bounds.y1, more.y1),
        min(bounds.x0, more.x0),
        max(bounds.x1, more.x1),
    )
    for block in blocks(bounds, size, halo, limits):
        write, read = block.write, block.read
        assert read == Window(
            max(write.y0 - halo, limits.y0),
            min(write.y1 + halo, limits.y1),
            max(write.x0 - halo, limits.x0),
            min(write.x1 + halo, limits.x1),
        )
        image = np.zeros(read.shape)
        assert image[block.crop].shape == write.shape


@given(windows(), st.integers(1, 9))
def test_scale_coarsen_and_align(window, factor):
    assert window.scale(factor).coarsen(factor) == window
    around = window.align(factor)
    assert around.clip(window) == window
    inner = window.relative_to(around)
    spare = inner.y0, inner.x0, around.shape[0] - inner.y1, around.shape[1] - inner.x1
    assert all(0 <= margin < factor for margin in spare)
    assert all(edge % factor == 0 for edge in (around.y0, around.y1, around.x0, around.x1))


@given(windows(), st.integers(0, 9))
def test_grow_and_relative_to(window, margin):
    inner = window.relative_to(window.grow(margin))
    assert inner == Window(margin, margin + window.shape[0], margin, margin + window.shape[1])
    assert len({window.key, window.grow(1).key}) == 2


def test_a_window_apart_from_the_bounds_clips_to_nothing():
    assert Window(0, 3, 0, 3).clip(Window(5, 9, 5, 9)).size == 0


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(UsageError, match="y0 <= y1"):
        Window(3, 2, 0, 1)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(2, 40))
def test_the_cells_of_a_lattice_tile_its_image(height, width, step):
    lattice = Lattice(height, width, step)
    assert lattice.pixels(lattice.cells) == lattice.bounds
    assert lattice.cells.size == lattice.num_cells
    last = Window(lattice.shape[0] - 1, lattice.shape[0], 0, 1)
    assert 0 < lattice.pixels(last).shape[0] <= step


@pytest.mark.parametrize(("height", "width", "step"), [(0, 5, 4), (5, 0, 4), (5, 5, 1)])
def test_an_impossible_lattice_is_refused(height, width, step):
    with pytest.raises(UsageError):
        Lattice(height, width, step)


@settings(max_examples=40)
@given(st.integers(1, 2000), st.integers(1, 300), st.integers(1, 300))
def test_step_for_is_the_best_of_all_steps(n_segments, height, width):
    def error(step):
        return abs(Lattice(height, width, step).num_cells - n_segments)

    best = min(error(step) for step in range(2, 301))
    assert error(step_for(n_segments, height, width)) == best


def test_step_for_keeps_to_square_cells():
    assert step_for(115, 1000, 1000) == 93
    assert step_for(10, 1, 1000) == 100


def test_step_for_needs_a_segment():
    with pytest.raises(UsageError, match="at least 1"):
        step_for(0, 10, 10)
