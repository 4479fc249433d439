"""What a cell starts with: the mean of its pixels, or of every so many of them.

Pixels are compared after a 3 x 3 binomial filter (`soften`), here and in `gnnseg.kernels.assign`.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import inlined, loop, part
from gnnseg.kernels.slots import MASKED
from gnnseg.kernels.strip import soften


def take_sample(
    work: np.ndarray, corner: tuple[int, int], slots: np.ndarray, step: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every `stride`-th row and column of each cell: channels, filtered, and slots."""
    rows, columns = (list_sample(n, step, stride) for n in slots.shape)
    channels = np.empty((work.shape[0], rows.size, columns.size), np.int16)
    taken = np.empty((rows.size, columns.size), np.uint8)
    row, scratch = np.empty(slots.shape[1], np.int16), np.empty(slots.shape[1] + 2, np.uint16)
    halved = is_halved(step, stride)
    _take_sample(work, corner, slots, rows, columns, halved, row, scratch, channels, taken)
    return channels, taken


def list_sample(size: int, step: int, stride: int) -> np.ndarray:
    """Every `stride`-th row or column of each cell."""
    return np.flatnonzero(np.arange(size) % step % stride == 0)


def is_halved(step: int, stride: int) -> bool:
    """Whether a sample is every other column, wherever cells begin."""
    return stride == 2 and step % 2 == 0


@loop
def _take_sample(work, corner, slots, rows, columns, halved, row, scratch, channels, taken):
    for y in range(rows.size):
        for c in range(work.shape[0]):
            soften(work[c], corner[0] + rows[y], corner[1], row.size, scratch, row)
            pick(row, columns, halved, channels[c, y])
        pick(slots[rows[y]], columns, halved, taken[y])


@part
def pick(row, columns, halved, out):
    """Copy some columns of a row; plain steps of two in a loop of their own, which is faster."""
    if halved:
        for x in range(out.size):
            out[x] = row[2 * x]
    else:
        for x in range(out.size):
            out[x] = row[columns[x]]


@part
def halve(row, out):
    """Copy every other number of a row of 16 bits; they are the lower halves of 32."""
    pairs = row.view(np.int32)
    for x in range(out.size):
        out[x] = np.int16(pairs[x])


def add_cells(
    work: np.ndarray, slots: np.ndarray, step: int, stride: int, sums: np.ndarray
) -> None:
    """Add up the pixels of each cell: what a superpixel starts with, wherever a block ends.

    `work` and `slots` hold every `stride`-th row and column of each cell. `sums` are count, y, x
    (from one cell above and left of the cell) and channels.
    """
    column = np.empty((work.shape[0] + 2, work.shape[2]), np.int32)
    _add_cells(work, slots, step, stride, column, sums)


@loop
def _add_cells(work, slots, step, stride, column, sums):
    size = -(-step // stride)
    for cy in range(sums.shape[0]):
        rows = cy * size, min(cy * size + size, work.shape[1])
        add_row_of_cells(work, slots, rows, step, stride, column, sums[cy])


@part
def add_row_of_cells(work, slots, rows, step, stride, column, sums):
    """Add up rows (first, end) of pixels, by way of count, y and channels down each column."""
    channels, size = work.shape[0], -(-step // stride)
    column[:] = 0
    for y in range(rows[0], rows[1]):
        _add_row(work, slots, y, step + (y - rows[0]) * stride, column)
    for cx in range(sums.shape[0]):
        total = sums[cx]
        for x in range(cx * size, min(cx * size + size, work.shape[2])):
            total[0] += column[0, x]
            total[1] += column[1, x]
            total[2] += np.int64(column[0, x]) * (step + (x - cx * size) * stride)
            for c in range(channels):
                total[3 + c] += column[2 + c, x]


@inlined
def _add_row(work, slots, y, away, column):
    """Add a row of pixels, `away` rows from where y counts, to the sums of its columns."""
    for x in range(slots.shape[1]):
        taken = np.int32(slots[y, x] != MASKED)
        column[0, x] += taken
        column[1, x] += taken * np.int32(away)
    for c in range(work.shape[0]):
        for x in range(slots.shape[1]):
            column[2 + c, x] += work[c, y, x] if slots[y, x] != MASKED else 0


@loop
def mark_taken(slots, step, taken):
    """Write True for each cell in which a pixel takes part."""
    for y in range(slots.shape[0]):
        for x in range(slots.shape[1]):
            if slots[y, x] != MASKED:
                taken[y // step, x // step] = True


@loop
def add_rest(work, corner, slots, step, first, seen, sums):
    """Add up all pixels of the cells that are not `seen`: those of which no round looks at any.

    `first` is the row of cells that `seen` and `sums` begin with.
    """
    height, width = slots.shape
    row, column = np.empty(step, np.int16), np.empty(step + 2, np.uint16)
    for away in range(seen.shape[0]):
        cy = first + away
        for cx in range(seen.shape[1]):
            if seen[away, cx]:
                continue
            total = sums[away, cx]
            x0, n = cx * step, min(step, width - cx * step)
            for y in range(cy * step, min(cy * step + step, height)):
                before = total[0]
                for x in range(n):
                    if slots[y, x0 + x] != MASKED:
                        total[0] += 1
                        total[1] += y - (cy - 1) * step
                        total[2] += x + step
                if total[0] == before:
                    continue
                for c in range(work.shape[0]):
                    soften(work[c], corner[0] + y, corner[1] + x0, n, column, row)
                    for x in range(n):
                        total[3 + c] += row[x] if slots[y, x0 + x] != MASKED else 0
