"""Features from integer sums: once per region, in float64 with + - x / and square roots only."""

from __future__ import annotations

import numpy as np

from gnnseg.features.planes import Plane, planes
from gnnseg.kernels.region_sums import GEOMETRY, HISTOGRAM_BINS

DECILES = tuple(range(10, 100, 10))
_SHAPE = ("area", "shift_y", "shift_x", "spread_y", "spread_x", "slant")
_BORDER = ("boundary", "contrast")
_PLACE = ("place_y", "place_x")


def feature_names(num_channels: int, *, lab: bool) -> tuple[str, ...]:
    """Names of the columns that `derive` gives, in order."""
    names = [plane.name for plane in planes(num_channels, lab=lab)]
    return (
        *(f"mean_{name}" for name in names),
        *(f"std_{name}" for name in names),
        *(f"decile_{percent}" for percent in DECILES),
        *_SHAPE,
        *_BORDER,
        *_PLACE,
    )


def derive(
    sums: np.ndarray,
    histogram: np.ndarray,
    boundary: np.ndarray,
    contrast: np.ndarray,
    place: np.ndarray,
    *,
    rows: list[Plane],
    step: int,
    unit: int,
) -> np.ndarray:
    """Features of regions: (N, F) float32, zero for empty regions.

    Parameters
    ----------
    sums, histogram
        (N, 6 + 2 P) and (N, 32) from `gnnseg.kernels.region_sums`.
    boundary, contrast : (N,)
        Pixel sides shared with other regions, and the grey differences summed over them.
    place : (N, 2) float64
        Centroid (y, x) as a share of the image's height and width.
    rows : list of Plane
    step : int
        Cell size in pixels.
    unit : int
        Working units to a hundredth of the scale: means and deviations are given as shares.

    Notes
    -----
    `mean_*`, `std_*`, `decile_*` and `contrast` are shares of the grey scale; `area` is in cells,
    `shift_*` (from the middle of the home cell), `spread_*` and `boundary` in cell sides, `slant`
    is the covariance of y and x in cells.
    """
    sums = sums.astype(np.float64)
    area = sums[:, :1]
    count = np.maximum(area, 1)
    scale = 1.0 / (100 * unit)
    num = len(rows)
    mean = sums[:, GEOMETRY : GEOMETRY + num] / count
    square = sums[:, GEOMETRY + num :] / count
    std = np.sqrt(np.maximum(square - mean * mean, 0))
    columns = [
        mean * scale,
        std * scale,
        _deciles(histogram),
        _shape(sums, count, step),
        (boundary / (4.0 * step))[:, None],
        (contrast / np.maximum(boundary, 1) * scale)[:, None],
        place,
    ]
    return np.where(area > 0, np.concatenate(columns, axis=1), 0).astype(np.float32)


def _shape(sums: np.ndarray, count: np.ndarray, step: int) -> np.ndarray:
    y, x = sums[:, 1:2] / count, sums[:, 2:3] / count
    middle = (step - 1) / 2
    var_y = np.maximum(sums[:, 3:4] / count - y * y, 0)
    var_x = np.maximum(sums[:, 5:6] / count - x * x, 0)
    covariance = sums[:, 4:5] / count - y * x
    return np.concatenate(
        [
            sums[:, :1] / (step * step),
            (y - middle) / step,
            (x - middle) / step,
            np.sqrt(var_y) / step,
            np.sqrt(var_x) / step,
            covariance / (step * step),
        ],
        axis=1,
    )


def _deciles(histogram: np.ndarray) -> np.ndarray:
    """Deciles of grey, (N, 9) in 0 .. 1, linear within the bins."""
    cumulative = np.cumsum(histogram.astype(np.float64), axis=1)
    total = cumulative[:, -1]
    columns = []
    every = np.arange(len(histogram))
    for percent in DECILES:
        target = total * percent / 100
        index = (cumulative < target[:, None]).sum(axis=1).clip(max=HISTOGRAM_BINS - 1)
        inside = np.maximum(histogram[every, index], 1)
        before = cumulative[every, index] - histogram[every, index]
        columns.append((index + (target - before) / inside) / HISTOGRAM_BINS)
    return np.stack(columns, axis=1)
