"""Deciles from histograms, linear within the bins."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import loop


def deciles(histogram: np.ndarray, percents: np.ndarray, out: np.ndarray) -> None:
    """Write percentiles as shares of the histogram's range.

    Parameters
    ----------
    histogram : (N, bins) int32
    percents : (D,) int64
        Ascending.
    out : (N, D) float64
    """
    if is_device_array(histogram):
        from gnnseg.kernels.cuda import deciles as gpu

        gpu.deciles(histogram, percents, out)
        return
    _write(histogram, percents, out)


@loop
def _write(histogram, percents, out):
    bins = histogram.shape[1]
    for n in range(len(histogram)):
        total = 0
        for value in histogram[n]:
            total += value
        index, upto = 0, np.int64(histogram[n, 0])
        for d in range(percents.size):
            target = np.float64(total) * percents[d] / 100
            while index < bins - 1 and np.float64(upto) < target:
                index += 1
                upto += histogram[n, index]
            inside = np.int64(histogram[n, index])
            before = np.float64(upto - inside)
            out[n, d] = (index + (target - before) / max(inside, 1)) / bins
