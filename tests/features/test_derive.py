"""Features against NumPy on the pixels of each region."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.features import NUM_BINS, RINGS, derive, feature_names, plane_table, planes
from gnnseg.features.planes import DISTANCES
from gnnseg.graph import RegionGraph, region_graph, whole_table
from gnnseg.io import open_image
from gnnseg.kernels.colour import TOP
from gnnseg.kernels.patterns import PATTERNS
from gnnseg.kernels.region_sums import GEOMETRY, GREY_BINS
from gnnseg.superpixels import SlicSettings, make_reader, superpixels
from gnnseg.superpixels.reader import MARGIN

STEP = 8


@pytest.fixture(scope="module")
def example():
    """An image, the ids of its pixels, its working channels, and its named features."""
    rng = np.random.default_rng(0)
    image = open_image(rng.integers(0, 256, (50, 61, 3)).astype(np.uint8))
    settings = SlicSettings(step=STEP, n_iter=2)
    reader = make_reader(image, settings=settings)
    pixels = reader.read(reader.lattice.bounds)
    graph = region_graph(image, settings=settings)
    ids = superpixels(image, step=STEP, n_iter=2).ids()
    return ids, pixels, dict(zip(graph.feature_names, graph.x.T, strict=True)), reader.lattice


def inner(values):
    """Without the margin."""
    return values[MARGIN:-MARGIN, MARGIN:-MARGIN]


def by_region(ids, values, statistic, num):
    return np.array([statistic(values[ids == n]) if (ids == n).any() else 0 for n in range(num)])


def test_means_and_deviations(example):
    ids, pixels, features, lattice = example
    for channel, name in enumerate(("light", "red_green", "yellow_blue")):
        values = inner(pixels.work[channel]) / TOP
        for statistic, prefix in ((np.mean, "mean_"), (np.std, "std_")):
            expected = by_region(ids, values, statistic, lattice.num_cells)
            np.testing.assert_allclose(features[prefix + name], expected, atol=1e-5)


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_deciles_are_right_to_a_bin(example, percent):
    ids, pixels, features, lattice = example

    def decile(values):
        return np.percentile(values, percent, method="inverted_cdf")

    expected = by_region(ids, inner(pixels.work[0]) / TOP, decile, lattice.num_cells)
    assert np.abs(features[f"decile_{percent}"] - expected).max() <= 1 / GREY_BINS + 1e-3


def test_shape_and_place(example):
    ids, _, features, lattice = example
    y, x = np.indices(ids.shape)
    num = lattice.num_cells
    middle = np.arange(num) // lattice.shape[1] * STEP + (STEP - 1) / 2
    middle_x = np.arange(num) % lattice.shape[1] * STEP + (STEP - 1) / 2
    expected = {
        "area": by_region(ids, np.ones(ids.shape), np.sum, num) / STEP**2,
        "shift_y": (by_region(ids, y, np.mean, num) - middle) / STEP,
        "shift_x": (by_region(ids, x, np.mean, num) - middle_x) / STEP,
        "spread_y": by_region(ids, y, np.std, num) / STEP,
        "spread_x": by_region(ids, x, np.std, num) / STEP,
        "place_y": by_region(ids, y, np.mean, num) / ids.shape[0],
        "place_x": by_region(ids, x, np.mean, num) / ids.shape[1],
    }
    occupied = expected["area"] > 0
    for name, values in expected.items():
        np.testing.assert_allclose(features[name], np.where(occupied, values, 0), atol=1e-5)
    slant = [
        np.cov(y[ids == n], x[ids == n], bias=True)[0, 1] / STEP**2 if (ids == n).any() else 0
        for n in range(num)
    ]
    np.testing.assert_allclose(features["slant"], slant, atol=1e-5)


def test_patterns_are_shares_of_the_pixels(example):
    _, _, features, _ = example
    shares = np.stack([features[f"pattern_2_{k}"] for k in range(PATTERNS)])
    np.testing.assert_allclose(shares.sum(axis=0), features["area"] > 0, atol=1e-5)
    assert (shares > 0).sum() > shares.shape[1]


def textures(grey, distance):
    """Responses at each pixel inside the margin, by name."""

    def at(down, right):
        y, x = MARGIN + down * distance, MARGIN + right * distance
        height, width = (size - 2 * MARGIN for size in grey.shape)
        return grey[y : y + height, x : x + width].astype(int)

    ring = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1)
    return {
        "along_x": np.abs(at(0, 1) - at(0, -1)),
        "along_y": np.abs(at(1, 0) - at(-1, 0)),
        "falling": np.abs(at(1, 1) - at(-1, -1)),
        "rising": np.abs(at(1, -1) - at(-1, 1)),
        "laplacian": np.abs(ring - 4 * at(0, 0)) // 4,
    }


@pytest.mark.parametrize("distance", DISTANCES)
def test_textures_have_means_and_deviations(example, distance):
    ids, pixels, features, lattice = example
    for name, values in textures(pixels.grey, distance).items():
        for statistic, prefix in ((np.mean, "mean_"), (np.std, "std_")):
            expected = by_region(ids, values / TOP, statistic, lattice.num_cells)
            found = features[f"{prefix}{name}_{distance}"]
            np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)


def test_boundary_and_contrast_are_of_the_sides(example):
    """All sides count, and differences across those to homes within two cells."""
    ids, pixels, features, lattice = example
    grey = inner(pixels.grey).astype(int)
    homes = np.stack(np.unravel_index(ids, lattice.shape), -1)
    sides, differences, far = np.zeros(lattice.num_cells), np.zeros(lattice.num_cells), 0
    for a, b in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        other, away = ids[a] != ids[b], np.abs(homes[a] - homes[b]).max(-1)
        near = other & (away <= 2)
        for side in (a, b):
            np.add.at(sides, ids[side][other], 1)
            np.add.at(differences, ids[side][near], np.abs(grey[a] - grey[b])[near] / TOP)
        far += np.count_nonzero(away > 2)
    assert far > 0
    np.testing.assert_allclose(features["boundary"], sides / (4 * STEP), atol=1e-5)
    expected = differences / np.maximum(sides, 1)
    np.testing.assert_allclose(features["contrast"], expected, atol=1e-5)


@pytest.mark.parametrize(("channels", "rgb"), [(1, False), (3, True), (5, False)])
def test_names_and_columns_agree(channels, rgb):
    names = feature_names(channels, rgb=rgb)
    rows = planes(channels, rgb=rgb)
    assert len(set(names)) == len(names)
    assert plane_table(rows).shape == (len(rows), 2)
    sums = np.zeros((4, GEOMETRY + 2 * len(rows)), np.int64)
    sums[1:, 0] = 9
    made = derived(len(names), sums, np.zeros((4, NUM_BINS), np.int32), *sides(4), place(4))
    assert (made[0] == 0).all()
    places = [names.index(name) for name in ("place_y", "place_x")]
    assert places == [len(names) - 2, len(names) - 1]
    np.testing.assert_array_equal(made[1:, places], np.float32(place(4)[1:] / SIZE))


SIZE = 700, 900
"""Of the image that the regions below are said to be of."""


def sides(num):
    """Boundary and contrast of regions that touch none."""
    return np.zeros(num, np.int32), np.zeros((num, 25), np.int32)


def place(num):
    return np.random.default_rng(0).uniform(0, 700, (num, 2))


def derived(columns, *tables):
    out = np.full((len(tables[0]), columns), np.nan, np.float32)
    derive(*tables, step=STEP, top=800, extent=SIZE, out=out)
    return out


def test_deciles_of_a_known_histogram():
    histogram = np.zeros((1, NUM_BINS), np.int32)
    histogram[0, 3] = 100
    rows = planes(1, rgb=False)
    sums = np.zeros((1, GEOMETRY + 2 * len(rows)), np.int64)
    sums[0, 0] = 100
    names = feature_names(1, rgb=False)
    x = derived(len(names), sums, histogram, *sides(1), place(1))
    got = [x[0, names.index(f"decile_{p}")] for p in range(10, 100, 10)]
    np.testing.assert_allclose(got, (3 + np.arange(1, 10) / 10) / GREY_BINS, rtol=1e-6)


def test_features_do_not_depend_on_the_other_regions():
    """The same region alone gives the same bits."""
    image = open_image(np.random.default_rng(1).integers(0, 256, (64, 64)).astype(np.uint8))
    reader = make_reader(image, settings=SlicSettings(step=STEP, n_iter=1))
    _, table = whole_table(reader)
    graph = RegionGraph.from_table(table)
    assert np.isfinite(graph.x).all()
    rng = np.random.default_rng(0)
    rows = planes(1, rgb=False)
    sums = rng.integers(0, 10**5, (50, GEOMETRY + 2 * len(rows)))
    histogram = rng.integers(0, 9, (50, NUM_BINS)).astype(np.int32)
    boundary, contrast = (rng.integers(1, 99, (50, 25)).astype(np.int32) for _ in range(2))
    tables = sums, histogram, boundary[:, 0], contrast, place(50)
    columns = len(feature_names(1, rgb=False))
    whole = derived(columns, *tables)
    assert np.isfinite(whole).all()
    for n in range(50):
        np.testing.assert_array_equal(
            derived(columns, *(t[n : n + 1] for t in tables))[0], whole[n]
        )


def test_the_margin_of_a_block_holds_the_filters():
    assert max(*RINGS, *DISTANCES) <= MARGIN
