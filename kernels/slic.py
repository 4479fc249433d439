"""SLIC pinned to a lattice: every pixel joins one of the 3 x 3 homes around its own cell.

After Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", IEEE
TPAMI 34(11), 2012, with a fixed home for each cluster and sums of absolute differences for
distances: positions are channels like the others, and all arithmetic fits 16-bit integers. Pixels
are compared after a 3 x 3 binomial filter, so that noise does not fray the superpixels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.arrays import is_device_array

OWN = 12
"""Slot of a pixel whose superpixel is its own cell's; slot = 5 * (dy + 2) + dx + 2."""
MASKED = 254
"""Slot of a pixel that belongs to no superpixel."""
FIRST = 6
"""Slot of the first of the nine homes that a pixel may join before orphans do."""
LAYER = 25
"""Slots from a home to that one layer of cells further along z."""
QUARTERS = 4
"""Centres are kept in quarters of a pixel."""
SPAN = 16384
"""Most that the channels of a pixel may add up to."""
HEAVIEST = 2000
"""Largest cost of a distance of one step along one axis."""
_AXIS = 3 * HEAVIEST + 1  # largest cost of a distance between a pixel and a home
_NOWHERE = (1 << 16) - 1 - SPAN - 2 * _AXIS  # of the distance to a home that there is not
_FEW = 4  # up to so many channels, the loops are compiled for their number
_STRIP = 256  # pixels of a row worked on at once: what they look at stays in the nearest cache
_SPACES = 6  # leading rows of a view: y, then the cost along x, from the cell before to that after
_NINE = 9  # homes of a layer, counted in raster order
_BANKS = 2  # neighbouring pixels are added up apart, so that one need not wait for the other
_HALF, _LOW = 32, (1 << 32) - 1  # two sums share a 64-bit word


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
    few = few_channels(len(work))
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
        assign(*view, homes, FIRST, sums, part, few)
        settle(sums[0], step, update_shift(stride), colour, place)
    del channels, taken
    part = inner_cells(cells, 2 * n_iter + 1, open_sides)
    assign(work, slots, corner, step, 1, ruler, homes, FIRST, sums[:0], part, few)


def few_channels(number: int) -> tuple[int, ...]:
    """A tuple as long as there are channels, of which the compiler knows the length; or none."""
    return (0,) * number if number <= _FEW else ()


def make_ruler(step: int, weight: float) -> np.ndarray:
    """Where a quarter pixel stands on the scale of the costs, from two cells before: int16."""
    quarters = np.arange(5 * QUARTERS * step + 1, dtype=np.float32)
    return np.rint(np.float32(weight / QUARTERS) * quarters).astype(np.int16)


@njit(nogil=True, cache=True)
def _soften(channel, y, x, n, column, out):
    """Write the filtered values of `n` pixels of a row of a channel, from pixel (y, x) on."""
    above, here, below = channel[y - 1, x - 1 :], channel[y, x - 1 :], channel[y + 1, x - 1 :]
    for k in range(n + 2):
        column[k] = np.uint16(above[k] + 2 * here[k] + below[k])
    middle, right = column[1:], column[2:]
    for k in range(n):
        out[k] = np.uint16(column[k] + 2 * middle[k] + right[k] + 8) >> np.uint16(4)


@njit(nogil=True, cache=True)
def take_sample(work, corner, slots, step, stride):
    """Every `stride`-th row and column of each cell: channels, filtered, and slots."""
    height, width = slots.shape
    rows = np.array([y for y in range(height) if y % step % stride == 0])
    columns = np.array([x for x in range(width) if x % step % stride == 0])
    channels = np.empty((work.shape[0], rows.size, columns.size), np.int16)
    taken = np.empty((rows.size, columns.size), np.uint8)
    row, scratch = np.empty(width, np.uint16), np.empty(width + 2, np.uint16)
    halved = stride == 2 and step % 2 == 0
    for y in range(rows.size):
        for c in range(work.shape[0]):
            _soften(work[c], corner[0] + rows[y], corner[1], width, scratch, row)
            _pick(row, columns, halved, channels[c, y])
        _pick(slots[rows[y]], columns, halved, taken[y])
    return channels, taken


