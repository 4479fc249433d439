"""What holds for every slot map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from gnnseg.blocks import Lattice, Window
from gnnseg.errors import InputError, UsageError
from gnnseg.io import open_image
from gnnseg.kernels.slic import slic
from gnnseg.kernels.slots import MASKED
from gnnseg.superpixels import Scaling, SlicSettings, Superpixels, superpixels
from gnnseg.superpixels.stage import AT_ONCE, block_cells, make_reader


def offsets(slots):
    """(n, 2) steps from each unmasked pixel's cell to its home."""
    known = slots[slots != MASKED].astype(int)
    return np.stack([known // 5 - 2, known % 5 - 2], axis=-1)


@settings(max_examples=25)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(2, 12),
    st.sampled_from([0.01, 1.0, 100.0]),
    st.integers(0, 2**32 - 1),
)
def test_every_pixel_has_a_home_nearby(height, width, step, compactness, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width)).astype(np.uint8)
    mask = rng.random((height, width)) < 0.8
    regions = superpixels(image, step=step, compactness=compactness, n_iter=2, mask=mask)
    np.testing.assert_array_equal(regions.slots == MASKED, ~mask)
    assert np.abs(offsets(regions.slots)).max(initial=0) <= 2
    ids = regions.ids()
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids == -1, ~mask)
    assert ids.max(initial=-1) < regions.lattice.num_cells
    loose = 0
    for one in np.unique(ids[ids >= 0]):
        pieces = label(ids == one, connectivity=1)
        loose += np.bincount(pieces.ravel())[1:].sum() - np.bincount(pieces.ravel())[1:].max()
    assert loose <= regions.num_leftover


def test_before_orphans_move_homes_are_one_cell_away():
    work = np.random.default_rng(0).integers(0, 800, (1, 52, 49)).astype(np.int16)
    slots = np.zeros((50, 47), np.uint8)
    colour, place = np.zeros((10, 10, 1), np.int32), np.zeros((10, 10, 2), np.int32)
    slic(work, 5, 3, 1, 0.01, slots, colour, place)
    assert np.abs(offsets(slots)).max() == 1


def test_a_flat_image_keeps_its_cells():
    regions = superpixels(np.full((40, 64), 9, np.uint8), step=8)
    assert (regions.slots == 12).all()
    assert regions.num_leftover == 0
    np.testing.assert_array_equal(np.unique(regions.ids()), np.arange(5 * 8))


def test_superpixels_follow_an_edge():
    image = np.zeros((64, 64), np.uint8)
    image[:, 29:] = 200
    ids = superpixels(image, step=16, compactness=1.0).ids()
    assert not set(ids[:, :29].ravel()) & set(ids[:, 29:].ravel())


@pytest.mark.parametrize("side", [50_000 * 16, 3_000_000 * 16])
def test_ids_beyond_two_to_the_31(side):
    """A lattice of 2.5e9 and of 9e12 cells; the slots are only there where they are read."""
    lattice = Lattice(side, side, 16)
    assert lattice.num_cells > 2**31

    class Far:
        ndim, dtype = 2, np.dtype(np.uint8)

        def __getitem__(self, index):
            rows, columns = index[-2:]
            return np.full((rows.stop - rows.start, columns.stop - columns.start), 12, np.uint8)

    regions = Superpixels(Far(), lattice, SlicSettings(), Scaling((0.0,), (255.0,), False), 0)
    ids = regions.ids(Window(side - 20, side, side - 40, side))
    columns = side // 16
    assert ids.dtype == np.int64
    assert ids[-1, -1] == columns**2 - 1
    assert ids[0, 0] == (columns - 2) * columns + columns - 3
    assert len(np.unique(ids)) == 2 * 3


def test_ids_of_a_window_and_of_planes():
    stack = open_image(np.random.default_rng(0).integers(0, 99, (3, 30, 41)), axes="ZYX")
    regions = superpixels(stack, step=7)
    ids = regions.ids()
    cells = regions.lattice.num_cells
    assert regions.slots.shape == ids.shape == (3, 30, 41)
    for plane in range(3):
        assert (ids[plane] // cells == plane).all()
    window = Window(9, 25, 3, 40)
    np.testing.assert_array_equal(regions.ids(window), ids[:, *window.slices])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_masked(value):
    image = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    image[4:20, 7:30] = value
    regions = superpixels(image, step=8, sigma=1.0)
    np.testing.assert_array_equal(regions.slots == MASKED, ~np.isfinite(image))


def test_one_bad_channel_masks_a_pixel():
    image = np.random.default_rng(0).random((2, 20, 20))
    image[1, 3, 4] = np.nan
    regions = superpixels(open_image(image, axes="CYX"), step=5)
    assert np.argwhere(regions.slots == MASKED).tolist() == [[3, 4]]


def test_a_wholly_masked_image_has_no_superpixels():
    regions = superpixels(np.zeros((20, 20), np.uint8), step=5, mask=np.zeros((20, 20), np.uint8))
    assert (regions.slots == MASKED).all()
    assert (regions.ids() == -1).all()


def test_n_segments_picks_the_step():
    regions = superpixels(np.zeros((100, 100), np.uint8), n_segments=25)
    assert (regions.lattice.step, regions.lattice.num_cells) == (20, 25)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(InputError, match="10 x 9"):
        superpixels(np.zeros((10, 10), np.uint8), mask=np.zeros((10, 9), np.uint8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": 1},
        {"step": 257},
        {"compactness": -1.0},
        {"compactness": float("nan")},
        {"n_iter": -1},
        {"sigma": 33.0},
        {"stride": 0},
        {"step": 4, "stride": 5},
        {"rounds": -1},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match="must lie between"):
        SlicSettings(**wrong)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float16, np.float32, np.float64, bool]
)
def test_every_type_of_pixel(dtype):
    image = np.arange(30 * 30).reshape(30, 30) % 100 > 40
    bright = image if dtype is bool else (255 * image).astype(dtype)
    expected = superpixels((255 * image).astype(np.uint8), step=6)
    np.testing.assert_array_equal(superpixels(bright, step=6).slots, expected.slots)


def test_grey_images_fit_a_scaling_of_colours():
    grey = np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8)
    scaling = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
    reader = make_reader(grey, settings=SlicSettings(step=5), scaling=scaling)
    colours = make_reader(
        np.repeat(grey[..., None], 3, axis=2), settings=SlicSettings(step=5), scaling=scaling
    )
    window = reader.lattice.bounds
    np.testing.assert_array_equal(reader.read(window).work, colours.read(window).work)


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("size", [(1, 1), (17, 9000), (4096, 4096), (40_000, 30_001), (9, 10**7)])
def test_blocks_in_memory_are_few_and_bounded(size, workers):
    lattice = Lattice(*size, 16)
    rows, columns = block_cells(lattice, None, workers)
    assert rows * columns * 16**2 <= AT_ONCE
    down, across = -(-lattice.shape[0] // rows), -(-lattice.shape[1] // columns)
    assert down * across <= workers + 2 * -(-lattice.num_cells * 16**2 // AT_ONCE)
    assert block_cells(lattice, 64, workers) == (4, 4)


@pytest.mark.parametrize("name", ["step", "n_iter", "stride", "rounds"])
@pytest.mark.parametrize("value", [7.5, 2.0, "3"])
def test_settings_that_count_are_whole(name, value):
    with pytest.raises(UsageError, match=f"{name} must be a whole number, got {value!r}"):
        SlicSettings(**{name: value})
    made = SlicSettings(**{name: np.int16(5)})
    assert type(getattr(made, name)) is int
    assert made == SlicSettings(**{name: 5})
