"""Far from the first corner, beyond 2**31 pixels and regions, everything is as near to it."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.blocks import Block, Window
from gnnseg.datasets.synthetic import SyntheticSource
from gnnseg.graph import compute_regions
from gnnseg.graph.stage import SUM_HALO
from gnnseg.graph.volume import sum_up_volume
from gnnseg.io import open_image
from gnnseg.superpixels import Box, BoxBlock, PixelReader, SlicSettings, fit_scaling
from gnnseg.superpixels.groups import groups_until
from gnnseg.superpixels.volume import read_volume, write_centres, write_slots

STEP = 6
SETTINGS = SlicSettings(step=STEP, n_iter=1)
FAR = 2**33 // STEP
SIDE = 12


@pytest.mark.parametrize("down", [FAR, 40])
def test_a_block_far_away_is_that_of_a_copy_of_its_pixels(down):
    """Cells beyond 2**33 pixels along x (and y), whose ids lie beyond 2**31 (2**60)."""
    image = SyntheticSource(2**34, 2**34, seed=3)
    scaling = fit_scaling([open_image(np.zeros((4, 4, 3), np.uint8))])
    reader = PixelReader(image, scaling, SETTINGS)
    lattice = reader.lattice
    halo = SETTINGS.slot_halo + SUM_HALO
    write = Window(down, down + SIDE, FAR, FAR + SIDE)
    assert (down * lattice.shape[1] + FAR) > 2**31
    far = compute_regions(reader, 0, Block(write, write.grow(halo)))

    # One more cell around: the copy's own border must not reach the block.
    around = write.grow(halo + 1)
    copy = open_image(image.read(lattice.pixels(around)), axes="CYX", rgb=True)
    near = PixelReader(copy, scaling, SETTINGS)
    inner = write.relative_to(around)
    there = compute_regions(near, 0, Block(inner, inner.grow(halo)))
    np.testing.assert_array_equal(far.slots, there.slots)
    for name, array in far.table.arrays().items():
        if name == "x":  # places in the image are among the features
            continue
        np.testing.assert_array_equal(array, getattr(there.table, name), err_msg=name)
    moved = far.table.pos() - there.table.pos()
    np.testing.assert_allclose(moved[..., 0], around.y0 * STEP, rtol=0, atol=1e-5)
    np.testing.assert_allclose(moved[..., 1], around.x0 * STEP, rtol=0, atol=1e-5)


class Part:
    """Of an array that would be too large, what lies in a box."""

    def __init__(self, box, *rest, dtype):
        self.array = np.zeros((*box.shape, *rest), dtype)
        self.corner = box.corner

    def _here(self, index):
        shifted = zip(index, self.corner, strict=True)
        return tuple(slice(part.start - first, part.stop - first) for part, first in shifted)

    def __getitem__(self, index):
        return self.array[self._here(index)]

    def __setitem__(self, index, values):
        self.array[self._here(index)] = values


def table_of_box(volume, write):
    """Slots and table of a box of cells, from what lies around it."""
    lattice, settings = volume.lattice, volume.planes.settings
    (group,) = groups_until([settings.n_iter])

    def block(box, halo):
        return BoxBlock(box, box.grow(halo).clip(lattice.cells))

    summed = block(write, (SUM_HALO, SUM_HALO))
    pieces = block(summed.read, lattice.piece_halo(settings))
    rounds = block(lattice.with_next(pieces.read), (group.halo, group.halo))
    centres = Part(rounds.write, volume.centre_shape[-1], dtype=np.uint16)
    write_centres(volume, rounds, group=group, before=None, out=centres)
    slots = Part(lattice.voxels(pieces.write), dtype=np.uint8)
    write_slots(volume, pieces, centres, slots)
    return slots.array, sum_up_volume(volume, slots, summed), rounds.read


def test_a_block_of_a_far_volume_is_that_of_a_copy_of_its_voxels():
    """Cells whose ids lie beyond 2**31, and voxels beyond 2**36."""
    depth, height, width, step = 8, 2**16 + 200, 2**18 + 200, 4
    noise = np.random.default_rng(0).integers(0, 256, 7 * depth + 131 * height + width, np.uint8)
    far = np.lib.stride_tricks.as_strided(noise, (depth, height, width), (7, 131, 1))

    def reader(array):
        return read_volume(open_image(array, axes="ZYX"), step=step, n_iter=1)

    volume = reader(far)
    rows, columns = volume.lattice.shape[1:]
    write = Box(0, 2, Window(rows - 30, rows - 22, columns - 30, columns - 22))
    assert np.prod(volume.lattice.shape) - 30 * columns > 2**31
    slots, table, read = table_of_box(volume, write)

    # One more cell around: the copy's own border must not reach the block.
    around = read.window.grow(1).clip(volume.lattice.plane.cells)
    copy = reader(np.ascontiguousarray(far[:, *volume.lattice.plane.pixels(around).slices]))
    there, expected, _ = table_of_box(copy, Box(0, 2, write.window.relative_to(around)))
    np.testing.assert_array_equal(slots, there)
    for name, array in table.arrays().items():
        if name != "x":  # places in the volume are among the features
            np.testing.assert_array_equal(array, getattr(expected, name), err_msg=name)
