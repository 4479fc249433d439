"""Small versions of the stages, timed on request: `pytest tests/benchmarks --benchmark-enable`.

As tests they check that a stage gives what a slower way gives; they never judge a time.
`experiments/bench_kernels.py` measures at full size, beside other tools.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gnnseg
from gnnseg.graph.stage import add_up
from gnnseg.kernels.adjacency import CODES, adjacency
from gnnseg.kernels.region_sums import GEOMETRY
from gnnseg.superpixels import SlicSettings, make_reader

SIDE, STEP = 512, 16


@pytest.fixture(scope="module")
def image():
    from skimage.data import immunohistochemistry

    return np.ascontiguousarray(immunohistochemistry()[:SIDE, :SIDE])


@pytest.fixture(scope="module")
def regions(image):
    return gnnseg.superpixels(image, step=STEP, workers=1)


@pytest.mark.parametrize("n_iter", [1, 2])
def test_superpixels(benchmark, image, n_iter):
    found = benchmark(gnnseg.superpixels, image, step=STEP, n_iter=n_iter, workers=1)
    blocks = gnnseg.superpixels(image, step=STEP, n_iter=n_iter, block=128)
    np.testing.assert_array_equal(found.slots, blocks.slots)


def test_sums_and_graph(benchmark, image, regions):
    reader = make_reader(image, settings=SlicSettings(step=STEP))
    cells = reader.lattice.cells
    pixels = replace(reader.read(reader.lattice.bounds), slots=regions.slots)
    totals = benchmark(add_up, reader, pixels, cells)
    areas = np.bincount(regions.ids().ravel(), minlength=cells.size)
    np.testing.assert_array_equal(totals.sums[..., 0].ravel(), areas)
    assert totals.sums.shape[2] > GEOMETRY
    sides = totals.contact.sum(dtype=int)
    ids = regions.ids()
    # Each side is counted for both regions; those of homes too far apart have no edge.
    differing = (ids[1:] != ids[:-1]).sum() + (ids[:, 1:] != ids[:, :-1]).sum()
    assert 0.99 * 2 * differing <= sides <= 2 * differing
    assert totals.contact.shape[2] == CODES


def test_graph(benchmark, image, regions):
    reader = make_reader(image, settings=SlicSettings(step=STEP))
    pixels = replace(reader.read(reader.lattice.bounds), slots=regions.slots)
    cells = reader.lattice.shape
    tables = [np.zeros((*cells, CODES), np.int32) for _ in range(2)] + [np.zeros(cells, np.int32)]
    margin = (pixels.grey.shape[0] - SIDE) // 2
    work = (pixels.grey, regions.slots, STEP, *tables, (margin, margin))
    expected = add_up(reader, pixels, reader.lattice.cells)  # loads the loop, too
    benchmark.pedantic(adjacency, work, rounds=1)
    np.testing.assert_array_equal(tables[0], expected.contact)


def test_supervoxels(benchmark, image):
    stack = np.stack([image[: SIDE // 4, k : k + SIDE // 4] for k in range(16)])
    volume = gnnseg.open_image(stack, axes="ZYXC", rgb=True)
    found = benchmark(gnnseg.supervoxels, volume, step=8, workers=1)
    blocks = gnnseg.supervoxels(volume, step=8, block=64)
    np.testing.assert_array_equal(found.slots, blocks.slots)


def test_paint(benchmark, regions):
    values = np.random.default_rng(0).integers(0, 200, regions.lattice.num_cells, np.uint8)
    painted = benchmark(gnnseg.paint, regions, values)
    np.testing.assert_array_equal(painted, values[regions.ids()])


def test_messages(benchmark, image):
    torch = pytest.importorskip("torch")
    from gnnseg.models.gated_sum import gated_sum
    from gnnseg.models.layers import EdgeGatedConv

    graph = gnnseg.region_graph(image, settings=SlicSettings(step=STEP))
    torch.manual_seed(0)
    layer = EdgeGatedConv(32, graph.edge_attr.shape[1]).eval()
    x = torch.rand(graph.num_nodes, 32)
    edge_index, edge_attr = map(torch.as_tensor, (graph.edge_index, graph.edge_attr))
    with torch.no_grad():
        found = benchmark(layer, x, edge_index, edge_attr)
        # By PyTorch Geometric's message passing.
        query, own = layer.target(x).chunk(2, dim=1)
        expected = own + gated_sum(query, layer.source(x), edge_index, layer.edge(edge_attr))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
