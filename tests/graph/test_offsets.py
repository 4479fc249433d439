"""Far from the first corner, beyond 2**31 pixels and regions, everything is as near to it."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.blocks import Block, Window
from gnnseg.datasets.synthetic import SyntheticSource
from gnnseg.graph import compute_regions
from gnnseg.graph.stage import SUM_HALO
from gnnseg.io import open_image
from gnnseg.superpixels import PixelReader, SlicSettings, fit_scaling

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
