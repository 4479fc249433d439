"""The region graph and its tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr import open_group

from gnnseg.blocks import Window
from gnnseg.errors import InputError, UsageError
from gnnseg.graph import EDGE_NAMES, RegionGraph, RegionTable, nearest_graph, region_graph
from gnnseg.graph.table import VolumeTable
from gnnseg.models.level import parents
from gnnseg.superpixels import Box, SlicSettings, superpixels

SETTINGS = SlicSettings(step=5, n_iter=2, compactness=0.05)


def noise(seed, shape=(61, 48)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="module")
def graph():
    mask = np.ones((61, 48), np.uint8)
    mask[10:30, 12:33] = 0  # some empty cells
    return region_graph(noise(0), settings=SETTINGS, mask=mask)


def random_table(seed, window, reach=2):
    """A table as no image gives it, but whose contacts join each pair from both sides."""
    rng = np.random.default_rng(seed)
    table = RegionTable.empty(window, 8, 3, reach)
    table.area[:] = rng.integers(0, 100, window.shape)
    table.moment[:] = rng.integers(-500, 900, (*window.shape, 2)) * (table.area > 0)[..., None]
    table.x[:] = rng.random(table.x.shape)
    side = 2 * reach + 1
    for y, x in np.ndindex(window.shape):
        for code in range(side**2 // 2):
            ny, nx = y + code // side - reach, x + code % side - reach
            inside = 0 <= ny < window.shape[0] and 0 <= nx < window.shape[1]
            if inside and table.area[y, x] and table.area[ny, nx] and rng.random() < 0.4:
                contact, contrast = rng.integers(1, 20), rng.integers(0, 5000)
                for where in ((y, x, code), (ny, nx, side**2 - 1 - code)):
                    table.contact[where], table.contrast[where] = contact, contrast
    return table


def test_one_node_for_each_cell_and_the_areas_add_up(graph):
    assert graph.num_nodes == graph.table.window.size == 13 * 10
    assert graph.area.sum() == 61 * 48 - 20 * 21
    assert graph.x.shape == (130, len(graph.feature_names))
    assert graph.edge_attr.shape == (graph.num_edges, len(EDGE_NAMES))
    assert [array.dtype for array in (graph.x, graph.edge_index, graph.edge_attr, graph.pos)] == [
        np.float32, np.int64, np.float32, np.float64,
    ]  # fmt: skip


def test_edges_are_sorted_and_symmetric(graph):
    source, target = graph.edge_index
    order = target * graph.num_nodes + source
    assert (np.diff(order) > 0).all()
    assert (source != target).all()
    both = set(zip(source.tolist(), target.tolist(), strict=True))
    assert both == {(b, a) for a, b in both}


def test_edges_join_the_regions_that_touch(graph):
    mask = np.ones((61, 48), np.uint8)
    mask[10:30, 12:33] = 0
    ids = superpixels(noise(0), step=5, n_iter=2, compactness=0.05, mask=mask).ids()
    touching = set()
    for a, b in ((ids[:, :-1], ids[:, 1:]), (ids[:-1], ids[1:])):
        sides = (a != b) & (a >= 0) & (b >= 0)
        touching |= set(zip(a[sides].tolist(), b[sides].tolist(), strict=True))
    touching |= {(b, a) for a, b in touching}
    cells = graph.table.window.shape[1]

    def near(a, b):
        return max(abs(a // cells - b // cells), abs(a % cells - b % cells)) <= 2

    found = set(zip(*graph.edge_index.tolist(), strict=True))
    assert found == {pair for pair in touching if near(*pair)}


def test_edge_attributes(graph):
    source, target = graph.edge_index
    attr = dict(zip(EDGE_NAMES, graph.edge_attr.T, strict=True))
    delta = (graph.pos[source] - graph.pos[target]) / 5
    np.testing.assert_allclose(attr["dy"], delta[:, 0], rtol=1e-6)
    np.testing.assert_allclose(attr["dx"], delta[:, 1], rtol=1e-6)
    np.testing.assert_allclose(attr["distance"], np.hypot(*delta.T), rtol=1e-6)
    total = np.bincount(target, attr["contact"], graph.num_nodes)
    np.testing.assert_allclose(total[np.unique(target)], 1, rtol=1e-5)
    assert attr["contrast"].min() >= 0
    ratio = graph.area[source] / (graph.area[source] + graph.area[target])
    np.testing.assert_allclose(attr["area_ratio"], ratio, rtol=1e-6)


def test_positions_are_the_centroids(graph):
    mask = np.ones((61, 48), np.uint8)
    mask[10:30, 12:33] = 0
    ids = superpixels(noise(0), step=5, n_iter=2, compactness=0.05, mask=mask).ids()
    for node in np.flatnonzero(graph.area):
        np.testing.assert_allclose(graph.pos[node], np.argwhere(ids == node).mean(axis=0))


def test_empty_regions_have_no_edges_and_no_nan(graph):
    empty = np.flatnonzero(graph.area == 0)
    assert len(empty) > 0
    assert not np.isin(graph.edge_index, empty).any()
    assert (graph.x[empty] == 0).all()
    for array in (graph.x, graph.edge_attr, graph.pos):
        assert np.isfinite(array).all()


def test_a_wholly_masked_image_gives_an_empty_graph():
    graph = region_graph(noise(0), settings=SETTINGS, mask=np.zeros((61, 48), np.uint8))
    assert graph.num_edges == 0
    assert graph.area.sum() == 0
    assert np.isfinite(graph.x).all()
    assert graph.to_data().num_edges == 0


def test_to_data_shares_memory(graph):
    data = graph.to_data()
    data.validate(raise_on_error=True)
    for name in ("x", "edge_index", "edge_attr", "pos", "area"):
        assert np.shares_memory(getattr(data, name).numpy(), getattr(graph, name)), name
    assert data.num_nodes == graph.num_nodes


@pytest.mark.parametrize("name", ["x", "pos", "area"])
def test_missing_rows_are_refused(graph, name):
    with pytest.raises(UsageError, match="must have 130 rows"):
        replace(graph, **{name: getattr(graph, name)[:-1]})


def test_wrong_edges_are_refused(graph):
    with pytest.raises(UsageError, match="edge_index must be"):
        replace(graph, edge_attr=graph.edge_attr[:-1])
    for wrong in (-1, graph.num_nodes):
        edge_index = graph.edge_index.copy()
        edge_index[0, 0] = wrong
        with pytest.raises(UsageError, match="must name nodes"):
            replace(graph, edge_index=edge_index)


def test_a_table_of_another_size_is_refused(graph):
    with pytest.raises(UsageError, match="must cover"):
        replace(graph.table, area=graph.table.area[1:])


def coarse_oracle(table):
    """Coarse areas, centroids and contacts by (cell, cell) of the whole lattice."""
    reach, (width, window) = table.reach, (2 * table.reach + 1, table.window)
    area, moment, contact = {}, {}, {}
    for y, x in np.ndindex(window.shape):
        fine = y + window.y0, x + window.x0
        parent = fine[0] // 2, fine[1] // 2
        size = int(table.area[y, x])
        corner = np.array(fine) * table.cell
        area[parent] = area.get(parent, 0) + size
        moment[parent] = moment.get(parent, 0) + table.moment[y, x] + size * corner
        for code in np.flatnonzero(table.contact[y, x]):
            other = (fine[0] + code // width - reach) // 2, (fine[1] + code % width - reach) // 2
            if other != parent:
                sums = contact.setdefault((other, parent), np.zeros(2, int))
                sums += table.contact[y, x, code], table.contrast[y, x, code]
    return area, moment, contact


@settings(max_examples=25)
@given(
    st.tuples(st.integers(0, 7), st.integers(0, 7)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([1, 2]),
    st.integers(0, 2**32 - 1),
)
def test_coarsen_is_aligned_to_the_whole_lattice(corner, shape, reach, seed):
    (y0, x0), (height, width) = corner, shape
    table = random_table(seed, Window(y0, y0 + height, x0, x0 + width), reach)
    coarse = table.coarsen()
    assert coarse.window == table.window.coarsen(2)
    assert (coarse.cell, coarse.reach) == (16, 1)
    area, moment, contact = coarse_oracle(table)
    total = 0
    for y, x in np.ndindex(coarse.window.shape):
        cell = y + coarse.window.y0, x + coarse.window.x0
        assert coarse.area[y, x] == area.get(cell, 0)
        if coarse.area[y, x]:
            np.testing.assert_allclose(coarse.pos()[y, x], moment[cell] / area[cell], rtol=1e-12)
        for code in range(9):
            other = cell[0] + code // 3 - 1, cell[1] + code % 3 - 1
            expected = contact.get((other, cell), np.zeros(2, int))
            got = coarse.contact[y, x, code], coarse.contrast[y, x, code]
            np.testing.assert_array_equal(got, expected)
            total += int(expected[0] > 0)
    assert total == len(contact)


@settings(max_examples=10)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_a_window_coarsens_as_the_whole_does_inside(y0, x0, seed):
    """Cells whose four children lie in the window, three cells from its border."""
    whole = random_table(seed, Window(0, 20, 0, 20))
    window = Window(y0, y0 + 14, x0, x0 + 13)
    inner = Window(-(-y0 // 2), window.y1 // 2, -(-x0 // 2), window.x1 // 2)
    part, expected = whole.crop(window).coarsen().crop(inner), whole.coarsen().crop(inner)
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(getattr(part, name), array, err_msg=name)


@pytest.mark.parametrize("window", [Window(0, 4, 0, 6), Window(3, 8, 5, 6), Window(2, 5, 1, 9)])
def test_parents_name_the_coarse_cells(window):
    index, count = parents(window)
    coarse = window.coarsen(2)
    assert count == coarse.size
    expected = [
        (y // 2 - coarse.y0) * coarse.shape[1] + x // 2 - coarse.x0
        for y in range(window.y0, window.y1)
        for x in range(window.x0, window.x1)
    ]
    assert index.tolist() == expected


def test_crop_and_pad_undo_each_other():
    table = random_table(0, Window(3, 9, 4, 11))
    wide = table.pad(Window(0, 12, 4, 20))
    assert wide.area.sum() == table.area.sum()
    back = wide.crop(table.window)
    for name, array in table.arrays().items():
        np.testing.assert_array_equal(getattr(back, name), array)


@pytest.mark.parametrize("seed", range(3))
def test_nearest_graph_is_sorted_and_has_k_sources(seed):
    table = random_table(seed, Window(2, 10, 3, 12))
    edge_index, distance = nearest_graph(table, 4)
    source, target = edge_index
    nodes = table.window.size
    assert (np.diff(target * nodes + source) > 0).all()
    area, pos = table.area.ravel(), table.pos().reshape(-1, 2)
    assert (area[source] > 0).all()
    assert np.bincount(target, minlength=nodes)[area == 0].sum() == 0
    assert np.bincount(target).max() <= 4
    np.testing.assert_allclose(
        distance, np.linalg.norm(pos[source] - pos[target], axis=1) / 8, rtol=1e-6
    )


def part_of_a_volume():
    table = VolumeTable.empty(Box(2, 4, Window(1, 4, 6, 8)), (3, 8, 8), 3)
    table.area[:] = 5
    table.moment[:] = np.arange(table.moment.size).reshape(table.moment.shape)
    return table


@pytest.mark.parametrize("table", [random_table(1, Window(2, 7, 3, 12)), part_of_a_volume()])
def test_a_part_is_saved_with_its_place_and_its_features(table, tmp_path):
    part = RegionGraph.from_table(table, feature_names=("a", "b", "c"))
    part = replace(part, x=part.x[:, :2] + 1, feature_names=("a", "b"))
    part.save(tmp_path / "part.zarr")
    again = RegionGraph.open(tmp_path / "part.zarr")
    assert (again.table.window, again.feature_names) == (table.window, ("a", "b"))
    for name in ("x", "edge_index", "edge_attr", "pos", "area"):
        np.testing.assert_array_equal(getattr(again, name), getattr(part, name), err_msg=name)


@pytest.mark.parametrize("corner", [[1], [1, -1], [1, 0.5], "at", [True, 0], None])
def test_a_graph_without_a_place_begins_at_the_first_cell(corner, tmp_path):
    """As all did once; a place that is none is refused."""
    RegionGraph.from_table(random_table(1, Window(2, 4, 3, 5))).save(tmp_path / "part.zarr")
    group = open_group(tmp_path / "part.zarr")
    about = {**group.attrs["gnnseg"], "corner": corner}
    if corner is None:
        del about["corner"]
    group.attrs["gnnseg"] = about
    if corner is None:
        assert RegionGraph.open(tmp_path / "part.zarr").table.window == Window(0, 2, 0, 2)
    else:
        with pytest.raises(InputError, match="corner must be 2 whole numbers"):
            RegionGraph.open(tmp_path / "part.zarr")
