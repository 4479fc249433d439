"""Features and centroids on a GPU: the bits of the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numba import config, cuda

from gnnseg.features import NUM_BINS, Depth, derive, feature_names, planes
from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.centroids import centroids
from gnnseg.kernels.region_sums import GEOMETRY

NUMBER = 20 if config.ENABLE_CUDASIM else 2000
"""Regions; on a GPU, for several blocks of threads."""


def draw_sums(rng, num_planes):
    """Sums of places and planes that pixels of a region could have, and some empty regions."""
    sums = np.zeros((NUMBER, GEOMETRY + 2 * num_planes), np.int64)
    for row in sums[3:]:
        y, x, *values = rng.integers(0, 1021, (2 + num_planes, rng.integers(1, 9)))
        places = [y, x, y * y, y * x, x * x]
        squares = [part for value in values for part in (value, value * value)]
        row[:] = len(y), *(part.sum() for part in (*places, *squares))
    return sums


@pytest.mark.parametrize("axes", [2, 3])
def test_features_are_those_of_the_cpu(axes):
    rng, names = np.random.default_rng(axes), feature_names(3, rgb=True, volume=axes == 3)
    sums = draw_sums(rng, len(planes(3, rgb=True)))
    tables = (
        sums,
        rng.integers(0, 9, (NUMBER, NUM_BINS)).astype(np.int32),
        rng.integers(0, 99, NUMBER).astype(np.int32),
        rng.integers(0, 99999, (NUMBER, 5**axes)).astype(np.int32),
        rng.uniform(0, 400, (NUMBER, axes)),
    )
    out = np.full((NUMBER, len(names)), np.nan, np.float32)
    there = cuda.to_device(out)
    about = {"step": 7, "top": 1020, "extent": (30, 611, 457)[-axes:]}
    depth = Depth(rng.integers(0, 99999, (NUMBER, 4)), 3, 16) if axes == 3 else None
    moved = depth and replace(depth, sums=cuda.to_device(depth.sums))
    derive(*map(cuda.to_device, tables), out=there, depth=moved, **about)
    derive(*tables, out=out, depth=depth, **about)
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(there.copy_to_host(), out)


@pytest.mark.parametrize(("shape", "cell"), [((3, 4), 7), ((2, 3, 2), (3, 8, 8))])
def test_centroids_are_those_of_the_cpu(shape, cell):
    rng = np.random.default_rng(len(shape))
    area, moment = rng.integers(0, 4, shape), rng.integers(-300, 3000, (*shape, len(shape)))
    first = (5, 1, 9)[: len(shape)]
    there = centroids(cuda.to_device(area), cuda.to_device(moment), first, cell)
    assert is_device_array(there)
    assert (area == 0).any()
    np.testing.assert_array_equal(there.copy_to_host(), centroids(area, moment, first, cell))
