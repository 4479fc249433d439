"""What a block of pixels takes at its peak, on its way to superpixels and to tables of regions."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import gnnseg
from gnnseg.blocks import Block
from gnnseg.graph import compute_regions
from gnnseg.superpixels import SlicSettings, make_reader

SIDE = 2048


@pytest.fixture(scope="module")
def image():
    from skimage.data import immunohistochemistry

    return np.tile(immunohistochemistry(), (4, 4, 1))[:SIDE, :SIDE].copy()


def regions(image, step):
    reader = make_reader(image, settings=SlicSettings(step=step))
    cells = reader.lattice.cells
    compute_regions(reader, 0, Block(cells, cells))


def superpixels(image, step):
    gnnseg.superpixels(image, step=step, workers=1)


@pytest.mark.parametrize(
    ("work", "step", "most"),
    [(superpixels, 16, 5), (superpixels, 8, 5), (regions, 16, 13), (regions, 8, 22)],
)
def test_bytes_a_pixel_are_bounded(image, work, step, most):
    """Of arrays beside the image, all of which Python makes for the loops."""
    work(image[:256, :256].copy(), step)  # the loops themselves
    tracemalloc.start()
    work(image, step)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most * SIDE**2
