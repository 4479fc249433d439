"""The graph of a volume against NumPy on the ids of its voxels, and in blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gnnseg
from gnnseg.errors import InputError, StateError, UsageError
from gnnseg.features import NUM_BINS, plane_table, planes
from gnnseg.graph import VOLUME_EDGE_NAMES
from gnnseg.graph.stage import SUM_HALO
from gnnseg.graph.volume import add_up_volume
from gnnseg.kernels.region_sums import GEOMETRY
from gnnseg.kernels.slots import LAYER, MASKED
from gnnseg.superpixels import Box
from gnnseg.superpixels.reader import MARGIN
from gnnseg.superpixels.volume import box_cells, read_volume


def stack(array):
    return gnnseg.open_image(array, axes="ZYX" if array.ndim == 3 else "ZCYX")


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def homes_of(slots, steps):
    """The home (z, y, x) of each voxel, (Z, Y, X, 3)."""
    wide = slots.astype(int)
    own = np.stack(np.indices(slots.shape), axis=-1) // steps
    return own + np.stack([wide // LAYER, wide % LAYER // 5, wide % 5], axis=-1) - 2


def faces(slots, homes, grey, weights):
    """Homes of both voxels (n, 3), grey difference and weight of each face, in both directions."""
    known, found = slots != MASKED, []
    for axis in range(3):
        here, there = (
            tuple(part if k == axis else slice(None) for k in range(3))
            for part in (slice(None, -1), slice(1, None))
        )
        kept = known[here] & known[there] & (homes[here] != homes[there]).any(-1)
        size = np.full(kept.sum(), weights[1] if axis == 0 else weights[0])
        difference = np.abs(grey[here] - grey[there])[kept]
        for a, b in ((here, there), (there, here)):
            found.append((homes[a][kept], homes[b][kept], difference, size))
    return [np.concatenate(column) for column in zip(*found, strict=True)]


def side_tables(slots, steps, grey, weights):
    """Contact, contrast and boundary of every home of the volume."""
    cells = -(-np.array(slots.shape) // steps)
    target, source, difference, size = faces(slots, homes_of(slots, steps), grey, weights)
    inside = ((target >= 0) & (target < cells)).all(-1)
    near = inside & (np.abs(source - target).max(-1, initial=0) <= 2)
    boundary = np.zeros(cells, int)
    np.add.at(boundary, tuple(target[inside].T), size[inside])
    contact, contrast = np.zeros((2, *cells, 125), int)
    index = (*target[near].T, (source - target + 2)[near] @ [25, 5, 1])
    np.add.at(contact, index, size[near])
    np.add.at(contrast, index, (size * difference)[near])
    return contact, contrast, boundary


def place_sums(slots, steps):
    """Count, y, x, yy, yx, xx and z, zz, zy, zx of every home, from its cell's corner."""
    cells, homes = -(-np.array(slots.shape) // steps), homes_of(slots, steps)
    kept = (slots != MASKED) & ((homes >= 0) & (homes < cells)).all(-1)
    ids = np.ravel_multi_index(tuple(homes[kept].T), cells)
    places = np.stack(np.indices(slots.shape), axis=-1) - homes * steps
    z, y, x = places[kept].T
    terms = [np.ones_like(y), y, x, y * y, y * x, x * x, z, z * z, z * y, z * x]
    sums = [np.bincount(ids, term, cells.prod()).reshape(cells) for term in terms]
    return np.stack(sums[:GEOMETRY], -1), np.stack(sums[GEOMETRY:], -1), ids, kept


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_sums_of_any_slots_are_bincount(data):
    """Slots as random as can be, of all 125 homes around a cell."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = tuple(data.draw(st.integers(1, most)) for most in (9, 14, 14))
    step, deep = data.draw(st.integers(2, 6)), data.draw(st.sampled_from([1.0, 0.5, 0.3, 3.0]))
    volume = read_volume(stack(noise(0, *shape)), step, None, (1 / deep, 1, 1), None)
    steps = np.array(volume.lattice.steps)
    slots = rng.integers(0, data.draw(st.sampled_from([125, 63])), shape).astype(np.uint8)
    slots[rng.random(shape) < data.draw(st.sampled_from([0.0, 0.1]))] = MASKED
    totals = add_up_volume(volume, slots, volume.lattice.cells)
    geometry, depth, ids, kept = place_sums(slots, steps)
    np.testing.assert_array_equal(totals.sums[..., :GEOMETRY], geometry)
    np.testing.assert_array_equal(totals.depth.sums, depth)
    read = [volume.planes.read(volume.lattice.plane.bounds, z) for z in range(shape[0])]
    inner = slice(MARGIN, -MARGIN)
    grey = np.stack([pixels.grey[inner, inner] for pixels in read]).astype(int)
    expected = side_tables(slots, steps, grey, steps[::-2] // np.gcd(*steps[:2]))
    found = totals.contact, totals.contrast, totals.boundary
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    light = np.bincount(ids, grey[kept], volume.lattice.num_cells)
    np.testing.assert_array_equal(totals.sums[..., GEOMETRY].ravel(), light)
    assert totals.sums.shape[-1] == GEOMETRY + 2 * len(plane_table(planes(1, rgb=False)))
    assert totals.histogram.shape[-1] == NUM_BINS
    np.testing.assert_array_equal(totals.histogram[..., :32].sum(-1), geometry[..., 0])


@pytest.fixture(scope="module")
def example():
    """Supervoxels of noise with masked voxels, and their graph."""
    image = noise(1, 11, 47, 53).astype(np.float32)
    image[2:4, 5:20, 7:30] = np.nan
    mask = np.ones(image.shape, np.uint8)
    mask[6:, 20:35, 20:40] = 0
    made = {"step": 6, "spacing": (2, 1, 1), "compactness": 0.3, "mask": stack(mask)}
    regions = gnnseg.supervoxels(stack(image), **made)
    return regions, gnnseg.supervoxel_graph(stack(image), **made)


def test_nodes_are_the_supervoxels(example):
    regions, graph = example
    ids, num = regions.ids(), regions.lattice.num_cells
    assert graph.num_nodes == num == 4 * 8 * 9
    assert [array.dtype for array in (graph.x, graph.edge_index, graph.edge_attr, graph.pos)] == [
        np.float32, np.int64, np.float32, np.float64,
    ]  # fmt: skip
    np.testing.assert_array_equal(graph.area, np.bincount(ids[ids >= 0], minlength=num))
    assert (graph.area == 0).any()
    for node in np.flatnonzero(graph.area):
        np.testing.assert_allclose(graph.pos[node], np.argwhere(ids == node).mean(axis=0))
    painted = gnnseg.paint(regions, graph.area)
    sizes = np.bincount(ids[ids >= 0], minlength=num)
    np.testing.assert_array_equal(painted[ids >= 0], sizes[ids[ids >= 0]])
    assert (painted[ids < 0] == np.iinfo(np.int64).max).all()


def test_shape_along_z(example):
    regions, graph = example
    ids, steps = regions.ids(), np.array(regions.lattice.steps)
    named = dict(zip(graph.feature_names, graph.x.T, strict=True))
    for node in np.flatnonzero(graph.area)[::7]:
        at = np.argwhere(ids == node)
        home = np.array(np.unravel_index(node, regions.lattice.shape))
        away = (at - home * steps - (steps - 1) / 2) / steps
        expected = {
            "area": len(at) / steps.prod(),
            "shift_z": away[:, 0].mean(),
            "spread_z": away[:, 0].std(),
            "slant": np.cov(away[:, 1:].T, bias=True)[0, 1],
            "slant_zy": np.cov(away[:, :2].T, bias=True)[0, 1],
            "slant_zx": np.cov(away[:, ::2].T, bias=True)[0, 1],
            "place_z": at[:, 0].mean() / ids.shape[0],
            "place_x": at[:, 2].mean() / ids.shape[2],
        }
        for name, value in expected.items():
            np.testing.assert_allclose(named[name][node], value, atol=1e-5, err_msg=name)


def test_edges_join_the_supervoxels_that_touch(example):
    regions, graph = example
    ids, shape, steps = regions.ids(), regions.lattice.shape, np.array(regions.lattice.steps)
    within, along = 2, 1
    size = np.zeros((graph.num_nodes, graph.num_nodes))
    for axis, weight in enumerate((along, within, within)):
        a, b = np.moveaxis(ids, axis, 0)[:-1], np.moveaxis(ids, axis, 0)[1:]
        kept = (a != b) & (a >= 0) & (b >= 0)
        np.add.at(size, (a[kept], b[kept]), weight)
        np.add.at(size, (b[kept], a[kept]), weight)
    homes = np.stack(np.unravel_index(np.arange(graph.num_nodes), shape), axis=-1)
    size[np.abs(homes[:, None] - homes).max(-1) > 2] = 0
    source, target = graph.edge_index
    assert (np.diff(target * graph.num_nodes + source) > 0).all()
    np.testing.assert_array_equal(np.stack([target, source]), np.stack(np.nonzero(size)))
    attr = dict(zip(VOLUME_EDGE_NAMES, graph.edge_attr.T, strict=True))
    shares = size[target, source] / size.sum(axis=1)[target]
    np.testing.assert_allclose(attr["contact"], shares, rtol=1e-6)
    way = (graph.pos[source] - graph.pos[target]) / steps
    np.testing.assert_allclose(graph.edge_attr[:, :3], way, rtol=1e-6)
    np.testing.assert_allclose(attr["distance"], np.linalg.norm(way, axis=1), rtol=1e-6)
    ratio = graph.area[source] / (graph.area[source] + graph.area[target])
    np.testing.assert_allclose(attr["area_ratio"], ratio, rtol=1e-6)
    for array in (graph.x, graph.edge_attr, graph.pos):
        assert np.isfinite(array).all()


def test_to_data_is_valid(example):
    _, graph = example
    data = graph.to_data()
    data.validate(raise_on_error=True)
    assert data.edge_attr.shape == (graph.num_edges, 7)
    assert data.pos.shape == (graph.num_nodes, 3)


def same(graph, other):
    for name in ("x", "edge_index", "edge_attr", "pos", "area"):
        np.testing.assert_array_equal(getattr(graph, name), getattr(other, name), err_msg=name)


def test_it_is_saved_and_opened_again(example, tmp_path):
    _, graph = example
    path = tmp_path / "graph.zarr"
    graph.save(path)
    again = gnnseg.RegionGraph.open(path)
    same(again, graph)
    assert again.feature_names == graph.feature_names
    assert again.table.cell == (3, 6, 6)
    with pytest.raises(UsageError, match="planes 0 to 0"):
        gnnseg.RegionGraph.open(path, plane=1)


@pytest.mark.parametrize(
    "wrong",
    [{"step_z": None}, {"step_z": 0}, {"step": -3}, {"contrast_top": 0}, {"kind": "region_graph"}],
)
def test_a_graph_with_damaged_metadata_is_refused(example, tmp_path, wrong):
    import zarr

    path = tmp_path / "graph.zarr"
    example[1].save(path)
    group = zarr.open_group(path)
    group.attrs["gnnseg"] = {**group.attrs["gnnseg"], **wrong}
    with pytest.raises(InputError, match="no readable region graph"):
        gnnseg.RegionGraph.open(path)


def test_a_graph_that_is_not_surely_complete_is_refused(example, tmp_path):
    import zarr

    path = tmp_path / "graph.zarr"
    example[1].save(path)
    group = zarr.open_group(path)
    group.attrs["gnnseg"] = {**group.attrs["gnnseg"], "complete": "yes"}
    with pytest.raises(StateError, match="incomplete"):
        gnnseg.RegionGraph.open(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_a_volume_of_one_plane_has_the_graph_of_the_plane(dtype):
    pixels = (noise(2, 50, 64).astype(np.float64) * 7 - 500 * (dtype != np.uint16)).astype(dtype)
    made = gnnseg.superpixels(gnnseg.open_image(pixels, axes="YX"), step=7).settings
    plane = gnnseg.region_graph(gnnseg.open_image(pixels, axes="YX"), settings=made)
    graph = gnnseg.supervoxel_graph(stack(pixels[None]), step=7, spacing=(7, 1, 1))
    np.testing.assert_array_equal(graph.edge_index, plane.edge_index)
    np.testing.assert_array_equal(graph.pos[:, 1:], plane.pos)
    assert not graph.pos[:, 0].any()
    np.testing.assert_array_equal(graph.edge_attr[:, 1:], plane.edge_attr)
    assert not graph.edge_attr[:, 0].any()
    named = dict(zip(graph.feature_names, graph.x.T, strict=True))
    kept = np.stack([named.pop(name) for name in plane.feature_names], axis=1)
    np.testing.assert_array_equal(kept, plane.x)
    assert set(named) == {"shift_z", "spread_z", "slant_zy", "slant_zx", "place_z"}
    assert not np.stack(list(named.values())).any()


def wrong_regions(halo):
    """How many regions differ when sums look at so many layers of cells around their homes."""
    image = stack(noise(6, 24, 16, 15))
    volume = read_volume(image, 3, None, (1.5, 1, 1), None)
    lattice, rng = volume.lattice, np.random.default_rng(0)
    slots = rng.integers(0, 125, image_shape(lattice)).astype(np.uint8)
    whole = add_up_volume(volume, slots, lattice.cells)
    wrong = 0
    for z in range(halo, lattice.shape[0] - halo):
        near = Box(z - halo, z + halo + 1, lattice.plane.cells)
        part = add_up_volume(volume, slots[lattice.voxels(near).slices], near)
        for name in ("sums", "histogram", "contact", "contrast", "boundary"):
            wrong += (getattr(part, name)[halo] != getattr(whole, name)[z]).sum()
        wrong += (part.depth.sums[halo] != whole.depth.sums[z]).sum()
    return wrong


def image_shape(lattice):
    return lattice.voxels(lattice.cells).shape


def test_sums_need_three_layers_of_cells():
    assert wrong_regions(SUM_HALO) == 0
    assert wrong_regions(SUM_HALO - 1) > 0


CASES = {
    "along z": ((70, 21, 23), {"step": 3, "n_iter": 1}, (6, 10**6), [0]),
    "flat cells": ((31, 3, 68, 5), {"step": 3, "spacing": (3, 1, 1), "n_iter": 1}, (4, 6), [0, 1]),
    "in planes": ((5, 106, 110), {"step": 4, "spacing": (2, 1, 1), "n_iter": 1}, 17, [1, 2]),
}
"""Shapes, settings, blocks, and the axes along which blocks see neither end."""


def whole_lattice(image, made):
    """The lattice of a volume, and the cells that a block of its graph depends on around it."""
    rounds = {"n_iter": made["n_iter"]}
    volume = read_volume(image, made["step"], None, made.get("spacing"), None, **rounds)
    settings = volume.planes.settings
    more = settings.slic_halo + SUM_HALO
    along_z, across = volume.lattice.piece_halo(settings)
    return volume.lattice, (along_z + more, across + more)


@pytest.mark.parametrize("case", CASES)
def test_any_block_gives_the_same(case):
    """Noise and masked voxels, in blocks smaller than the volume less two halos."""
    shape, made, block, cut = CASES[case]
    mask = np.random.default_rng(4).random((shape[0], *shape[-2:])) < 0.97
    made = {"compactness": 0.05, **made, "mask": stack(mask.astype(np.uint8))}
    image = stack(noise(3, *shape))
    whole = gnnseg.supervoxel_graph(image, **made, block=10**6, workers=1)
    lattice, halo = whole_lattice(image, made)
    blocks = lattice.blocks(box_cells(lattice, block, 1), halo)
    inner = [np.all(block.read.open_sides(lattice.cells), axis=1)[cut].all() for block in blocks]
    assert any(inner), "the volume is too small for this halo"
    for workers in (1, 2):
        parts = gnnseg.supervoxel_graph(image, **made, block=block, workers=workers)
        same(parts, whole)
        for name, array in whole.table.arrays().items():
            np.testing.assert_array_equal(getattr(parts.table, name), array, err_msg=name)


def test_wrong_tables_are_refused(example):
    _, graph = example
    with pytest.raises(UsageError, match="must cover"):
        replace(graph.table, area=graph.table.area[1:])
