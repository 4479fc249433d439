"""Along z, every term of a volume's halo is enough, and one cell less is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gnnseg.blocks import Lattice
from gnnseg.kernels.connectivity_volume import connect_volume
from gnnseg.kernels.slic_volume import OWN, Volume, assign_volume, find_centres
from gnnseg.kernels.slots import LAYER, MASKED
from gnnseg.superpixels import SlicSettings, VolumeLattice

SIDE = 14
SEEDS = range(4)
STEPS = [(1, 3), (2, 4), (3, 3), (5, 4)]


def noise(seed, depth, top=800):
    """Planes with a margin of a pixel."""
    shape = depth, 1, SIDE + 2, SIDE + 2
    return np.random.default_rng(seed).integers(0, top + 1, shape).astype(np.int16)


def cluster(work, steps, settings):
    slots, taken = np.empty((len(work), SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    part = Volume(lambda z: (work[z], taken), 1, slots.shape, (1, 1), steps, (0.05, 0.05))
    assign_volume(part, find_centres(part, settings.n_iter, settings.looked_at), slots)
    return slots


def interior(layers, halo):
    """Layers of cells (write, read) that do not see the volume's ends, all phases of them."""
    found = [((z, z + 1), (z - halo, z + 1 + halo)) for z in range(halo + 1, layers - halo - 1)]
    assert len(found) > 3, "the volume is too shallow for this halo"
    return found


def wrong_along_z(whole, compute, step_z, halo):
    """Voxels that differ from the whole volume's, over layers that read `halo` cells more."""
    wrong = 0
    for write, read in interior(whole.shape[0] // step_z, halo):
        planes, first = slice(read[0] * step_z, read[1] * step_z), (write[0] - read[0]) * step_z
        part = compute(planes)[first : first + step_z]
        wrong += (part != whole[write[0] * step_z : write[1] * step_z]).sum()
    return wrong


@pytest.mark.parametrize("n_iter", [0, 1, 2])
@pytest.mark.parametrize("steps", STEPS)
def test_clustering(steps, n_iter):
    settings = SlicSettings(step=steps[1], n_iter=n_iter, compactness=0.01)
    depth = steps[0] * (2 * settings.slic_halo + 8)

    def wrong(halo):
        total = 0
        for seed in SEEDS:
            work = noise(seed, depth)
            whole = cluster(work, steps, settings)
            total += wrong_along_z(
                whole, lambda z, w=work: cluster(w[z], steps, settings), steps[0], halo
            )
        return total

    assert wrong(settings.slic_halo) == 0
    assert wrong(settings.slic_halo - 1) > 0


def slots_of(homes, own):
    d = homes - own + 2
    return (LAYER * d[0] + 5 * d[1] + d[2]).astype(np.uint8)


def own_cells(depth, steps):
    sizes = np.array([steps[0], steps[1], steps[1]])[:, None, None, None]
    return np.indices((depth, SIDE, SIDE)) // sizes


def scattered(seed, depth, steps):
    """Random homes at most a cell away, with holes between: mostly orphans."""
    rng, own = np.random.default_rng(seed), own_cells(depth, steps)
    away = rng.integers(-1, 2, own.shape)
    slots = slots_of(np.clip(own + away, 0, own[:, -1:, -1:, -1:]), own)
    slots[rng.random(slots.shape) < 0.3] = MASKED
    return slots


def shafts(seed, depth, steps):
    """Few homes, a third along each axis, in shafts along z with rare doors: orphans wait long."""
    rng, own = np.random.default_rng(seed), own_cells(depth, steps)
    slots = slots_of(np.minimum(own // 3 * 3 + 1, own[:, -1:, -1:, -1:]), own)
    slots[:, 1::2][rng.random(slots[:, 1::2].shape) < 0.95] = MASKED
    slots[:, :, 1::2][rng.random(slots[:, :, 1::2].shape) < 0.95] = MASKED
    slots[rng.random(slots.shape) < 0.1] = MASKED
    return slots


def connected(slots, steps, rounds):
    """Slots; 253 where a voxel is left over."""
    slots = slots.copy()
    # A home outside the window is taken by the voxel's own cell, as the clustering would.
    home = np.arange(len(slots))[:, None, None] // steps[0] + slots // LAYER - 2
    outside = (home < 0) | (home >= -(-len(slots) // steps[0]))
    slots[outside & (slots != MASKED)] = OWN
    slots.reshape(-1)[connect_volume(slots, steps, rounds)] = MASKED - 1
    return slots


def wrong_after_connectivity(steps, rounds, halo, depth):
    total = 0
    for seed in SEEDS:
        settings = SlicSettings(step=steps[1], n_iter=1, compactness=0.01)
        real = cluster(noise(seed, depth), steps, settings)
        for slots in (real, scattered(seed, depth, steps), shafts(seed, depth, steps)):
            whole = connected(slots, steps, rounds)
            total += wrong_along_z(
                whole, lambda z, s=slots: connected(s[z], steps, rounds), steps[0], halo
            )
    return total


@pytest.mark.parametrize("steps", STEPS)
def test_main_piece(steps):
    """Without rounds only the choice of the main piece is left."""
    piece = SlicSettings(step=steps[1]).piece_halo
    depth = steps[0] * 20
    assert wrong_after_connectivity(steps, 0, piece, depth) == 0
    assert wrong_after_connectivity(steps, 0, piece - 1, depth) > 0


@pytest.mark.parametrize(
    ("steps", "rounds"),
    [((1, 3), 3), ((1, 3), 6), ((2, 4), 4), ((3, 3), 3), ((3, 3), 4), ((5, 3), 3)],
)
def test_orphans(steps, rounds):
    """They look a plane further every `step / step_z` rounds, at most one a round."""
    settings = SlicSettings(step=steps[1], rounds=rounds)
    lattice = VolumeLattice(999, steps[0], Lattice(SIDE, SIDE, steps[1]))
    halo = lattice.piece_halo(settings)[0]
    depth = steps[0] * 150
    planes = min(rounds, rounds * steps[0] // steps[1])
    assert halo == settings.piece_halo + -(-planes // steps[0])
    assert wrong_after_connectivity(steps, rounds, halo, depth) == 0
    assert wrong_after_connectivity(steps, rounds, halo - 1, depth) > 0


def test_the_halo_is_the_sum_of_its_terms():
    settings = SlicSettings(step=8, n_iter=2)
    for step_z in (1, 3, 8, 20):
        lattice = VolumeLattice(99, step_z, Lattice(50, 50, 8))
        assert lattice.piece_halo(settings) == (2 + 1, 3)
        assert lattice.piece_halo(replace(settings, rounds=16)) == (2 + 1 + (step_z < 20), 4)
        assert lattice.piece_halo(replace(settings, rounds=0)) == (2, 2)
