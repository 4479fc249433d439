"""Coarse levels of a volume, against what is summed over its voxels by coarse cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg.blocks import Window
from gnnseg.errors import InputError
from gnnseg.graph.volume import add_up_volume, describe_volume
from gnnseg.kernels.slots import LAYER, MASKED
from gnnseg.superpixels import Box
from gnnseg.superpixels.reader import MARGIN
from gnnseg.superpixels.volume import read_volume


def example(spacing, step):
    """Random slots of a volume of noise: homes at most two cells away, inside the lattice."""
    rng = np.random.default_rng(0)
    image = gnnseg.open_image(rng.integers(0, 255, (11, 37, 31), np.uint8), axes="ZYX")
    volume = read_volume(image, step=step, spacing=spacing)
    steps = np.array(volume.lattice.steps)
    own = np.stack(np.indices((11, 37, 31)), axis=-1) // steps
    homes = np.clip(own + rng.integers(-2, 3, own.shape), 0, np.array(volume.lattice.shape) - 1)
    slots = ((homes - own + 2) @ [LAYER, 5, 1]).astype(np.uint8)
    slots[rng.random(slots.shape) < 0.1] = MASKED
    return volume, slots, homes


def table_of(volume, slots):
    cells = volume.lattice.cells
    return describe_volume(volume, add_up_volume(volume, slots, cells), cells)


def summed(volume, slots, homes, factors, reach):
    """Area, moment, contact and contrast of the coarse cells, from voxels."""
    steps = np.array(volume.lattice.steps)
    shape = -(-np.array(volume.lattice.shape) // factors)
    coarse, known = homes // factors, slots != MASKED
    area, moment = np.zeros(shape, int), np.zeros((*shape, 3), int)
    np.add.at(area, tuple(coarse[known].T), 1)
    places = np.stack(np.indices(slots.shape), axis=-1) - coarse * factors * steps
    np.add.at(moment, tuple(coarse[known].T), places[known])
    codes = (2 * reach + 1) ** 3
    contact, contrast = np.zeros((2, *shape, codes), int)
    planes = [volume.planes.read(volume.lattice.plane.bounds, z) for z in range(len(slots))]
    grey = np.stack([p.grey[MARGIN:-MARGIN, MARGIN:-MARGIN] for p in planes]).astype(int)
    within, along = volume.lattice.face_weights
    for axis, weight in enumerate((along, within, within)):
        before, after = (np.arange(n, slots.shape[axis] - 1 + n) for n in (0, 1))
        a, b = (np.take(homes, part, axis) for part in (before, after))
        both = np.take(known, before, axis) & np.take(known, after, axis)
        difference = np.abs(np.take(grey, before, axis) - np.take(grey, after, axis))
        near = both & (np.abs(a - b).max(-1) <= 2)
        for target, source in ((a, b), (b, a)):
            way = (source // factors - target // factors)[near]
            kept = way.any(-1)
            code = (way[kept] + reach) @ [(2 * reach + 1) ** 2, 2 * reach + 1, 1]
            index = *(target // factors)[near][kept].T, code
            np.add.at(contact, index, weight)
            np.add.at(contrast, index, weight * difference[near][kept])
    return area, moment, contact, contrast


@pytest.mark.parametrize(
    ("spacing", "step", "layers"),
    [((1, 1, 1), 3, (2, 2)), ((9, 1, 1), 3, (1, 1, 2)), ((4, 1, 1), 3, (2, 2))],
)
def test_levels_are_what_voxels_sum_to(spacing, step, layers):
    """Cubes are pooled along all axes; cells three times as deep as wide first within layers."""
    volume, slots, homes = example(spacing, step)
    table, factors = table_of(volume, slots), np.ones(3, int)
    for pooled in layers:
        table = table.coarsen(volume.ratio)
        factors *= (pooled, 2, 2)
        np.testing.assert_array_equal(table.cell, factors * volume.lattice.steps)
        assert table.reach == (1 if pooled == 2 else 2)
        expected = summed(volume, slots, homes, factors, table.reach)
        for name, array in zip(("area", "moment", "contact", "contrast"), expected, strict=True):
            np.testing.assert_array_equal(getattr(table, name), array, err_msg=name)


def test_a_part_is_pooled_by_cells_of_the_whole_lattice():
    volume, slots, _ = example((1, 1, 1), 3)
    table = table_of(volume, slots)
    whole = table.coarsen(volume.ratio)
    part = Box(1, 4, Window(3, 12, 3, 10))
    inside = part.relative_to(table.window).slices
    arrays = {name: array[inside] for name, array in table.arrays().items()}
    coarse = replace(table, window=part, **arrays).coarsen(volume.ratio)
    assert coarse.window == Box(0, 2, Window(1, 6, 1, 5))
    held = Box(1, 2, Window(2, 6, 2, 5))  # cells of which the part has all
    here, there = (held.relative_to(box).slices for box in (coarse.window, whole.window))
    for name, array in coarse.arrays().items():
        np.testing.assert_array_equal(array[here], getattr(whole, name)[there], err_msg=name)


def test_a_level_is_saved_and_opened_again(tmp_path):
    """Without features, which a level of the finest regions has to have."""
    volume, slots, _ = example((1, 1, 1), 3)
    fine = gnnseg.RegionGraph.from_table(table_of(volume, slots), feature_names=("area",))
    coarse = gnnseg.RegionGraph.from_table(fine.table.coarsen(1.0), feature_names=("area",))
    coarse.save(tmp_path / "coarse.zarr")
    again = gnnseg.RegionGraph.open(tmp_path / "coarse.zarr")
    assert again.x.shape == (coarse.num_nodes, 0)
    assert (again.table.cell, again.feature_names) == ((6, 6, 6), ())
    for name, array in coarse.table.arrays().items():
        np.testing.assert_array_equal(getattr(again.table, name), array, err_msg=name)
    fine.save(tmp_path / "fine.zarr")
    del zarr.open_group(tmp_path / "fine.zarr")["nodes/x"]
    with pytest.raises(InputError, match="nodes/x"):
        gnnseg.RegionGraph.open(tmp_path / "fine.zarr")
