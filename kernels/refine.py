"""Labels along borders: what the regions around a pixel say, mixed by colour and distance.

A joint bilateral filter, after Kopf, Cohen, Lischinski, Uyttendaele, "Joint bilateral upsampling",
ACM TOG 26(3), 2007, whose samples are regions. All sums are of integers: the same on every device
and for every tiling.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import loop, part

SOFT = 16
"""Weights of the binomial filter of a pixel's colour, added up."""
PARTS = 16
"""Positions are told in so many parts of a pixel."""
SHIFT = 36
"""Fixed point of squared differences times their precision."""
FINE = 32
"""Steps of an exponent in which the weight falls to 1/e."""
LEVELS = 1024
"""Units of a logit."""
CANDIDATES = 10
"""The homes of 3 x 3 cells, in raster order, and the pixel's own where it is none of these."""
WEIGHTS = np.rint(2.0**20 * np.exp(-np.arange(14 * FINE) / FINE)).astype(np.int64)
"""Of exponents from the least on; beyond, nothing."""
_NOWHERE = np.iinfo(np.int64).max
_ELSEWHERE = -(1 << 40)


class Homes(NamedTuple):
    """What is looked up of each home of a window (rows, columns).

    Attributes
    ----------
    logits : (rows, columns, classes) int32
        In units of 1 / `LEVELS`.
    colour : (rows, columns, C) int32
        Mean working channels, times `SOFT`.
    precision : (rows, columns, C) int64
        What a squared difference from `colour` of a pixel of this cell counts, in steps of
        `FINE`, times 2 ** `SHIFT`.
    centre : (rows, columns, 2) int32
        Centroid from the corner of the home cell, in parts of a pixel.
    occupied : (rows, columns) bool
        Whether a home has pixels.
    """

    logits: np.ndarray
    colour: np.ndarray
    precision: np.ndarray
    centre: np.ndarray
    occupied: np.ndarray


def border_band(labels: np.ndarray, reach: int, unlabelled: int, out: np.ndarray) -> None:
    """Find the labelled pixels within `reach` of a border between two labels.

    Parameters
    ----------
    labels : (H, W) uint8 or uint16
    reach : int
        1: the pixels that touch another label by an edge; each more goes one pixel further, also
        diagonally.
    unlabelled : int
        Value of pixels that have no label; there are no borders around them.
    out : (H, W) bool
    """
    if is_device_array(labels):
        from gnnseg.kernels.cuda import refine as gpu

        gpu.border_band(labels, reach, unlabelled, out)
    else:
        marks = np.zeros(labels.shape, np.bool_)
        _mark_borders(labels, labels.dtype.type(unlabelled), marks)
        _spread(marks, labels, labels.dtype.type(unlabelled), reach - 1, out)


@loop
def _mark_borders(labels, unlabelled, marks):
    height = len(labels)
    for y in range(height):
        _mark_pairs(labels[y, :-1], labels[y, 1:], unlabelled, marks[y, :-1], marks[y, 1:])
        if y + 1 < height:
            _mark_pairs(labels[y], labels[y + 1], unlabelled, marks[y], marks[y + 1])


@part
def _mark_pairs(a, b, unlabelled, mark_a, mark_b):
    for x in range(a.size):
        mark_a[x] |= (a[x] != b[x]) & (a[x] != unlabelled) & (b[x] != unlabelled)
    for x in range(a.size):
        mark_b[x] |= (a[x] != b[x]) & (a[x] != unlabelled) & (b[x] != unlabelled)


@loop
def _spread(marks, labels, unlabelled, reach, out):
    """Flag the labelled pixels that have a mark within a square of `reach` to each side."""
    height, width = marks.shape
    near = np.empty(width, np.bool_)
    for y in range(height):
        near[:] = False
        for row in range(max(0, y - reach), min(height, y + reach + 1)):
            for x in range(width):
                near[x] |= marks[row, x]
        for x in range(width):
            out[y, x] = near[x]
        for k in range(1, min(reach, width - 1) + 1):
            for x in range(width - k):
                out[y, x] |= near[x + k]
            for x in range(k, width):
                out[y, x] |= near[x - k]
        for x in range(width):
            out[y, x] &= labels[y, x] != unlabelled


