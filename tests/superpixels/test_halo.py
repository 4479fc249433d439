"""Each term of the slot halo is enough in its own stage, and one cell less is not."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.blocks import Lattice, Window, blocks
from gnnseg.io import open_image
from gnnseg.kernels.connectivity import connect
from gnnseg.kernels.slic import slic
from gnnseg.kernels.slots import MASKED, OWN
from gnnseg.superpixels import PixelReader, Scaling, SlicSettings
from gnnseg.superpixels.reader import MARGIN

SIDE = 205
SEEDS = range(4)


def noise(seed, top=800):
    return np.random.default_rng(seed).integers(0, top + 1, (1, SIDE, SIDE)).astype(np.int16)


def interior_blocks(lattice, halo):
    """Blocks of three cells that do not see the image's border."""
    bounds = lattice.cells.grow(-halo - 1)
    found = list(blocks(bounds, 3, halo, lattice.cells))[::3]
    assert len(found) > 5, "the image is too small for this halo"
    assert all(block.read == block.write.grow(halo) for block in found)
    return found


def wide(work):
    """With a margin of one pixel."""
    return np.pad(work, ((0, 0), (1, 1), (1, 1)), mode="edge")


def cluster(work, settings):
    """Slots of the last assignment, of channels with a margin of one pixel."""
    height, width = work.shape[1] - 2, work.shape[2] - 2
    cells = Lattice(height, width, settings.step).shape
    slots = np.zeros((height, width), np.uint8)
    colour = np.zeros((*cells, len(work)), np.int32)
    place = np.zeros((*cells, 2), np.int32)
    weight = settings.compactness * 10 / settings.step
    slic(work, settings.step, settings.n_iter, settings.stride, weight, slots, colour, place)
    return slots


def wrong_after_slic(settings, seed, halo):
    """Pixels that differ from the whole image's, over some blocks that read `halo` cells more."""
    work = wide(noise(seed))
    lattice = Lattice(SIDE, SIDE, settings.step)
    whole = cluster(work, settings)
    wrong = 0
    for block in interior_blocks(lattice, halo):
        read, write = lattice.pixels(block.read), lattice.pixels(block.write)
        part = work[:, read.y0 : read.y1 + 2, read.x0 : read.x1 + 2]
        slots = cluster(np.ascontiguousarray(part), settings)
        wrong += (slots[write.relative_to(read).slices] != whole[write.slices]).sum()
    return wrong


@pytest.mark.parametrize("n_iter", [0, 1, 2])
@pytest.mark.parametrize(("step", "stride"), [(3, 1), (4, 2), (6, 3)])
def test_slic_halo(n_iter, step, stride):
    settings = SlicSettings(step=step, n_iter=n_iter, stride=stride, compactness=0.01)
    full = settings.slic_halo
    assert sum(wrong_after_slic(settings, seed, full) for seed in SEEDS) == 0
    assert sum(wrong_after_slic(settings, seed, full - 1) for seed in SEEDS) > 0


def random_specks(seed, step):
    """Slots of random homes at most a cell away, in specks of a few pixels: mostly orphans."""
    rng = np.random.default_rng(seed)
    offset = rng.integers(-1, 2, (2, SIDE, SIDE))
    offset[:, rng.random((SIDE, SIDE)) < 0.5] = 0
    return slots_of(offset, step)


