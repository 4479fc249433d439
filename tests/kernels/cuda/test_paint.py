"""Painting on a GPU: the pixels of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config, cuda

from gnnseg.kernels.paint import paint
from gnnseg.kernels.slots import SLOTS

TIMES = 1 if config.ENABLE_CUDASIM else 12
"""On a GPU, images of several blocks of threads."""


@pytest.mark.parametrize("first", [(0, 0), (-1, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_it_paints_what_the_cpu_paints(dtype, first):
    rng = np.random.default_rng(0)
    slots = rng.integers(0, 256, (9 * TIMES, 14 * TIMES)).astype(np.uint8)
    slots[rng.random(slots.shape) < 0.5] %= SLOTS
    values = rng.integers(0, 200, (3 * TIMES, 4 * TIMES)).astype(dtype)
    fill = dtype(201)
    out = np.empty(slots.shape, dtype)
    there = cuda.to_device(out)
    paint(cuda.to_device(slots), 4, cuda.to_device(values), *first, fill, there)
    paint(slots, 4, values, *first, fill, out)
    np.testing.assert_array_equal(there.copy_to_host(), out)
