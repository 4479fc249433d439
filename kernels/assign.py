"""One assignment: each pixel of a window gets the nearest of the homes around its cell."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import inlined, loop, part
from gnnseg.kernels.ruler import BASE, FARTHEST, QUARTERS
from gnnseg.kernels.slots import LAYER
from gnnseg.kernels.strip import (
    HALF,
    REACH,
    STRIP,
    accumulate,
    address,
    copy,
    locate,
    nearest,
    pack,
    soften,
    store,
    take_nearer,
)

_ROWS = 16  # filtered at once: they stay in the second cache until they are looked at
_FEW = 4  # up to so many channels, the loops are compiled for their number
_SPACES = 6  # leading rows of a view: y, then the cost along x, from the cell before to that after
_NINE = 9  # homes of a layer, counted in raster order
_BANKS = 2  # neighbouring pixels are added up apart, so that one need not wait for the other
_LOW = (1 << HALF) - 1


def assign(
    work: np.ndarray,
    slots: np.ndarray,
    corner: tuple[int, int],
    step: int,
    stride: int,
    ruler: np.ndarray,
    homes: tuple[np.ndarray, ...],
    first: int,
    sums: np.ndarray,
    part: tuple[int, int, int, int],
) -> None:
    """Give each pixel its nearest home; among equals the first in raster order.

    What the homes of a row of cells look like from each column is spread out once (`spread`), so
    that the inner loops are long plain streams of 16-bit integers. With `sums`, the pixels are
    those of a sample and are added up there; without (`sums` empty), they are filtered and get
    their slots.

    `homes` are colour, place and whether there is one, of each layer of cells that pixels compete
    for, and what the way to it along z costs; a plane has one layer, a volume three, each with nine
    homes. `first` is the slot of the first home.
    """
    channels, layers, size = work.shape[0], homes[0].shape[0], -(-step // stride)
    counted, width = sums.size > 0, max(0, min(part[3] * size, slots.shape[1]) - part[2] * size)
    # Arrays are made here: in a compiled loop, each kind of them takes a while to compile.
    views = make_views(channels, layers, homes[2].shape[2], size)
    band = np.empty((channels, 0 if counted else min(size, _ROWS), width), np.int16)
    column = np.empty(width + 2, np.uint16)
    scratch = make_scratch(channels, layers, first)
    adding = make_sums(channels, layers, size, stride, slots.shape[1])
    scale = ruler, make_ticks(ruler, step, stride)
    few = few_channels(channels)
    filtering = band, column
    _assign(
        work, slots, corner, (step, stride), scale, homes, sums, part, views, filtering, scratch,
        adding, few,
    )  # fmt: skip


def make_views(channels: int, layers: int, cells: int, size: int) -> np.ndarray:
    """Room for what three rows of homes of each layer look like; there is none as yet."""
    views = np.zeros((3, layers, _SPACES + channels, (cells + 2) * size), np.uint16)
    views[:, :, 3:_SPACES] = FARTHEST
    return views


def make_scratch(channels: int, layers: int, first: int) -> tuple[np.ndarray, ...]:
    """What homes are called when they are added up, and as slots; and room for a strip.

    That is, for what homes look like from it, and for the distances and homes that are found.
    """
    near = np.empty((layers, 3 * (1 + channels) * REACH + _NINE * STRIP), np.uint16)
    numbers = _number_homes(layers, first)
    return numbers, near, np.empty((2, STRIP), np.uint16), np.empty((2, STRIP), np.uint8)


def make_ticks(ruler: np.ndarray, step: int, stride: int) -> np.ndarray:
    """Where on the ruler the rows and columns of a cell stand that are looked at."""
    return ruler[QUARTERS * (2 * step + np.arange(0, step, stride))]


def few_channels(number: int) -> tuple[int, ...]:
    """A tuple as long as there are channels, of which the compiler knows the length; or none."""
    return (0,) * number if number <= _FEW else ()


def _number_homes(layers: int, first: int) -> np.ndarray:
    """What the first home of a layer is called, and by how much more than 3 a row of homes counts.

    First when homes are added up, from 0 on; then by their slots.
    """
    layer = np.arange(layers)
    names = [(_NINE * layer, 0 * layer), (first + LAYER * layer, 2 + 0 * layer)]
    return np.stack(names).swapaxes(1, 2).astype(np.uint16, order="C")


def make_sums(
    channels: int, layers: int, size: int, stride: int, width: int
) -> tuple[np.ndarray, ...]:
    """Sums of a strip's cells by home; and for its pixels what is added, the cells, and the sums.

    The last home is that of masked pixels. Then in which cell the columns of a row are, and where
    in it.
    """
    words = channels // 2 + 2
    local = np.zeros((_BANKS, STRIP // size + 2, _NINE * layers + 1, words), np.int64)
    packed, places = np.empty((words - 1, STRIP), np.int64), np.empty((2, STRIP), np.uint32)
    cells, columns = np.divmod(np.arange(width), size)
    return local, packed, places, np.stack([cells, columns * stride]).astype(np.int32)


@loop
def _assign(
    work, slots, corner, steps, scale, homes, sums, part, views, filtering, scratch, adding, few
):
    """Assign by rows of cells.

    `scale` is the ruler, and where on it the rows and columns of a cell are.

    `few` has an item for each channel, or none when there are many.
    """
    band, column = filtering
    (height, width), size, counted = slots.shape, scale[1].size, sums.size > 0
    columns = part[2] * size, min(part[3] * size, width)
    for hy in range(part[0] - 1, part[0] + 1):
        spread(hy, steps[0], scale, homes, views[hy % 3])
    pieces = -(-size // _ROWS)  # of a row of cells
    for piece in range(part[0] * pieces, part[1] * pieces):
        cy = piece // pieces
        y0 = cy * size + piece % pieces * _ROWS
        y1 = min(y0 + _ROWS, cy * size + size, height)
        if piece % pieces == 0:
            spread(cy + 1, steps[0], scale, homes, views[(cy + 1) % 3])
        if counted:
            pixels, at = work, (0, 0, 0)
        else:
            load_rows(
                work,
                corner[0] + y0,
                corner[1] + columns[0],
                y1 - y0,
                band.shape[2],
                column,
                0,
                band,
            )
            pixels, at = band, (-y0, 0, -columns[0])
        ticks = scale[1]
        assign_rows(
            pixels,
            slots,
            at,
            (cy, y0, y1),
            columns,
            steps,
            ticks,
            views,
            sums,
            scratch,
            adding,
            few,
        )


@part
def assign_rows(pixels, slots, at, rows, columns, steps, ticks, views, sums, scratch, adding, few):
    """Assign some rows (row of cells, first, end) of pixels, between some columns.

    `at` tells where they lie: row y is row `y + at[0]` of `pixels` and `y + at[1]` of `slots`, and
    column x is column `x + at[2]` of `pixels`. `steps` are the size of a cell, and how far pixels
    are apart.
    """
    (cy, y0, y1), size, counted = rows, ticks.size, sums.size > 0
    numbers, near, found = scratch[0][0 if counted else 1], scratch[1], (scratch[2], scratch[3])
    for x0 in range(columns[0], columns[1], STRIP):
        n = min(STRIP, columns[1] - x0)
        _line_up(views, cy, x0, n, size, near)
        if counted:
            _list_cells(x0, n, adding)
        for y in range(y0, y1):
            row, tick = locate(pixels, y + at[0], x0 + at[2]), np.uint16(ticks[y - cy * size])
            _find(row, tick, near, np.uint64(size), numbers, n, found, few)
            here = slots[y + at[1], x0 : x0 + n]
            if counted:
                _add(row, pixels.shape[0], here, x0, (y - cy * size) * steps[1], found, adding, few)
            else:
                store(found[1][0], here)
        if counted:
            for layer in range(near.shape[0]):
                _hand_over(adding[0], _NINE * layer, cy, x0 // size, steps[0], sums[layer], few)
            adding[0][:] = 0


@part
def _find(row, y, near, size, numbers, n, found, few):
    """Write the nearest home of `n` pixels of a row, over all layers of homes."""
    costs, homes = found
    nearest(row, y, near[0], size, numbers[0], costs[0, :n], homes[0, :n], few)
    for layer in range(1, near.shape[0]):
        nearest(row, y, near[layer], size, numbers[layer], costs[1, :n], homes[1, :n], few)
        take_nearer(costs[1, :n], homes[1, :n], costs[0, :n], homes[0, :n])


@part
def _add(row, channels, slots, x0, away, found, adding, few):
    """Add a row of pixels, `away` rows from the first of their cell, to the sums of a strip."""
    local, packed, places, columns = adding
    pack(row, channels, columns[1, x0 : x0 + slots.size], packed)
    address(found[1][0], slots, places[0], local, places[1])
    accumulate(packed, 1 | away << HALF, places[1, : slots.size], local.reshape(-1), few)


@inlined
def load_rows(work, y, x, rows, width, column, first, band):
    """Write filtered rows of each channel from pixel (y, x) on to `band` from `first` on."""
    for row in range(rows):
        for c in range(work.shape[0]):
            soften(work[c], y + row, x, width, column, band[c, first + row])


@part
def spread(hy, step, scale, homes, views):
    """Write what a row of homes of each layer looks like from each column of pixels.

    A view has a cell of `size` columns for each home and one more at either end. Its rows are where
    the home stands on the ruler along y for pixels of the row of cells below, of its own, and of
    that above; the cost along x from the columns of the cell to the right, of its own, and of that
    to the left, and along z, less its colour, above `BASE`; and its colour, twice. `ticks` tells
    where on the ruler the rows of a cell stand, and its columns.
    """
    colour, place, active, away = homes
    ruler, ticks = scale
    size, (layers, cells_y, cells_x) = ticks.size, active.shape
    for layer in range(layers):
        view = views[layer]
        for cell in range(cells_x + 2):
            hx, start = cell - 1, np.uint64(cell * size)
            if not (0 <= hy < cells_y and 0 <= hx < cells_x and active[layer, hy, hx]):
                _hide(view, start, size)
                continue
            base = np.uint16(BASE - colour[layer, hy, hx].sum() + away[layer, hy, hx])
            for k in range(3):
                y = ruler[place[layer, hy, hx, 0] + k * QUARTERS * step]
                centre = ruler[place[layer, hy, hx, 1] + k * QUARTERS * step]
                for x in range(np.uint64(size)):
                    view[k, start + x] = y
                    cost = np.uint16(abs(np.int16(ticks[x] - centre)))
                    view[3 + k, start + x] = cost + base
            for c in range(colour.shape[3]):
                for x in range(np.uint64(size)):
                    view[_SPACES + c, start + x] = 2 * colour[layer, hy, hx, c]


@inlined
def _hide(view, start, size):
    """Make a home that there is not farther than any other."""
    for k in range(view.shape[0]):
        value = FARTHEST if 3 <= k < _SPACES else 0
        for x in range(np.uint64(size)):
            view[k, start + x] = value


@part
def _line_up(views, cy, x0, n, size, near):
    """Write what `n` columns of a row of cells see of nine homes a layer, as `nearest` takes it."""
    rows = views.shape[2] - _SPACES + 1
    bases, wide = 3 * rows * REACH, n + 2 * size
    for layer in range(near.shape[0]):
        for ky in range(3):
            view = views[(cy + ky - 1) % 3, layer]
            out = near[layer, ky * rows * REACH :]
            _double(view[ky, x0:], out, wide)
            for c in range(1, rows):
                copy(view[_SPACES + c - 1, x0:], out[c * REACH :], wide)
            for kx in range(3):
                start = x0 + kx * size
                base = near[layer, bases + (3 * ky + kx) * STRIP :]
                _place(view[ky, start:], view[3 + kx, start:], base, n)


@part
def _double(source, out, n):
    for x in range(n):
        out[x] = np.uint16(2 * source[x])


@part
def _place(y, along, base, n):
    """Write what a home costs along x, less where it stands along y."""
    for x in range(n):
        base[x] = np.uint16(along[x] - y[x])


@part
def _list_cells(x0, n, adding):
    """Write where the sums of each column's cell begin."""
    banks, num, codes, words = adding[0].shape
    starts, cells = adding[2][0], adding[3][0, x0:]
    for x in range(n):
        starts[x] = ((x % banks) * num + cells[x] - cells[0]) * codes * words