def corridors(seed, step):
    """Slots of few homes, a third per axis, in rows with rare doors: orphans wait for long."""
    rng = np.random.default_rng(seed)
    own = np.indices((SIDE, SIDE)) // step
    slots = slots_of(own // 3 * 3 + 1 - own, step)
    slots[1::2][rng.random((SIDE // 2, SIDE)) < 0.9] = MASKED
    slots[rng.random((SIDE, SIDE)) < 0.05] = MASKED
    return slots


def slots_of(offset, step):
    own = np.indices((SIDE, SIDE)) // step
    delta = np.clip(own + offset, 0, -(-SIDE // step) - 1) - own
    return (5 * (delta[0] + 2) + delta[1] + 2).astype(np.uint8)


def seen_by_block(slots, cells, step):
    """The slots of a window; a home that lies outside it is taken by the pixel's own cell."""
    y, x = np.indices(slots.shape)
    homes_y, homes_x = y // step + slots // 5.0 - 2, x // step + slots % 5.0 - 2
    inside = (homes_y >= 0) & (homes_y < cells[0]) & (homes_x >= 0) & (homes_x < cells[1])
    return np.where(inside | (slots == MASKED), slots, np.uint8(OWN))


def connected(slots, settings):
    slots = slots.copy()
    left = connect(slots, settings.step, settings.orphan_rounds)
    orphans = np.zeros(slots.shape, bool)
    orphans[*left.T] = True
    return slots, orphans


def wrong_after_connectivity(settings, slots, halo):
    """As above, from exact slots: pixels that differ in their slot or in being left."""
    lattice = Lattice(SIDE, SIDE, settings.step)
    whole = connected(slots, settings)
    wrong = 0
    for block in interior_blocks(lattice, halo):
        read, write = lattice.pixels(block.read), lattice.pixels(block.write)
        part = connected(
            seen_by_block(slots[read.slices], block.read.shape, settings.step), settings
        )
        crop = write.relative_to(read).slices
        differs = [a[crop] != b[write.slices] for a, b in zip(part, whole, strict=True)]
        wrong += np.logical_or(*differs).sum()
    return wrong


def total_after_connectivity(settings, halo):
    """Over real slots of noise, and over random ones, whose orphans need more rounds."""
    total = 0
    for seed in SEEDS:
        real = cluster(wide(noise(seed)), settings)
        made = random_specks(seed, settings.step), corridors(seed, settings.step)
        for slots in (real, *made):
            total += wrong_after_connectivity(settings, slots, halo)
    return total


@pytest.mark.parametrize("step", [3, 4, 6])
def test_piece_halo(step):
    """Without rounds only the choice of the main piece is left."""
    settings = SlicSettings(step=step, n_iter=1, compactness=0.01, rounds=0)
    assert total_after_connectivity(settings, settings.piece_halo) == 0
    assert total_after_connectivity(settings, settings.piece_halo - 1) > 0


@pytest.mark.parametrize(("step", "rounds"), [(3, 1), (3, None), (3, 4), (3, 6), (4, 4), (6, 2)])
def test_orphan_halo(step, rounds):
    settings = SlicSettings(step=step, n_iter=1, compactness=0.01, rounds=rounds)
    full = settings.piece_halo + settings.orphan_halo
    assert total_after_connectivity(settings, full) == 0
    assert total_after_connectivity(settings, full - 1) > 0


def test_the_halo_is_the_sum_of_its_terms():
    settings = SlicSettings(step=8, n_iter=5)
    assert settings.slot_halo == 11 + 2 + 1
    assert SlicSettings(step=8, n_iter=5, rounds=9).slot_halo == 11 + 2 + 2
    assert SlicSettings(step=8, n_iter=0, rounds=0).slot_halo == 1 + 2


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_smoothing_reads_its_radius(sigma):
    """What lies at the filter's radius counts, and nothing beyond."""
    radius = int(np.ceil(3 * sigma))
    settings = SlicSettings(step=4, sigma=sigma)
    scaling = Scaling((0.0,), (800.0,), rgb=False)
    window = Window(48, 96, 48, 96)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 801, (SIDE, SIDE)).astype(np.uint16)

    def smoothed(margin):
        """The window as read when nothing further out than `margin` is as it was."""
        seen = np.zeros_like(image)
        part = window.grow(margin).clip(Window(0, SIDE, 0, SIDE)).slices
        seen[part] = image[part]
        reader = PixelReader(open_image(seen, axes="YX"), scaling, settings)
        return reader.read(window).smooth[:, MARGIN:-MARGIN, MARGIN:-MARGIN]

    np.testing.assert_array_equal(smoothed(radius), smoothed(100))
    assert (smoothed(radius - 1) != smoothed(100)).any()
