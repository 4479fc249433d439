"""Supervoxels: the same for any block, one piece each, and on the lattice of the voxels' size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

import gnnseg
from gnnseg.blocks import Lattice
from gnnseg.errors import UsageError
from gnnseg.superpixels import SlicSettings, VolumeLattice
from gnnseg.superpixels.volume import box_cells, read_volume


def stack(array):
    return gnnseg.open_image(array, axes="ZYX" if array.ndim == 3 else "ZCYX")


def noise(seed, *shape, top=255):
    return np.random.default_rng(seed).integers(0, top, shape, np.uint8)


@pytest.mark.parametrize(
    ("shape", "step", "spacing", "compactness", "n_iter"),
    [((5, 190, 210), 4, (2, 1, 1), 0.5, 1), ((9, 3, 150, 160), 3, (1, 1, 1), 4.0, 2)],
)
def test_any_block_gives_the_same(shape, step, spacing, compactness, n_iter):
    """Noise, in blocks smaller than the image less two halos."""
    image = stack(noise(0, *shape))
    made = {"step": step, "spacing": spacing, "compactness": compactness, "n_iter": n_iter}
    whole = gnnseg.supervoxels(image, **made, block=10**6, workers=1)
    halo = SlicSettings(step=step, n_iter=n_iter).slot_halo * step
    block = 40
    assert block + 2 * halo < shape[-1]
    for workers in (1, 2):
        parts = gnnseg.supervoxels(image, **made, block=block, workers=workers)
        np.testing.assert_array_equal(parts.slots, whole.slots)
        assert parts.num_leftover == whole.num_leftover


@pytest.mark.parametrize(
    ("shape", "spacing", "block"),
    [((75, 20, 22), (1, 1, 1), (6, 99)), ((34, 2, 60, 7), (3, 1, 1), (4, 12))],
)
def test_any_block_along_z_gives_the_same(shape, spacing, block):
    image = stack(noise(7, *shape))
    made = {"step": 3, "spacing": spacing, "compactness": 0.1, "n_iter": 1}
    whole = gnnseg.supervoxels(image, **made, block=10**6, workers=1)
    lattice = whole.lattice
    halo = whole.settings.slic_halo + lattice.piece_halo(whole.settings)[0]
    assert 2 * halo + 2 * block[0] // lattice.step_z < lattice.shape[0]
    for workers in (1, 2):
        parts = gnnseg.supervoxels(image, **made, block=block, workers=workers)
        np.testing.assert_array_equal(parts.slots, whole.slots)
        assert parts.num_leftover == whole.num_leftover


@pytest.mark.parametrize("depth", [1, 40, 300, 5000])
def test_deep_stacks_are_cut_along_z(depth):
    """Into parts of one size, with at least sixteen layers, and all planes at once where few."""
    for step_z in (1, 8):
        lattice = VolumeLattice(depth, step_z, Lattice(2000, 3000, 8))
        layers, rows, columns = box_cells(lattice, None, 2)
        assert rows >= 16
        assert columns >= 16
        voxels = layers * step_z * rows * columns * 64
        assert voxels <= 2**22 or layers <= 32
        assert layers == lattice.shape[0] or layers >= 16
    assert box_cells(lattice, (17, 90), 2) == (min(2, lattice.shape[0]), 11, 11)
    assert box_cells(lattice, 90, 2) == (lattice.shape[0], 11, 11)


def test_each_is_one_piece_that_follows_an_object():
    z, y, x = np.indices((12, 60, 70))
    ball = (2 * (z - 6)) ** 2 + (y - 30) ** 2 + (x - 33) ** 2 < 100
    image = (40 + 150 * ball + noise(1, *ball.shape, top=20)).astype(np.uint8)
    regions = gnnseg.supervoxels(stack(image), step=8, spacing=(2, 1, 1), compactness=1.0)
    ids = regions.ids()
    assert regions.lattice.step_z == 4
    assert ids.min() >= 0
    assert ids.max() < regions.lattice.num_cells
    leaks = sum(min(part.sum(), (~part).sum()) for part in (ball[ids == i] for i in np.unique(ids)))
    assert leaks < 0.1 * ball.sum()
    outside = 0
    for i in np.unique(ids):
        pieces, number = ndimage.label(ids == i)
        outside += (pieces > 0).sum() - np.bincount(pieces.ravel())[1:].max() if number > 1 else 0
    assert outside == regions.num_leftover


def test_voxels_as_deep_as_wide_are_taken_from_spacing():
    image = stack(noise(2, 6, 40, 40))
    for spacing, planes in (((1, 1, 1), 8), ((3, 1, 1), 3), ((40, 4, 4), 1), ((100, 1, 1), 1)):
        assert gnnseg.supervoxels(image, step=8, spacing=spacing).lattice.step_z == planes
    group = gnnseg.open_image(image)
    assert gnnseg.supervoxels(group, n_segments=60, spacing=(4, 1, 1)).lattice.num_cells in range(
        45, 76
    )


def test_a_plane_spacing_without_a_pixel_size_tells_nothing():
    image = replace(stack(noise(2, 6, 40, 40)), plane_spacing=40.0)
    assert read_volume(image, 8).ratio == 1
    assert read_volume(replace(image, pixel_size=(4.0, 4.0)), 8).ratio == 10


def test_masked_voxels_belong_to_none():
    image = noise(3, 4, 30, 31).astype(np.float32)
    image[1, 4:9, 5:7] = np.nan
    mask = np.ones(image.shape, np.uint8)
    mask[2:, 20:, 20:] = 0
    regions = gnnseg.supervoxels(stack(image), step=6, mask=stack(mask))
    np.testing.assert_array_equal(regions.ids() < 0, np.isnan(image) | (mask == 0))
    values = np.arange(regions.lattice.num_cells, dtype=np.int32)
    painted = gnnseg.paint(regions, values)
    expected = np.where(regions.ids() < 0, np.iinfo(np.int32).max, regions.ids())
    np.testing.assert_array_equal(painted, expected)


def test_a_single_plane_has_its_superpixels():
    image = noise(4, 50, 64)
    plane = gnnseg.superpixels(image, step=7)
    volume = gnnseg.supervoxels(stack(image[None]), step=7)
    np.testing.assert_array_equal(volume.slots[0], plane.slots + 50)
    np.testing.assert_array_equal(volume.ids()[0], plane.ids())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing": (1, 1)}, "three positive numbers"),
        ({"spacing": (1, 0, 1)}, "three positive numbers"),
        ({"spacing": 2.0}, "three positive numbers"),
        ({"spacing": (1e-9, 1, 1)}, "one unit"),
        ({"spacing": (1, 2, 1)}, "square pixels"),
        ({"n_segments": 0}, "at least 1"),
        ({"n_segments": 9, "step": 4}, "not both"),
    ],
)
def test_bad_arguments_are_explained(options, message):
    with pytest.raises(UsageError, match=message):
        gnnseg.supervoxels(stack(noise(5, 2, 9, 9)), **options)


def test_values_must_be_as_many_as_supervoxels():
    regions = gnnseg.supervoxels(stack(noise(6, 2, 9, 9)), step=4)
    with pytest.raises(UsageError, match="supervoxels need as many values"):
        gnnseg.paint(regions, np.zeros(3, np.uint8))


@pytest.mark.parametrize(
    ("steps", "weights"),
    [
        ((1, 16), (16, 1)), ((2, 16), (8, 1)), ((3, 16), (16, 3)), ((16, 16), (1, 1)),
        ((16, 3), (3, 16)), ((9, 16), (9, 5)), ((1, 256), (256, 1)), ((256, 2), (1, 128)),
    ],
)  # fmt: skip
def test_faces_count_by_their_size(steps, weights):
    """Those within a plane, and along z; to eighths."""
    assert VolumeLattice(10, steps[0], Lattice(100, 70, steps[1])).face_weights == weights
