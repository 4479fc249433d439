"""Refinement on a GPU: the bits of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config, cuda

from gnnseg.kernels.cuda import refine as gpu
from gnnseg.kernels.refine import LEVELS, PARTS, Homes, border_band, mix
from gnnseg.kernels.slots import MASKED

TIMES = 1 if config.ENABLE_CUDASIM else 12
"""On a GPU, images of several blocks of threads."""
STEP, CELLS, SHAPE = 4, (8 * TIMES, 8 * TIMES), (11 * TIMES, 14 * TIMES)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("reach", [1, 3])
def test_the_band_is_that_of_the_cpu(dtype, reach, monkeypatch):
    rng = np.random.default_rng(reach)
    labels = rng.integers(0, 2, (3 * TIMES, 4 * TIMES)).repeat(7, 0).repeat(6, 1).astype(dtype)
    labels[rng.random(labels.shape) < 0.1] = 255
    out, calls = np.empty(labels.shape, bool), []
    monkeypatch.setattr(gpu, "border_band", counted(gpu.border_band, calls))
    there = cuda.to_device(out)
    border_band(cuda.to_device(labels), reach, 255, there)
    border_band(labels, reach, 255, out)
    np.testing.assert_array_equal(there.copy_to_host(), out)
    assert (len(calls), out.any(), out.all()) == (1, True, False)


def counted(function, calls):
    def call(*arguments):
        calls.append(1)
        return function(*arguments)

    return call


@pytest.mark.parametrize("channels", [1, 3])
def test_mixed_logits_are_those_of_the_cpu(channels):
    rng = np.random.default_rng(channels)
    homes = Homes(
        logits=rng.integers(-20 * LEVELS, 1, (*CELLS, 3)).astype(np.int32),
        colour=rng.integers(0, 16 * 1020, (*CELLS, channels)).astype(np.int32),
        precision=rng.integers(1, 10**5, (*CELLS, channels)),
        centre=rng.integers(0, PARTS * STEP, (*CELLS, 2)).astype(np.int32),
        occupied=rng.random(CELLS) < 0.9,
    )
    work = rng.integers(0, 1021, (channels, SHAPE[0] + 2, SHAPE[1] + 2)).astype(np.int16)
    slots = rng.choice(np.array([0, 6, 12, 18, 24, MASKED], np.uint8), SHAPE)
    y, x = np.indices(SHAPE)
    known = slots != MASKED
    own = y // STEP + slots // 5, x // STEP + slots % 5
    homes.occupied[own[0][known], own[1][known]] = True
    places = np.argwhere(known).astype(np.int32)
    out = np.empty((len(places), 3), np.float32)
    there = cuda.to_device(out)
    on_gpu = Homes(*map(cuda.to_device, homes))
    rest = cuda.to_device(work), (1, 1), cuda.to_device(places), 10**7, there
    mix(cuda.to_device(slots), STEP, on_gpu, (2, 2), *rest)
    mix(slots, STEP, homes, (2, 2), work, (1, 1), places, 10**7, out)
    np.testing.assert_array_equal(there.copy_to_host(), out)
