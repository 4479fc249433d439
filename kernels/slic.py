"""SLIC pinned to a lattice: every pixel joins one of the 3 x 3 homes around its own cell.

After Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", IEEE
TPAMI 34(11), 2012, with a fixed home for each cluster and sums of absolute differences for
distances: positions are channels like the others, and all arithmetic fits 16-bit integers. Pixels
are compared after a 3 x 3 binomial filter, so that noise does not fray the superpixels.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.assign import (
    assign_rows,
    few_channels,
    load_rows,
    make_scratch,
    make_sums,
    make_ticks,
    make_views,
    spread,
)
from gnnseg.kernels.colour import NO_COLOURS, Colours, scale_rows
from gnnseg.kernels.compiled import inlined, loop, part
from gnnseg.kernels.ruler import QUARTERS, make_ruler
from gnnseg.kernels.seeds import add_rest, add_row_of_cells, halve, is_halved, list_sample, pick
from gnnseg.kernels.slots import FIRST

COLOUR_MARGIN = 2
"""Columns beside a window of colours: one for the filter, and another, as bands have."""


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
    cells = colour.shape[:2]
    if is_device_array(work):
        from gnnseg.kernels.cuda import slic as gpu

        ruler = make_ruler(step, weight)
        gpu.slic(work, step, n_iter, stride, ruler, slots, colour, place, corner, open_sides)
        return
    clustering = Clustering(step, n_iter, stride, weight, slots, colour, place, open_sides)
    clustering.add(work, corner, cells[0])


class Clustering:
    """A window that is clustered while its pixels come in, by rows of cells from the top.

    A row of cells is filtered once, and kept until the rows after it have been so far that its
    pixels get their slots: two rows a round later, and two for what is next to them. The arguments
    are those of `slic`.
    """

    def __init__(
        self,
        step: int,
        n_iter: int,
        stride: int,
        weight: float,
        slots: np.ndarray,
        colour: np.ndarray,
        place: np.ndarray,
        open_sides: tuple[bool, bool, bool, bool],
    ) -> None:
        cells, channels, width = place.shape[:2], colour.shape[2], slots.shape[1]
        stride = stride if n_iter > 0 else 1
        ruler = make_ruler(step, weight)
        size, kept = -(-step // stride), min(2 * n_iter + 2, cells[0])
        columns = list_sample(width, step, stride)
        # There is one layer of cells, with no way to go along z.
        self._homes = (
            colour[None], place[None], np.zeros((1, *cells), np.bool_),
            np.zeros((1, *cells), np.uint16),
        )  # fmt: skip
        self._rings = (
            np.empty((channels, kept * step, width + width % 2), np.int16),  # even: see `halve`
            np.empty((channels, kept * size, columns.size), np.int16),
            np.empty((kept * size, columns.size), np.uint8),
        )
        parts = [inner_cells(cells, 2 * round_ + 1, open_sides) for round_ in range(n_iter + 1)]
        views = make_views(channels, 1, cells[1], step)
        self._rounds = (
            np.array(parts),
            np.stack([views] * (n_iter + 1)),
            np.zeros((n_iter, 1, 3, cells[1], 3 + channels), np.int64),
            np.zeros((0, 0, 0, 0), np.int64),
        )
        self._scales = ruler, make_ticks(ruler, step, stride), make_ticks(ruler, step, 1)
        self._seeding = (
            columns,
            np.empty(width + 2, np.uint16),
            np.empty((channels + 2, columns.size), np.int32),
            np.empty((2, 1, cells[1], 3 + channels), np.int64),
        )
        self._scratch = make_scratch(channels, 1, FIRST)
        self._adding = make_sums(channels, 1, size, stride, columns.size)
        self._few = few_channels(channels)
        self._slots, self._cells, self._steps = slots, cells, (step, stride)
        self._moves = QUARTERS * (stride - 1) // 2, update_shift(stride)
        self._halved, self._lag = is_halved(step, stride), 2 * n_iter + 1
        self._done = 0

    def add(self, work: np.ndarray, corner: tuple[int, int], end: int) -> None:
        """Go on to the row of cells `end` (excluded), and with the last of them to the end.

        `corner` is where in `work` the window starts: before its first row, if that holds some rows
        of the window only, and a pixel around them.
        """
        until = end + self._lag if end == self._cells[0] else end
        self._go_on(work, corner, until, (NO_COLOURS, 0, (0, 0)))

    def add_colours(self, colours: Colours, first: int, margins: tuple[int, int]) -> None:
        """Go on to the end with the channels that colours have, a row of cells after another.

        `first` is the row of the colours that the window begins with, `margins` (left, right) how
        many columns are missing of `COLOUR_MARGIN` on either side of the window.
        """
        width = self._slots.shape[1] + 2 * COLOUR_MARGIN
        work = np.empty((3, self._steps[0] + 2, width), np.int16)
        until = self._cells[0] + self._lag
        self._go_on(work, (1, COLOUR_MARGIN), until, (colours, first, margins))

    def _go_on(
        self,
        work: np.ndarray,
        corner: tuple[int, int],
        until: int,
        source: tuple[Colours, int, tuple[int, int]],
    ) -> None:
        _cluster(
            work, self._slots, corner, source, (self._done, until), self._steps, self._moves,
            self._halved, self._scales, self._homes, self._rings, self._rounds, self._seeding,
            self._scratch, self._adding, self._few,
        )  # fmt: skip
        self._done = until


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


@loop
def _cluster(
    work, slots, corner, source, turns, steps, moves, halved, scales, homes, rings, rounds,
    seeding, scratch, adding, few,
):  # fmt: skip
    """Let rows of cells come in, one a turn, and do what can be done then.

    A round assigns the row before the last one whose homes it knows, and then moves the homes of
    the row before that. The last assignment is one more round, of all pixels.
    """
    parts, all_views, all_sums, nothing = rounds
    last, cells_y, kept = parts.shape[0] - 1, homes[0].shape[1], rings[0].shape[1] // steps[0]
    for turn in range(turns[0], turns[1]):
        if turn < cells_y:
            top = _load_row_of_cells(work, corner[0], source, turn * steps[0], steps[0])
            place = top, corner[1]
            _take_in(work, slots, place, turn, steps, moves[0], halved, homes, rings, seeding)
        for round_ in range(last + 1):
            cy, counted, views = turn - 2 * round_ - 1, round_ < last, all_views[round_]
            ticks, stride = (scales[1], steps[1]) if counted else (scales[2], 1)
            pixels, taken = (rings[1], rings[2]) if counted else (rings[0], slots)
            sums = all_sums[round_] if counted else nothing
            spread(cy + 1, steps[0], (scales[0], ticks), homes, views[(cy + 1) % 3])
            if parts[round_, 0] <= cy < parts[round_, 1]:
                size, y0 = ticks.size, cy * ticks.size
                rows = cy, y0, y0 - (-min(steps[0], slots.shape[0] - cy * steps[0]) // stride)
                columns = parts[round_, 2] * size, min(parts[round_, 3] * size, taken.shape[1])
                shift = (cy % kept - cy) * size
                at = shift, shift if counted else 0, 0
                assign_rows(
                    pixels, taken, at, rows, columns, (steps[0], stride), ticks, views, sums,
                    scratch, adding, few,
                )  # fmt: skip
            if counted and 0 < cy <= cells_y:
                done = sums[0, (cy - 1) % 3 : (cy - 1) % 3 + 1]
                settle(done, steps[0], moves[1], homes[0][0, cy - 1 : cy], homes[1][0, cy - 1 : cy])
                done[:] = 0


@part
def _load_row_of_cells(work, top, source, y, step):
    """Write the channels of a row of cells and a pixel around, if they are not there yet.

    Returns where in `work` the window begins.
    """
    colours, first, margins = source
    if colours[3] == 0:
        return top
    scale_rows(colours, first + y - 1, step + 2, margins, work)
    return 1 - y


@part
def _take_in(work, slots, corner, cy, steps, shift, halved, homes, rings, seeding):
    """Filter a row of cells, keep what rounds look at, and let its homes begin there."""
    (step, stride), (soft, sample, taken), (columns, scratch, down, totals) = steps, rings, seeding
    kept, y0, num = soft.shape[1] // step, cy * step, min(step, slots.shape[0] - cy * step)
    first, begin = cy % kept * step, cy % kept * (sample.shape[1] * step // soft.shape[1])
    load_rows(work, corner[0] + y0, corner[1], num, slots.shape[1], scratch, first, soft)
    end = begin - (-num // stride)
    for y in range(begin, end):
        away = (y - begin) * stride
        for c in range(work.shape[0]):
            if halved:
                halve(soft[c, first + away], sample[c, y])
            else:
                pick(soft[c, first + away], columns, halved, sample[c, y])
        pick(slots[y0 + away], columns, halved, taken[y])
    colour, place = homes[0][0, cy : cy + 1], homes[1][0, cy : cy + 1]
    active = homes[2][0, cy : cy + 1]
    totals[:] = 0
    add_row_of_cells(sample, taken, (begin, end), step, stride, down, totals[0, 0])
    settle(totals[0], step, shift, colour, place)
    missing = False
    for cx in range(active.shape[1]):
        active[0, cx] = totals[0, 0, cx, 0] > 0
        missing |= totals[0, 0, cx, 0] == 0
    if missing:
        add_rest(work, corner, slots, step, cy, active, totals[1])
        settle(totals[1], step, 0, colour, place)
        for cx in range(active.shape[1]):
            active[0, cx] |= totals[1, 0, cx, 0] > 0