@part
def _hand_over(local, first, cy, cx, step, sums, few):
    """Add a strip's sums to those of a layer's homes; positions count from one cell before.

    `first` is the number of the layer's first home. `sums` are a ring of at least three rows of
    homes. Numbers without a sign need no test for counting from the end, which would take as long
    as the sums.
    """
    channels = sums.shape[2] - 3 if len(few) == 0 else len(few)
    near, far = np.uint64(0), np.uint64(1)
    for ky in range(3):
        y = np.uint64((cy + ky - 1) % sums.shape[0])
        for cell in range(np.uint64(local.shape[1])):
            for kx in range(3):
                home = np.uint64(first + 3 * ky + kx)
                word = local[near, cell, home, 0] + local[far, cell, home, 0]
                count = word & _LOW
                if count > 0:
                    x = np.uint64(cx + np.int64(cell) + kx - 1)
                    sums[y, x, 0] += count
                    sums[y, x, 1] += count * (2 - ky) * step + (word >> HALF)
                    word = local[near, cell, home, 1] + local[far, cell, home, 1]
                    sums[y, x, 2] += count * (2 - kx) * step + (word & _LOW)
                    for c in range(channels):
                        at = np.uint64(1 + (c + 1) // 2)
                        word = local[near, cell, home, at] + local[far, cell, home, at]
                        sums[y, x, 3 + c] += word & _LOW if c % 2 else word >> HALF
