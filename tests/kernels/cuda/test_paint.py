"""Painting on a GPU: the pixels of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda

from gnnseg.kernels.paint import paint
from gnnseg.kernels.slots import MASKED


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_it_paints_what_the_cpu_paints(dtype):
    rng = np.random.default_rng(0)
    slots = rng.integers(0, 25, (9, 14)).astype(np.uint8)
    slots[rng.random(slots.shape) < 0.1] = MASKED
    values = rng.integers(0, 200, (3, 4)).astype(dtype)
    fill = dtype(201)
    out = np.empty(slots.shape, dtype)
    there = cuda.to_device(out)
    paint(cuda.to_device(slots), 4, cuda.to_device(values), 0, 0, fill, there)
    paint(slots, 4, values, 0, 0, fill, out)
    np.testing.assert_array_equal(there.copy_to_host(), out)
