"""The halo of the region tables is enough, and one cell or pixel less is not."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.blocks import Window
from gnnseg.graph import RegionTable
from gnnseg.graph.stage import SUM_HALO, add_up, describe
from gnnseg.io import open_image
from gnnseg.superpixels import Pixels, SlicSettings, compute_slots, make_reader
from gnnseg.superpixels.reader import MARGIN

SEEDS = range(3)
SUMMED = ("x", "area", "moment")


def summarise(reader, pixels, near, write):
    return describe(reader, add_up(reader, pixels, near), write)


def exact(seed, step, rounds):
    """A reader, and the whole image's pixels with their slots."""
    rng = np.random.default_rng(seed)
    image = open_image(rng.integers(0, 256, (202, 200)).astype(np.uint8))
    settings = SlicSettings(step=step, n_iter=1, compactness=0.01, rounds=rounds)
    reader = make_reader(image, settings=settings)
    pixels = reader.read(reader.lattice.bounds)
    lattice = reader.lattice
    slots = compute_slots(pixels, lattice.cells, lattice, settings, reader.scaling).slots
    return reader, Pixels(pixels.work, pixels.smooth, pixels.grey, slots)


def part_of(pixels, window):
    """The exact pixels of a window."""
    frame = Window(window.y0, window.y1 + 2 * MARGIN, window.x0, window.x1 + 2 * MARGIN).slices
    work, grey = pixels.work[:, *frame].copy(), pixels.grey[frame].copy()
    return Pixels(work, pixels.smooth, grey, pixels.slots[window.slices].copy())


def wrong_regions(seed, step, halo, *, rounds=None):
    """How many regions differ from the whole image's, by array."""
    reader, pixels = exact(seed, step, rounds)
    lattice = reader.lattice
    whole = summarise(reader, pixels, lattice.cells, lattice.cells)
    wrong = dict.fromkeys(whole.arrays(), 0)
    for write in lattice.cells.grow(-halo).split(2):
        near = write.grow(halo)
        table = summarise(reader, part_of(pixels, lattice.pixels(near)), near, write)
        assert isinstance(table, RegionTable)
        for name, array in whole.crop(write).arrays().items():
            wrong[name] += int((getattr(table, name) != array).any(axis=(0, 1)).sum())
    return wrong


def totals(step, halo, *, rounds=None):
    every = [wrong_regions(seed, step, halo, rounds=rounds) for seed in SEEDS]
    return {name: sum(wrong[name] for wrong in every) for name in every[0]}


@pytest.mark.parametrize("step", [3, 4])
def test_three_cells_hold_the_pixels_and_their_neighbours(step):
    assert not any(totals(step, SUM_HALO).values())


def test_two_cells_lack_neighbours():
    """Pixels at the far side of the second cell: their neighbours lie in the third."""
    wrong = totals(3, SUM_HALO - 1, rounds=6)
    assert wrong["contact"] > 0 or wrong["x"] > 0
    assert wrong["area"] == wrong["moment"] == 0


def test_one_cell_lacks_pixels():
    wrong = totals(3, SUM_HALO - 2)
    assert all(wrong[name] > 0 for name in SUMMED)


def test_textures_look_four_pixels_far():
    """What lies at the margin counts, and nothing beyond is read."""
    reader, pixels = exact(0, 4, None)
    window = Window(12, 30, 15, 33)
    part = part_of(pixels, reader.lattice.pixels(window))

    def table(margin):
        lost = MARGIN - margin
        size = [edge - lost for edge in part.grey.shape]
        inner = part.grey[lost : size[0], lost : size[1]]
        grey = np.pad(inner, lost, mode="edge")
        return summarise(reader, Pixels(part.work, part.smooth, grey, part.slots), window, window)

    whole = summarise(reader, part, window, window).x
    np.testing.assert_array_equal(table(MARGIN).x, whole)
    assert (table(MARGIN - 1).x != whole).any()


def test_the_reader_gives_the_texture_margin_of_the_whole_image():
    reader, pixels = exact(1, 4, None)
    for window in (Window(0, 40, 0, 40), Window(40, 80, 160, 200), Window(196, 202, 8, 60)):
        np.testing.assert_array_equal(reader.read(window).grey, part_of(pixels, window).grey)
