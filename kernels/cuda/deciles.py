"""Deciles from histograms, on a GPU; the rule is that of `gnnseg.kernels.deciles`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.arrays import constant
from gnnseg.kernels.cuda.compare import most
from gnnseg.kernels.cuda.launch import per_item


def deciles(histogram: Any, percents: np.ndarray, out: Any) -> None:
    """Write percentiles as shares of the histogram's range; arguments as for the CPU."""
    _write[per_item(out.shape[0])](histogram, constant(percents), out)


@cuda.jit
def _write(histogram, percents, out):
    """A thread writes all percentiles of a region. No product here is added to anything."""
    n, bins = cuda.grid(1), histogram.shape[1]
    if n < out.shape[0]:
        total = 0
        for k in range(bins):
            total += int(histogram[n, k])
        index, upto = 0, int(histogram[n, 0])
        for d in range(percents.size):
            target = np.float64(total) * percents[d] / 100
            while index < bins - 1 and np.float64(upto) < target:
                index += 1
                upto += int(histogram[n, index])
            inside = int(histogram[n, index])
            before = np.float64(upto - inside)
            out[n, d] = (index + (target - before) / most(inside, 1)) / bins
