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
from gnnseg.kernels.adjacency import CODES
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


def test_paint(benchmark, regions):
    values = np.random.default_rng(0).integers(0, 200, regions.lattice.num_cells, np.uint8)
    painted = benchmark(gnnseg.paint, regions, values)
    np.testing.assert_array_equal(painted, values[regions.ids()])


def test_messages(benchmark, image):
    torch = pytest.importorskip("torch")
    from gnnseg.models.layers import EdgeGatedConv

    graph = gnnseg.region_graph(image, settings=SlicSettings(step=STEP))
    torch.manual_seed(0)
    layer = EdgeGatedConv(32, graph.edge_attr.shape[1]).eval()
    arrays = (
        torch.rand(graph.num_nodes, 32),
        *map(torch.as_tensor, (graph.edge_index, graph.edge_attr)),
    )
    with torch.no_grad():
        found = benchmark(layer, *arrays)
    torch.testing.assert_close(found, layer(*arrays).detach(), atol=1e-5, rtol=1e-5)
