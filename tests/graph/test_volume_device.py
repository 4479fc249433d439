"""The graph and the labels of a volume on a GPU: those of the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numba import cuda

import gnnseg
from gnnseg.graph import RegionGraph
from gnnseg.graph.stage import SUM_HALO
from gnnseg.graph.volume import sum_up_volume, whole_volume_table
from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.slots import MASKED
from gnnseg.paint import paint_box
from gnnseg.superpixels import Supervoxels, VolumeReader
from gnnseg.superpixels.stage import make_reader
from gnnseg.superpixels.volume import read_volume


def example(shape, spacing):
    """A volume in memory and on the GPU, with slots of both, masked voxels among them."""
    rng = np.random.default_rng(len(shape))
    pixels = rng.integers(0, 255, shape, np.uint8)
    mask = (rng.random((shape[0], *shape[-2:])) < 0.9).astype(np.uint8)
    axes = "ZYX" if pixels.ndim == 3 else "ZCYX"
    opened = [gnnseg.open_image(mask, axes="ZYX")]
    opened += [gnnseg.open_image(array, axes=axes) for array in (pixels, cuda.to_device(pixels))]
    here = read_volume(opened[1], 4, None, spacing, opened[0], n_iter=1, compactness=0.1)
    slots = gnnseg.supervoxels(
        opened[1], step=4, spacing=spacing, mask=opened[0], n_iter=1, compactness=0.1
    ).slots
    assert (slots == MASKED).any()
    assert len(np.unique(slots)) > 6
    planes = make_reader(opened[2], settings=here.planes.settings, mask=opened[0])
    there = VolumeReader(planes, here.lattice, here.ratio)
    return here, there, slots, cuda.to_device(slots)


def same(table, expected):
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(table.arrays()[name], array, name)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((5, 5, 6), (1, 1, 1)), ((3, 3, 3, 6), (2.2, 1, 1))]
)
def test_the_graph_is_that_of_the_cpu_and_stays(shape, spacing):
    """A volume on a GPU is not cut, whatever the block."""
    here, there, _, _ = example(shape, spacing)
    expected, table = whole_volume_table(here), whole_volume_table(there, block=4, workers=2)
    assert all(is_device_array(array) for array in table.arrays().values())
    same(table.on_host(), expected)
    graphs = [RegionGraph.from_table(t, contrast_top=1020) for t in (expected, table)]
    for name in ("x", "pos", "area", "edge_index", "edge_attr"):
        mine, its = (getattr(graph, name) for graph in graphs)
        assert is_device_array(its)
        np.testing.assert_array_equal(its.copy_to_host(), mine, name)


def test_a_part_of_a_volume_has_the_sums_of_the_cpu():
    here, there, slots, copies = example((6, 3, 5), (4, 1, 1))
    block = next(here.lattice.blocks((2, 1, 2), (SUM_HALO, SUM_HALO)))
    assert block.read.shape == (5, 1, 2)
    same(sum_up_volume(there, copies, block).on_host(), sum_up_volume(here, slots, block))


def test_volumes_are_painted_where_their_slots_are():
    here, _, slots, copies = example((3, 6, 7), (2, 1, 1))
    regions = Supervoxels(slots, here.lattice, here.planes.settings, here.planes.scaling, 0)
    moved = replace(regions, slots=copies)
    values = np.arange(here.lattice.num_cells, dtype=np.uint8).reshape(here.lattice.shape)
    expected = gnnseg.paint(regions, values, fill=99)
    out = cuda.to_device(np.zeros(slots.shape, np.uint8))
    for given in (values.ravel(), cuda.to_device(values)):
        painted = gnnseg.paint(moved, given, fill=99)
        assert is_device_array(painted)
        np.testing.assert_array_equal(painted.copy_to_host(), expected)
        assert gnnseg.paint(moved, given, fill=99, out=out) is out
    np.testing.assert_array_equal(out.copy_to_host(), expected)
    steps, first, part = here.lattice.steps[:2], (0, 1, 0), (slice(None), slice(4, 6))
    box = paint_box(copies[part], steps, cuda.to_device(values), first, 99)
    np.testing.assert_array_equal(box.copy_to_host(), expected[part])
