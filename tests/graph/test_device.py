"""Tables and graphs on a GPU: coarser levels, nearest regions, files and logits as on the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numba import cuda

import gnnseg
from gnnseg.blocks import Window
from gnnseg.graph import RegionGraph, RegionTable, VolumeTable, nearest_graph
from gnnseg.kernels.arrays import is_device_array, on_host
from gnnseg.superpixels import Box

ARRAYS = "x", "edge_index", "edge_attr", "pos", "area"


def draw_table(kind, window, cell):
    """A table over a window, full of random numbers."""
    rng, table = np.random.default_rng(0), kind.empty(window, cell, 3)
    for array in table.arrays().values():
        array[:] = rng.integers(0, 90, array.shape) * (rng.random(array.shape) < 0.5)
    return table


def moved(table):
    """The same table on the GPU."""
    return replace(table, **{name: cuda.to_device(a) for name, a in table.arrays().items()})


def same(there, here, names):
    for name in names:
        got = getattr(there, name)
        assert is_device_array(got), name
        np.testing.assert_array_equal(got.copy_to_host(), getattr(here, name), err_msg=name)


@pytest.fixture
def table():
    return draw_table(RegionTable, Window(1, 4, 2, 6), 8)


def test_levels_are_those_of_the_cpu(table):
    """The window starts at odd cells, so it is padded there."""
    here, there = table, moved(table)
    for _ in range(2):
        here, there = here.coarsen(), there.coarsen()
        same(there, here, here.arrays())
    graphs = (RegionGraph.from_table(t, contrast_top=9) for t in (there, here))
    same(*graphs, ARRAYS)


@pytest.mark.parametrize("ratio", [1.0, 9.0])
def test_levels_of_volumes_are_those_of_the_cpu(ratio):
    """Layers are pooled, or not."""
    table = draw_table(VolumeTable, Box(1, 3, Window(0, 1, 1, 3)), (2, 4, 4))
    here, there = table.coarsen(ratio), moved(table).coarsen(ratio)
    same(there, here, here.arrays())
    same(RegionGraph.from_table(there), RegionGraph.from_table(here), ARRAYS)


def test_the_nearest_are_those_of_the_cpu(table):
    here, there = nearest_graph(table, 3), nearest_graph(moved(table), 3)
    for got, expected in zip(there, here, strict=True):
        np.testing.assert_array_equal(on_host(got), expected)


def test_a_graph_is_saved_from_a_gpu(table, tmp_path):
    there = RegionGraph.from_table(moved(table), feature_names=("a", "b", "c"))
    there.save(tmp_path / "graph")
    found = RegionGraph.open(tmp_path / "graph")
    same(there, found, ARRAYS)
    same(there.table, found.table, found.table.arrays())


def test_a_table_comes_to_memory(table):
    back = moved(table).on_host()
    for name, array in table.arrays().items():
        assert isinstance(getattr(back, name), np.ndarray)
        np.testing.assert_array_equal(getattr(back, name), array)


@pytest.mark.gpu
def test_a_graph_becomes_tensors_without_a_copy():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: the simulator shares no memory with torch")
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    here = gnnseg.region_graph(image).to_data()
    graph = gnnseg.region_graph(torch.as_tensor(image, device="cuda"))
    data = graph.to_data()
    for name in ARRAYS:
        address = getattr(graph, name).__cuda_array_interface__["data"][0]
        assert data[name].data_ptr() == address, name
        assert torch.equal(data[name].cpu(), here[name]), name
