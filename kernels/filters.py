"""What a pixel looks like beside those around it: filters of nine by nine pixels, at some places.

Sums are of integers, and a pixel's values depend on its own window alone, so on no tiling.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import loop, part

REACH = 4
"""Pixels to each side that are looked at."""
SIDE = 2 * REACH + 1
GREY_FILTERS = 11
"""Of the sum of the channels: itself; less the mean of 3, 5 and 9 pixels on a side; slope and both
curvatures, of three pixels and of nine; standard deviation of nine."""


def num_filters(channels: int) -> int:
    """How many values `filter_pixels` gives.

    >>> num_filters(1), num_filters(3)
    (11, 14)
    """
    return GREY_FILTERS + (channels if channels > 1 else 0)


def filter_pixels(
    work: np.ndarray, corner: tuple[int, int], places: np.ndarray, top: int, out: np.ndarray
) -> None:
    """Filter the surroundings of some pixels.

    Parameters
    ----------
    work : (C, H, W) int16
        Working channels.
    corner : (y, x)
        Where in `work` the pixel (0, 0) lies; every place is `REACH` pixels or more from its edges.
    places : (N, 2) int32
        Pixels (y, x).
    top : int
        Largest value of a channel, which counts as 1.
    out : (N, num_filters(C)) float32
        Filters of grey, and of several channels each less its mean over 9 x 9 pixels.
    """
    _filter_pixels(work, corner[0], corner[1], places, float(top), out)


@loop
def _filter_pixels(work, down, right, places, top, out):
    channels = len(work)
    window = np.empty((SIDE, SIDE), np.int64)
    scale = 1 / (channels * top)
    for n in range(len(places)):
        y, x = down + places[n, 0] - REACH, right + places[n, 1] - REACH
        window[:] = 0
        for c in range(channels):
            total = np.int64(0)
            for row in range(SIDE):
                for column in range(SIDE):
                    value = np.int64(work[c, y + row, x + column])
                    window[row, column] += value
                    total += value
            if channels > 1:
                own = SIDE * SIDE * np.int64(work[c, y + REACH, x + REACH])
                out[n, GREY_FILTERS + c] = (own - total) / (SIDE * SIDE * top)
        _filter_grey(window, scale, out[n])


@part
def _filter_grey(window, scale, out):
    own = window[REACH, REACH]
    out[0] = own * scale
    for k, reach in enumerate((1, 2, REACH)):
        number = (2 * reach + 1) ** 2
        out[1 + k] = (number * own - _box(window, REACH, REACH, reach)) * scale / number
    _shape(window, 1, 0, scale, out[4:7])
    _shape(window, 3, 1, scale / 9, out[7:10])
    mean, square = 0, 0
    for row in range(SIDE):
        for column in range(SIDE):
            mean += window[row, column]
            square += window[row, column] * window[row, column]
    number = SIDE * SIDE
    out[10] = np.sqrt(np.float64(number * square - mean * mean)) * scale / number


@part
def _shape(window, away, reach, scale, out):
    """Slope, and the larger and the smaller curvature, by boxes `away` from the middle."""
    low, high = REACH - away, REACH + away
    above, below = _box(window, low, REACH, reach), _box(window, high, REACH, reach)
    left, right = _box(window, REACH, low, reach), _box(window, REACH, high, reach)
    own = _box(window, REACH, REACH, reach)
    ends = _box(window, low, low, reach) + _box(window, high, high, reach)
    ends -= _box(window, low, high, reach) + _box(window, high, low, reach)
    yy, xx = above + below - 2 * own, left + right - 2 * own
    apart = np.sqrt(np.float64(4 * (yy - xx) ** 2 + ends * ends))
    out[0] = np.sqrt(np.float64((below - above) ** 2 + (right - left) ** 2)) * scale
    out[1] = (2 * (yy + xx) + apart) * scale
    out[2] = (2 * (yy + xx) - apart) * scale


@part
def _box(window, y, x, reach):
    """Sum of the values within `reach` of one."""
    total = np.int64(0)
    for row in range(y - reach, y + reach + 1):
        for column in range(x - reach, x + reach + 1):
            total += window[row, column]
    return total