def mix(
    slots: np.ndarray,
    step: int,
    homes: Homes,
    first: tuple[int, int],
    work: np.ndarray,
    corner: tuple[int, int],
    places: np.ndarray,
    nearness: int,
    out: np.ndarray,
) -> None:
    """Mix the logits of the homes around some pixels.

    A home weighs exp(-d), where d is the squared distance of the pixel's colour (after a 3 x 3
    binomial filter) from the home's, times the precision, and that of its place from the
    home's centre, times `nearness`. Homes are those of the 3 x 3 cells around the pixel, and its
    own.

    Parameters
    ----------
    slots : (H, W) uint8
        The window starts at a corner of a cell.
    step : int
    homes : Homes
    first : (y, x)
        Where the window's first cell lies in `homes`.
    work : (C, H', W') int16
        Working channels.
    corner : (y, x)
        Where in `work` the window begins; at least one pixel from its edges.
    places : (N, 2) int32
        Pixels (y, x) of the window, none of them masked.
    nearness : int
        What a squared distance counts, in steps of `FINE`, times 2 ** `SHIFT`.
    out : (N, classes) float32
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import refine as gpu

        gpu.mix(slots, step, homes, first, work, corner, places, nearness, out)
    else:
        _mix(slots, step, homes, first, work, corner, places, nearness, WEIGHTS, out)


@loop
def _mix(slots, step, homes, first, work, corner, places, nearness, weights, out):
    rows, columns = homes.occupied.shape
    number, channels, classes = rows * columns, len(work), out.shape[1]
    logits, occupied = homes.logits.reshape(number, classes), homes.occupied.reshape(number)
    colour, centre = homes.colour.reshape(number, channels), homes.centre.reshape(number, 2)
    precision = homes.precision.reshape(number, channels)
    where, levels = np.empty((2, CANDIDATES), np.int64)
    soft, totals = np.empty(channels, np.int64), np.empty(classes, np.int64)
    for n in range(len(places)):
        y, x = np.int64(places[n, 0]), np.int64(places[n, 1])
        down, across = y // step, x // step
        cell_y, cell_x = first[0] + down, first[1] + across
        for c in range(channels):
            soft[c] = _soften(work[c], corner[0] + y, corner[1] + x)
        count, least = 0, _NOWHERE
        for k in range(CANDIDATES):
            dy, dx = _offset(k, np.int64(slots[y, x]))
            home_y, home_x = cell_y + dy, cell_x + dx
            home = home_y * columns + home_x
            if 0 <= home_y < rows and 0 <= home_x < columns and occupied[home]:
                far_y = PARTS * (y - (down + dy) * step) - centre[home, 0]
                far_x = PARTS * (x - (across + dx) * step) - centre[home, 1]
                exponent = (far_y * far_y + far_x * far_x) * nearness
                exponent += _difference(soft, colour[home], precision[cell_y * columns + cell_x])
                where[count], levels[count] = home, exponent >> SHIFT
                least = min(least, levels[count])
                count += 1
        _average(logits, where[:count], levels[:count], least, weights, totals, out[n])


@part
def _soften(plane, y, x):
    """A pixel after a 3 x 3 binomial filter, times `SOFT`."""
    total = np.int64(0)
    for row in range(y - 1, y + 2):
        sides = np.int64(plane[row, x - 1]) + np.int64(plane[row, x + 1])
        total += (1 + (row == y)) * (sides + 2 * np.int64(plane[row, x]))
    return total


@part
def _offset(k, slot):
    """How many cells below and right of a pixel's the k-th candidate lies; far off for none."""
    if k < CANDIDATES - 1:
        return k // 3 - 1, k % 3 - 1
    dy, dx = slot // 5 - 2, slot % 5 - 2
    return (dy, dx) if abs(dy) > 1 or abs(dx) > 1 else (_ELSEWHERE, _ELSEWHERE)


@part
def _difference(soft, colour, precision):
    total = np.int64(0)
    for c in range(soft.size):
        away = soft[c] - colour[c]
        total += away * away * precision[c]
    return total


@part
def _average(logits, where, levels, least, weights, totals, out):
    totals[:] = 0
    whole = np.int64(0)
    for k in range(where.size):
        level = levels[k] - least
        if level < weights.size:
            whole += weights[level]
            row = logits[where[k]]
            for c in range(totals.size):
                totals[c] += weights[level] * row[c]
    scale = np.float64(whole) * LEVELS
    for c in range(totals.size):
        out[c] = totals[c] / scale
