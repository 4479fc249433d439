"""The same slots, tables and graph for every block size, order and number of workers."""

from __future__ import annotations

import random
import sys
from dataclasses import fields

import numpy as np
import pytest

from gnnseg.execution import run_tasks
from gnnseg.graph import RegionGraph, RegionTable, compute_regions, region_blocks, whole_table
from gnnseg.graph.stage import SUM_HALO
from gnnseg.io import open_image
from gnnseg.superpixels import Scaling, SlicSettings, compute_slots, make_reader, write_slots

WHOLE = 10_000
KINDS = ("noise", "specks", "steps")


def make_image(kind, seed, channels=1, dtype=np.uint8, shape=(211, 203)):
    """Hard images: pure noise, flat with single bright pixels, flat fields with noise.

    Floats lack single pixels, and rectangles that reach over borders of blocks.
    """
    rng = np.random.default_rng(seed)
    size = (channels, *shape)
    if kind == "noise":
        values = rng.random(size)
    elif kind == "specks":
        values = 0.5 + 0.5 * (rng.random(size) < 0.1)
    else:
        fields_ = rng.random((channels, *(-(-s // 30) for s in shape)))
        values = np.kron(fields_, np.ones((1, 30, 30)))[:, : shape[0], : shape[1]]
        values = 0.9 * values + 0.1 * rng.random(size)
    if np.dtype(dtype).kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        return (low + values * (high - low)).astype(dtype)
    values[:, rng.random(shape) < 0.05] = np.nan
    values[:, shape[0] // 4 : shape[0] // 2, shape[1] // 6 : shape[1] // 3] = np.nan
    values[:, 3 * shape[0] // 5 : 3 * shape[0] // 5 + min(7, shape[0] // 5)] = np.nan
    return values.astype(dtype)


def assert_same_table(table, expected):
    assert (table.window, table.cell) == (expected.window, expected.cell)
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(getattr(table, name), array, err_msg=name)


def assert_same_graph(graph, expected):
    for field in fields(RegionGraph):
        if field.name != "table":
            got, want = getattr(graph, field.name), getattr(expected, field.name)
            np.testing.assert_array_equal(got, want, err_msg=field.name)


def block_that_fits(settings, shape):
    """The largest block that is smaller than the image with its halo on both sides, in pixels."""
    halo = settings.slot_halo + SUM_HALO
    cells = min(shape) // settings.step - 2 * halo - 1
    assert cells >= 1, "the image is smaller than the halo: this would test nothing"
    return cells * settings.step


def shuffled_table(reader, block, seed, workers):
    """`whole_table` in a random order of the blocks."""
    lattice = reader.lattice
    tasks = region_blocks(lattice, reader.settings, lattice.cells, block // lattice.step)
    assert len(tasks) > 1
    random.Random(seed).shuffle(tasks)
    slots = np.full((lattice.height, lattice.width), 255, np.uint8)
    parts = []

    def done(_task, part):
        slots[part.pixels.slices] = part.slots
        parts.append(part)

    run_tasks(lambda task: compute_regions(reader, 0, task), tasks, workers=workers, done=done)
    first = parts[0].table
    table = RegionTable.empty(lattice.cells, lattice.step, first.x.shape[-1], first.reach)
    for part in parts:
        for name, array in table.arrays().items():
            array[part.cells.slices] = getattr(part.table, name)
    return slots, table, sum(part.num_leftover for part in parts)


def check(image, settings, seed, *, mask=None, axes="CYX"):
    reader = make_reader(open_image(image, axes=axes), settings=settings, mask=mask)
    largest = block_that_fits(settings, image.shape[1:])
    expected_slots, expected = whole_table(reader, block=WHOLE)
    graph = RegionGraph.from_table(expected)
    left = write_slots(reader, np.empty((1, *image.shape[1:]), np.uint8), block=WHOLE)
    for block, workers in ((largest, 1), (max(settings.step * 5, largest // 3), 2)):
        slots, table, leftover = shuffled_table(reader, block, seed, workers)
        np.testing.assert_array_equal(slots, expected_slots)
        assert_same_table(table, expected)
        assert_same_graph(RegionGraph.from_table(table), graph)
        assert leftover == left
        out = np.full((1, *slots.shape), 255, np.uint8)
        assert write_slots(reader, out, block=block, workers=workers) == left
        np.testing.assert_array_equal(out[0], expected_slots)


@pytest.mark.parametrize("seed", range(12))
def test_noise_at_low_compactness(seed):
    step = 3 + seed % 4
    n_iter = 1 + seed % 2 * (step < 6)
    settings = SlicSettings(step=step, compactness=0.01, n_iter=n_iter, stride=1 + seed % 3)
    check(make_image("noise", seed), settings, seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("channels", "dtype"),
    [(2, np.uint16), (3, np.uint8), (5, np.float32), (9, np.int16), (64, np.int16)],
)
def test_types_and_channels(kind, channels, dtype):
    """Three channels of uint8 are taken for colours; the float ones hold NaN."""
    settings = SlicSettings(step=4, compactness=1.0, n_iter=1)
    check(make_image(kind, channels, channels, dtype), settings, channels)


@pytest.mark.parametrize("compactness", [0.01, 4.0, 196.0])
def test_compactness(compactness):
    settings = SlicSettings(step=5, compactness=compactness, n_iter=1)
    check(make_image("steps", 1), settings, 1)


@pytest.mark.parametrize("sigma", [0.4, 1.5, 3.0])
def test_smoothing(sigma):
    settings = SlicSettings(step=4, compactness=0.1, n_iter=1, sigma=sigma)
    check(make_image("noise", 2, shape=(230, 217)), settings, 2)


@pytest.mark.parametrize(("step", "sigma"), [(3, 0.0), (4, 0.7), (3, 2.0)])
def test_areas_that_lack_pixels(step, sigma):
    """Textures and smoothing look into these, and beyond the end of a block."""
    settings = SlicSettings(step=step, compactness=0.1, n_iter=1, sigma=sigma)
    check(make_image("noise", 8, 2, np.float32, (230, 217)), settings, 8)


@pytest.mark.parametrize("rounds", [0, 1, 4, 9])
def test_rounds(rounds):
    settings = SlicSettings(step=4, compactness=0.01, n_iter=1, rounds=rounds)
    check(make_image("noise", 3), settings, 3)


@pytest.mark.parametrize("share", [0.02, 0.6])
def test_a_mask(share):
    rng = np.random.default_rng(4)
    mask = rng.random((211, 203)) >= share
    mask[60:90, 40:120] = False  # whole cells
    settings = SlicSettings(step=4, compactness=0.05, n_iter=2)
    check(make_image("noise", 4), settings, 4, mask=mask)


def test_no_rounds_of_slic():
    check(make_image("noise", 5), SlicSettings(step=3, n_iter=0, compactness=0.01), 5)


@pytest.mark.parametrize("shape", [(3, 2), (1, 1), (1, 230), (230, 1), (7, 205), (5, 5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_smaller_than_a_cell_or_a_block(shape, dtype):
    settings = SlicSettings(step=6, compactness=0.01, n_iter=1)
    reader = make_reader(
        open_image(make_image("noise", 6, 1, dtype, shape), axes="CYX"), settings=settings
    )
    expected_slots, expected = whole_table(reader, block=WHOLE)
    slots, table = whole_table(reader, block=12, workers=2)
    np.testing.assert_array_equal(slots, expected_slots)
    assert_same_table(table, expected)
    assert table.area.sum() == (slots != 254).sum()


def test_planes_of_a_stack_do_not_mix():
    stack = np.concatenate([make_image("noise", seed) for seed in (7, 8)])
    settings = SlicSettings(step=4, compactness=0.01, n_iter=1)
    reader = make_reader(open_image(stack, axes="ZYX"), settings=settings)
    out = np.empty(stack.shape, np.uint8)
    write_slots(reader, out, block=64, workers=2)
    for plane, image in enumerate(stack):
        alone = make_reader(
            open_image(image[None], axes="CYX"), settings=settings, scaling=reader.scaling
        )
        np.testing.assert_array_equal(out[plane], whole_table(alone, block=WHOLE)[0])


@pytest.mark.parametrize("kind", ["colours", "odd scale", "grey as colours", "floats", "five"])
@pytest.mark.parametrize(("n_iter", "sigma"), [(0, 0.0), (2, 0.0), (1, 1.3)])
def test_bands_give_what_the_window_does(kind, n_iter, sigma, monkeypatch):
    """Rows of cells that come in one by one, or as colours, against channels made at once."""
    monkeypatch.setattr(sys.modules["gnnseg.superpixels.stage"], "_BAND", 700)
    channels = {"grey as colours": 1, "floats": 2, "five": 5}.get(kind, 3)
    dtype = {"floats": np.float32, "five": np.uint16}.get(kind, np.uint8)
    image = open_image(make_image("noise", 9, channels, dtype, (75, 83)), axes="CYX")
    scaling = {
        "odd scale": Scaling((3.0,) * 3, (250.0,) * 3, rgb=True),
        "grey as colours": Scaling((0.0,) * 3, (255.0,) * 3, rgb=True),
    }.get(kind)
    mask = np.random.default_rng(9).random((75, 83)) < 0.8
    mask[20:45, 10:40] = False
    settings = SlicSettings(step=6, compactness=0.5, n_iter=n_iter, sigma=sigma)
    reader = make_reader(image, settings=settings, scaling=scaling, mask=mask)
    lattice = reader.lattice
    pixels = reader.read(lattice.bounds)
    whole = compute_slots(pixels, lattice.cells, lattice, settings, reader.scaling)
    out = np.empty((1, 75, 83), np.uint8)
    assert write_slots(reader, out) == len(whole.orphans)
    np.testing.assert_array_equal(out[0], whole.slots)