@njit(nogil=True, cache=True)
def _pick(row, columns, halved, out):
    """Copy some columns of a row; plain steps of two in a loop of their own, which is faster."""
    if halved:
        for x in range(out.size):
            out[x] = row[2 * x]
    else:
        for x in range(out.size):
            out[x] = row[columns[x]]


def inner_cells(
    cells: tuple[int, ...], inset: int, open_sides: tuple[bool, bool, bool, bool]
) -> tuple[int, int, int, int]:
    """Bounds of the cells at least `inset` from every open side."""
    top, bottom, left, right = (inset * bool(side) for side in open_sides)
    return top, cells[0] - bottom, left, cells[1] - right


@njit(nogil=True, cache=True, error_model="numpy")
def _mean(total, count):
    return (2 * total + count) // (2 * count)


@njit(nogil=True, cache=True, error_model="numpy")
def add_cells(work, slots, step, stride, sums):
    """Add up the pixels of each cell: what a superpixel starts with, wherever a block ends.

    `work` and `slots` hold every `stride`-th row and column of each cell. `sums` are count, y, x
    (from one cell above and left of the cell) and channels.
    """
    channels, height, width = work.shape
    size = -(-step // stride)
    column = np.empty((channels + 2, width), np.int32)  # count, y and channels down each column
    for cy in range(sums.shape[0]):
        column[:] = 0
        for y in range(cy * size, min(cy * size + size, height)):
            _add_row(work, slots, y, step + (y - cy * size) * stride, column)
        for cx in range(sums.shape[1]):
            total = sums[cy, cx]
            for x in range(cx * size, min(cx * size + size, width)):
                total[0] += column[0, x]
                total[1] += column[1, x]
                total[2] += np.int64(column[0, x]) * (step + (x - cx * size) * stride)
                for c in range(channels):
                    total[3 + c] += column[2 + c, x]


@njit(nogil=True, cache=True, error_model="numpy")
def _add_row(work, slots, y, away, column):
    """Add a row of pixels, `away` rows from where y counts, to the sums of its columns."""
    for x in range(slots.shape[1]):
        taken = np.int32(slots[y, x] != MASKED)
        column[0, x] += taken
        column[1, x] += taken * np.int32(away)
    for c in range(work.shape[0]):
        for x in range(slots.shape[1]):
            column[2 + c, x] += work[c, y, x] if slots[y, x] != MASKED else 0


@njit(nogil=True, cache=True, error_model="numpy")
def add_rest(work, corner, slots, step, rest, sums):
    """Add up all pixels of the cells in `rest`: those of which no round looks at any."""
    height, width = slots.shape
    row, column = np.empty(step, np.uint16), np.empty(step + 2, np.uint16)
    for cy in range(rest.shape[0]):
        for cx in range(rest.shape[1]):
            if not rest[cy, cx]:
                continue
            total = sums[cy, cx]
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
                    _soften(work[c], corner[0] + y, corner[1] + x0, n, column, row)
                    for x in range(n):
                        total[3 + c] += row[x] if slots[y, x0 + x] != MASKED else 0


def update_shift(stride: int) -> int:
    """What a round moves centres by, in quarters of a pixel, to make up for pixels not looked at.

    Half way to the middle: an edge of a region falls on a pixel looked at as often as beside it,
    and with the whole way (or none) more pixels join homes on one side than on the other.
    """
    return QUARTERS * (stride - 1) // 4


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def assign(work, slots, corner, step, stride, ruler, homes, first, sums, part, few):
    """Give each pixel its nearest home; among equals the first in raster order.

    What the homes of a row of cells look like from each column is spread out once (`_spread`), so
    that the inner loops are long plain streams of 16-bit integers. With `sums`, the pixels are
    those of a sample and are added up there; without (`sums` empty), they are filtered and get
    their slots. `few` has an item for each channel, or none when there are many.

    `homes` are colour, place and whether there is one, of each layer of cells that pixels compete
    for, and what the way to it along z costs; a plane has one layer, a volume three, each with nine
    homes. `first` is the slot of the first home.
    """
    channels, (height, width), layers = work.shape[0], slots.shape, homes[0].shape[0]
    size = -(-step // stride)
    cells_x = homes[2].shape[2]
    views = np.empty((3, layers, _SPACES + channels, (cells_x + 2) * size), np.uint16)
    near = np.empty((layers, 9, 2 + channels, _STRIP), np.uint16)
    least, found = np.empty(_STRIP, np.uint16), np.empty(_STRIP, np.uint8)
    cost, other = np.empty(_STRIP, np.uint16), np.empty(_STRIP, np.uint8)
    packed = np.empty((channels // 2 + 1, _STRIP), np.int64)
    numbers = _number_homes(layers, first, sums.size > 0)
    # The last place is that of masked pixels.
    local = np.zeros(
        (_BANKS, _STRIP // size + 2, _NINE * layers + 1, packed.shape[0] + 1), np.int64
    )
    cells, parts = np.empty(_STRIP, np.uint32), np.empty(_STRIP, np.uint32)
    away = (np.arange(width) % size * stride).astype(np.int32)
    pixels, column = np.empty((channels, _STRIP), np.uint16), np.empty(_STRIP + 2, np.uint16)
    x_first, x_last = part[2] * size, min(part[3] * size, width)
    columns = ruler[QUARTERS * (2 * step + np.arange(size) * stride)]
    for hy in range(part[0] - 1, part[0] + 1):
        _spread(hy, size, step, ruler, columns, homes, views[hy % 3])
    for cy in range(part[0], part[1]):
        _spread(cy + 1, size, step, ruler, columns, homes, views[(cy + 1) % 3])
        for x0 in range(x_first, x_last, _STRIP):
            n = min(_STRIP, x_last - x0)
            for layer in range(layers):
                _line_up(views, layer, cy, x0, n, size, near[layer])
            _list_cells(x0, size, local, cells)
            for y in range(cy * size, min(cy * size + size, height)):
                down = (y - cy * size) * stride
                _load_row(work, corner, y, x0, n, sums.size == 0, column, pixels)
                at = np.uint16(ruler[QUARTERS * (2 * step + down)])
                _nearest(pixels, at, near[0], numbers[0], least[:n], found[:n], few)
                for layer in range(1, layers):
                    _nearest(pixels, at, near[layer], numbers[layer], cost[:n], other[:n], few)
                    _take_nearer(cost[:n], other[:n], least[:n], found[:n])
                if sums.size == 0:
                    _store(found, slots[y, x0 : x0 + n])
                else:
                    _pack(pixels, away[x0 : x0 + n], packed)
                    _address(found, slots[y, x0 : x0 + n], cells, local, parts)
                    _accumulate(packed, 1 | down << _HALF, parts[:n], local.reshape(-1), few)
            if sums.size > 0:
                for layer in range(layers):
                    _hand_over(local, _NINE * layer, cy, x0 // size, step, sums[layer], few)
                local[:] = 0


@njit(nogil=True, cache=True)
def _number_homes(layers, first, counted):
    """What the first home of a layer is called, and by how much more than 3 a row of homes counts.

    Homes are counted from 0 on where they are added up; elsewhere they are called by their slots.
    """
    numbers = np.empty((layers, 2), np.uint16)
    for layer in range(layers):
        numbers[layer, 0] = _NINE * layer if counted else first + LAYER * layer
        numbers[layer, 1] = 0 if counted else 2
    return numbers


@njit(nogil=True, cache=True, error_model="numpy")
def _load_row(work, corner, y, x0, n, filtered, column, pixels):
    """Write `n` pixels of a row of each channel, through the filter if they are to be filtered."""
    for c in range(work.shape[0]):
        if filtered:
            _soften(work[c], corner[0] + y, corner[1] + x0, n, column, pixels[c])
        else:
            _copy(work[c, y, x0:], pixels[c], n)


@njit(nogil=True, cache=True, error_model="numpy")
def _spread(hy, size, step, ruler, columns, homes, views):
    """Write what a row of homes of each layer looks like from each column of pixels.

    A view has a cell of `size` columns for each home and one more at either end. Its rows are where
    the home stands on the ruler along y for pixels of the row of cells below, of its own, and of
    that above; the cost along x from the columns of the cell to the right, of its own, and of that
    to the left, and along z; and its colour. `columns` tells where on the ruler the columns of a
    cell stand.
    """
    colour, place, active, away = homes
    layers, cells_y, cells_x = active.shape
    for layer in range(layers):
        view = views[layer]
        for cell in range(cells_x + 2):
            hx, start = cell - 1, np.uint64(cell * size)
            if not (0 <= hy < cells_y and 0 <= hx < cells_x and active[layer, hy, hx]):
                _hide(view, start, size)
                continue
            for k in range(3):
                y = ruler[place[layer, hy, hx, 0] + k * QUARTERS * step]
                centre = ruler[place[layer, hy, hx, 1] + k * QUARTERS * step]
                for x in range(np.uint64(size)):
                    view[k, start + x] = y
                    cost = np.uint16(abs(np.int16(columns[x] - centre)))
                    view[3 + k, start + x] = cost + away[layer, hy, hx]
            for c in range(colour.shape[3]):
                for x in range(np.uint64(size)):
                    view[_SPACES + c, start + x] = colour[layer, hy, hx, c]


@njit(nogil=True, cache=True, error_model="numpy")
def _hide(view, start, size):
    """Make a home that there is not farther than any other."""
    for k in range(view.shape[0]):
        value = _NOWHERE if 3 <= k < _SPACES else 0
        for x in range(np.uint64(size)):
            view[k, start + x] = value


@njit(nogil=True, cache=True, error_model="numpy")
def _line_up(views, layer, cy, x0, n, size, near):
    """Copy what `n` columns of a row of cells see of nine homes: y, cost along x, colour."""
    for k in range(9):
        view = views[(cy + k // 3 - 1) % 3, layer]
        start = x0 + k % 3 * size
        _copy(view[k // 3, start:], near[k, 0], n)
        _copy(view[3 + k % 3, start:], near[k, 1], n)
        for c in range(view.shape[0] - _SPACES):
            _copy(view[_SPACES + c, start:], near[k, 2 + c], n)


@njit(nogil=True, cache=True, error_model="numpy")
def _copy(source, target, n):
    for x in range(n):
        target[x] = source[x]


@njit(nogil=True, cache=True, error_model="numpy")
def _apart(a, b):
    """Absolute difference of two numbers below 2**15."""
    return np.uint16(abs(np.int16(a - b)))


@njit(nogil=True, cache=True, error_model="numpy")
def _nearest(pixels, y, near, numbers, least, out, few):
    """Write the nearest of nine homes for each pixel of a row at `y` on the ruler.

    `numbers` are what the first home is called, and by how much more than three a row of homes
    counts; `least` gets the distances.
    """
    if len(few) == 0:
        _nearest_of_many(pixels, y, near, numbers, least, out)
        return
    first, more = numbers[0], numbers[1]
    for x in range(out.size):
        best, nearest = np.uint16(65535), np.uint16(0)
        for k in range(9):
            cost = np.uint16(near[k, 1, x] + _apart(y, near[k, 0, x]))
            for c in range(len(few)):
                cost = np.uint16(cost + _apart(pixels[c, x], near[k, 2 + c, x]))
            nearer = cost < best
            best = cost if nearer else best
            nearest = np.uint16(k) if nearer else nearest
        least[x] = best
        # A third, rounded down, of a number up to eight.
        row = np.uint16(np.uint16(nearest * np.uint16(11)) >> np.uint16(5))
        out[x] = np.uint16(first + nearest) + np.uint16(more * row)


@njit(nogil=True, cache=True, error_model="numpy")
def _nearest_of_many(pixels, y, near, numbers, least, out):
    """The same for any number of channels, a stream for each."""
    least[:] = 65535
    cost = np.empty(out.size, np.uint16)
    for k in range(9):
        for x in range(out.size):
            cost[x] = near[k, 1, x] + _apart(y, near[k, 0, x])
        for c in range(pixels.shape[0]):
            for x in range(out.size):
                cost[x] += _apart(pixels[c, x], near[k, 2 + c, x])
        slot = np.uint8(numbers[0] + k + numbers[1] * (k // 3))
        for x in range(out.size):
            nearer = cost[x] < least[x]
            least[x] = cost[x] if nearer else least[x]
            out[x] = slot if nearer else out[x]


@njit(nogil=True, cache=True, error_model="numpy")
def _take_nearer(cost, slots, least, out):
    """Keep the nearer of two homes, the first of equals."""
    for x in range(out.size):
        nearer = cost[x] < least[x]
        least[x] = cost[x] if nearer else least[x]
        out[x] = slots[x] if nearer else out[x]


@njit(nogil=True, cache=True, error_model="numpy")
def _store(found, slots):
    """Write the slots of a row; masked pixels stay masked."""
    for x in range(slots.size):
        slots[x] = found[x] if slots[x] != MASKED else MASKED


@njit(nogil=True, cache=True, error_model="numpy")
def _pack(pixels, away, packed):
    """Write x (within the cell) and channels of a row of pixels, two to a 64-bit word.

    A sum over a cell stays below 2**31 in each half.
    """
    for x in range(away.size):
        packed[0, x] = np.int64(away[x]) | np.int64(pixels[0, x]) << _HALF
    for word in range(1, packed.shape[0]):
        low = pixels[2 * word - 1]
        high = pixels[min(2 * word, pixels.shape[0] - 1)]  # the last once more, in an odd number
        for x in range(away.size):
            packed[word, x] = np.int64(low[x]) | np.int64(high[x]) << _HALF


@njit(nogil=True, cache=True, error_model="numpy")
def _list_cells(x0, size, local, cells):
    """Write where in `local` the sums of each column's cell begin."""
    banks, num, codes, words = local.shape
    for x in range(cells.size):
        cell = (x0 + x) // size - x0 // size
        cells[x] = (x % banks * num + cell) * codes * words


@njit(nogil=True, cache=True, error_model="numpy")
def _address(found, slots, cells, local, parts):
    """Write where in `local` each pixel of a row is added up: those masked where none is looked."""
    codes, words = np.uint32(local.shape[2]), np.uint32(local.shape[3])
    for x in range(slots.size):
        code = np.uint32(found[x]) if slots[x] != MASKED else codes - np.uint32(1)
        parts[x] = cells[x] + np.uint32(code * words)


@njit(nogil=True, cache=True, error_model="numpy")
def _accumulate(packed, count_and_y, parts, local, few):
    """Add a row of packed pixels to the sums of a strip's cells by slot."""
    if len(few) == 0:
        for x in range(parts.size):
            local[parts[x]] += count_and_y
            for word in range(packed.shape[0]):
                local[parts[x] + 1 + word] += packed[word, x]
        return
    for x in range(parts.size):
        part = np.uint64(parts[x])
        local[part] += count_and_y
        for word in range(len(few) // 2 + 1):
            local[part + np.uint64(1 + word)] += packed[word, x]


@njit(nogil=True, cache=True, error_model="numpy")
def _hand_over(local, first, cy, cx, step, sums, few):
    """Add a strip's sums to those of a layer's homes; positions count from one cell before.

    `first` is the number of the layer's first home. Numbers without a sign need no test for
    counting from the end, which would take as long as the sums.
    """
    channels = sums.shape[2] - 3 if len(few) == 0 else len(few)
    near, far = np.uint64(0), np.uint64(1)
    for cell in range(np.uint64(local.shape[1])):
        for k in range(9):
            home = np.uint64(first + k)
            word = local[near, cell, home, 0] + local[far, cell, home, 0]
            count = word & _LOW
            if count > 0:
                y, x = np.uint64(cy + k // 3 - 1), np.uint64(cx + np.int64(cell) + k % 3 - 1)
                sums[y, x, 0] += count
                sums[y, x, 1] += count * (2 - k // 3) * step + (word >> _HALF)
                word = local[near, cell, home, 1] + local[far, cell, home, 1]
                sums[y, x, 2] += count * (2 - k % 3) * step + (word & _LOW)
                for c in range(channels):
                    at = np.uint64(1 + (c + 1) // 2)
                    word = local[near, cell, home, at] + local[far, cell, home, at]
                    sums[y, x, 3 + c] += word & _LOW if c % 2 else word >> _HALF
