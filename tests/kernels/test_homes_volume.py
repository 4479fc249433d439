"""How many homes of a volume have voxels, in blocks, against NumPy."""

from __future__ import annotations

import numpy as np

from gnnseg.blocks import Lattice
from gnnseg.kernels.homes_volume import count_homes
from gnnseg.kernels.slots import LAYER, MASKED
from gnnseg.paint import PAINT_HALO
from gnnseg.superpixels import VolumeLattice

LATTICE = VolumeLattice(19, 2, Lattice(30, 31, 3))


def sparse_slots(seed):
    """Slots of a few voxels only, with homes as far away as can be."""
    rng, shape = np.random.default_rng(seed), LATTICE.voxels(LATTICE.cells).shape
    own = np.stack(np.indices(shape), axis=-1) // LATTICE.steps
    away = rng.choice([-2, 0, 2], own.shape)
    homes = np.clip(own + away, 0, np.array(LATTICE.shape) - 1)
    slots = ((homes - own + 2) @ [LAYER, 5, 1]).astype(np.uint8)
    taken = rng.random(shape) < 0.03
    number = len(np.unique(homes[taken], axis=0))
    return np.where(taken, slots, np.uint8(MASKED)), number


def counted(slots, halo):
    """The sum over blocks of three cells a side that read so many more."""
    total = 0
    for block in LATTICE.blocks((3, 3, 3), (halo, halo)):
        near = np.ascontiguousarray(slots[LATTICE.voxels(block.read).slices])
        first = block.write.relative_to(block.read).corner
        total += count_homes(near, LATTICE.steps[:2], first, block.write.shape)
    return total


def test_homes_are_counted_once_in_blocks_that_see_two_cells_around_them():
    for seed in range(3):
        slots, number = sparse_slots(seed)
        assert 100 < number < LATTICE.num_cells
        assert count_homes(slots, LATTICE.steps[:2], (0, 0, 0), LATTICE.shape) == number
        assert counted(slots, PAINT_HALO) == number
        assert counted(slots, PAINT_HALO - 1) < number
