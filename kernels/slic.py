"""SLIC pinned to a lattice: every pixel joins one of the 3 x 3 homes around its own cell.

After Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", IEEE
TPAMI 34(11), 2012, with a fixed home for each cluster and sums of absolute differences for
distances: positions are channels like the others, and all arithmetic fits 16-bit integers. Pixels
are compared after a 3 x 3 binomial filter, so that noise does not fray the superpixels.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.assign import assign
from gnnseg.kernels.compiled import inlined, loop
from gnnseg.kernels.ruler import QUARTERS, make_ruler
from gnnseg.kernels.seeds import add_cells, add_rest, take_sample
from gnnseg.kernels.slots import FIRST


def slic(
    work: np.ndarray,
    step: int,
    n_iter: int,
    stride: int,
    weight: float,
    slots: np.ndarray,
    colour: np.ndarray,
    place: np.ndarray,
    corner: tuple[int, int] = (1, 1),
    open_sides: tuple[bool, bool, bool, bool] = (False, False, False, False),
) -> None:
    """Cluster one window, in place.

    The distance of a pixel from a home is the sum of the absolute differences of their channels
    and of their positions along each axis, the latter times `weight` and rounded.

    Parameters
    ----------
    work : (C, H', W') int16
        Working channels from 0 to 4095; the largest values of all add up to at most `SPAN`. They
        hold the window and at least one pixel around it. Masked pixels take part in the filter.
    step : int
        Cell size in pixels.
    n_iter : int
        Rounds of assignment and update before the last assignment.
    stride : int
        The rounds look at every `stride`-th row and column of a cell; the last assignment at all.
    weight : float
        What a distance of one pixel along one axis costs, in units of the channels; at most
        `HEAVIEST / step`.
    slots : (H, W) uint8
        The window starts at a corner of a cell. In: `MASKED` where a pixel takes no part, anything
        else elsewhere. Out: slots.
    colour : (cells_y, cells_x, C) int32
        Out: mean colour of each superpixel.
    place : (cells_y, cells_x, 2) int32
        Out: centre in quarter pixels from one cell above and left of the home cell.
    corner : (y, x)
        Where in `work` the window starts.
    open_sides : (top, bottom, left, right)
        Sides on which the image goes on. There, each round leaves out the cells that it could not
        compute right, two more a round, so that `2 * n_iter + 1` rows of cells get no slots.
    """
    cells, ruler = colour.shape[:2], make_ruler(step, weight)
    if is_device_array(work):
        from gnnseg.kernels.cuda import slic as gpu

        gpu.slic(work, step, n_iter, stride, ruler, slots, colour, place, corner, open_sides)
        return
    sums = np.zeros((1, *cells, colour.shape[2] + 3), np.int64)
    stride = stride if n_iter > 0 else 1
    channels, taken = take_sample(work, corner, slots, step, stride)
    add_cells(channels, taken, step, stride, sums[0])
    settle(sums[0], step, QUARTERS * (stride - 1) // 2, colour, place)
    rest = sums[0, ..., 0] == 0
    if rest.any():
        more = np.zeros_like(sums[0])
        add_rest(work, corner, slots, step, rest, more)
        settle(more, step, 0, colour, place)
        sums += more
    # There is one layer of cells, with no way to go along z.
    homes = colour[None], place[None], sums[..., 0] > 0, np.zeros((1, *cells), np.uint16)
    for round_ in range(n_iter):
        part = inner_cells(cells, 2 * round_ + 1, open_sides)
        sums[:] = 0
        view = channels, taken, (0, 0), step, stride, ruler
        assign(*view, homes, FIRST, sums, part)
        settle(sums[0], step, update_shift(stride), colour, place)
    del channels, taken
    part = inner_cells(cells, 2 * n_iter + 1, open_sides)
    assign(work, slots, corner, step, 1, ruler, homes, FIRST, sums[:0], part)


def inner_cells(
    cells: tuple[int, ...], inset: int, open_sides: tuple[bool, bool, bool, bool]
) -> tuple[int, int, int, int]:
    """Bounds of the cells at least `inset` from every open side."""
    top, bottom, left, right = (inset * bool(side) for side in open_sides)
    return top, cells[0] - bottom, left, cells[1] - right


@inlined
def _mean(total, count):
    return (2 * total + count) // (2 * count)


def update_shift(stride: int) -> int:
    """What a round moves centres by, in quarters of a pixel, to make up for pixels not looked at.

    Half way to the middle: an edge of a region falls on a pixel looked at as often as beside it,
    and with the whole way (or none) more pixels join homes on one side than on the other.
    """
    return QUARTERS * (stride - 1) // 4


@loop
def settle(sums, step, shift, colour, place):
    """Move centres to the mean of their pixels; those that have none stay where they were.

    `shift` makes up for the pixels not looked at, in quarters; it does not lead out of the nine
    cells.
    """
    last = QUARTERS * (3 * step - 1)
    for cy in range(colour.shape[0]):
        for cx in range(colour.shape[1]):
            total = sums[cy, cx]
            count = total[0]
            if count > 0:
                place[cy, cx, 0] = min(_mean(QUARTERS * total[1], count) + shift, last)
                place[cy, cx, 1] = min(_mean(QUARTERS * total[2], count) + shift, last)
                for c in range(colour.shape[2]):
                    colour[cy, cx, c] = _mean(total[3 + c], count)
