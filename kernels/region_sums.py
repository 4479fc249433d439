"""Sums over regions: count, position moments, channels, texture, histograms of grey and patterns.

Everything is an integer sum, so parts of a region add up to the whole in any order. Planes are
worked out a strip of pixels at a time, in plain streams. Then a region's part of a tile of 16 x 16
pixels is a mask, and its sums are sums of products of 16-bit integers over the whole tile, of which
a processor does many at once, however the region's border runs.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import inlined, loop, part
from gnnseg.kernels.patterns import PATTERNS, pattern_codes
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import LAYER

GEOMETRY = 6
"""Leading sums: count, y, x, y*y, y*x, x*x, positions counted from the home cell's corner."""
GREY_BINS = 32
"""Leading bins of a histogram; then come those of the patterns, for one distance after another."""
VALUE, ALONG_X, ALONG_Y, FALLING, RISING, LAPLACIAN = range(6)
"""Rules for a plane: a channel's value, or a response on grey, each at a distance in pixels."""
RULES = VALUE, ALONG_X, ALONG_Y, FALLING, RISING, LAPLACIAN
"""All that the loops know, here and on a GPU."""
_SIDE = 16
"""Rows and columns of a tile: squares of values below 4096 then add up to less than 2**32."""
_AREA = _SIDE * _SIDE
_STRIP = 256
"""Columns whose planes are worked out at once."""
_PITCH = _STRIP + 32
"""From row to row of a strip: a power of two apart, rows would share a place in the cache."""
_PLANE = _SIDE * _PITCH
_NONE = 255
"""Key of pixels that are added to no region."""
_MOST = 13 * 13
"""Keys of a tile at most: of nine cells of two pixels, and two cells more on each side."""
_COUNT = 1 << 12
"""Above all sums of y over a tile, so that both share a word."""
U = np.uint64
"""For indices: signed ones may count from the end, for all that the compiler knows."""


def region_sums(
    work: np.ndarray,
    grey: np.ndarray,
    slots: np.ndarray,
    step: int,
    planes: np.ndarray,
    rings: np.ndarray,
    grey_top: int,
    sums: np.ndarray,
    histogram: np.ndarray,
    corner: tuple[int, int],
) -> None:
    """Add the pixels of a window to the sums of their regions.

    Parameters
    ----------
    work : (C, H', W') int16
        Channels, below 4096, of the window and of a margin around it of at least the largest
        distance in `planes` and `rings`.
    grey : (H', W') int16
        Lightness.
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell.
    planes : (P, 2) int64
        Rule and channel (for `VALUE`) or distance (for the others).
    rings : (D,) int64
        Distances of the patterns (`gnnseg.kernels.patterns`), in pixels; at most 22.
    grey_top : int
        Largest grey value; a hundredth of it is what patterns take for a difference.
    sums : (cells_y, cells_x, GEOMETRY + 2 P) int64
        Geometry, then of each plane the sum and the sum of squares; contiguous.
    histogram : (cells_y, cells_x, GREY_BINS + D * PATTERNS) int32
        Contiguous.
    corner : (y, x)
        Where in `work` and `grey` the window starts.
    """
    if not np.isin(planes[:, 0], RULES).all():
        raise ValueError(
            f"planes have rules {sorted(set(planes[:, 0].tolist()))}, known are {RULES}"
        )
    if is_device_array(slots):
        from gnnseg.kernels.cuda import region_sums as gpu

        tables = sums, histogram
        gpu.region_sums(work, grey, slots, step, planes, rings, grey_top, *tables, corner)
        return
    size = histogram.shape[2]
    if size > np.iinfo(np.uint8).max:
        raise ValueError(f"{size} bins a region: at most {np.iinfo(np.uint8).max} can be counted")
    table, bars = sums.reshape(-1, sums.shape[2]), histogram.reshape(-1, size)
    each = (0,) * (1 + len(rings))  # the compiler knows how long a tuple is
    kinds = planes, rings, grey_top, each
    # Arrays are made here: in a compiled loop, each kind of them takes a while to compile.
    values = np.zeros((len(planes), _SIDE, _PITCH), np.int16)
    codes = np.zeros((len(each), _SIDE, _PITCH), np.uint8)
    columns = np.arange(slots.shape[1])
    ahead = (columns // step - columns // _SIDE * _SIDE // step).astype(np.uint16)
    strip = values, codes, np.empty((_SIDE, _PITCH), np.int16), ahead
    scratch = _make_scratch(size)
    _sum_strips(work, grey, slots, step, kinds, corner, sums.shape[:2], strip, scratch, table, bars)


def _make_scratch(size: int) -> tuple[np.ndarray, ...]:
    """What is written for a tile, and the places of its pixels.

    Of each of its homes its row of the table, and which pixels it has, as -1; of each key where in
    the counts its home's begin; counts by home, the first for all pixels of none, in two banks, so
    that neighbouring pixels need not wait for each other.
    """
    homes, masks = np.empty(_MOST, np.int64), np.empty(_MOST * _AREA, np.int16)
    begins, counts = np.zeros(_NONE + 1, np.int32), np.zeros((2, (_MOST + 1) * size), np.int32)
    y, x = np.indices((_SIDE, _SIDE))
    places = np.stack([_COUNT + y, x, y * y, y * x, x * x]).astype(np.int16).reshape(5, _AREA)
    return homes, masks, begins, counts, places


@loop
def _sum_strips(work, grey, slots, step, kinds, corner, cells, strip, scratch, table, bars):
    """Add a window, a strip of `_SIDE` rows and `_STRIP` columns at a time."""
    planes, rings, grey_top, each = kinds
    values, codes, keys, ahead = strip
    (height, width), row = slots.shape, (_SIDE - 1) // step + 6
    for y0 in range(0, height, _SIDE):
        for x0 in range(0, width, _STRIP):
            size = min(_SIDE, height - y0), min(_STRIP, width - x0)
            y, x = corner[0] + y0, corner[1] + x0
            for k in range(len(planes)):
                _work_out(work, grey, y, x, size, planes[k], values[k])
            _write_grey_bins(grey, y, x, size, grey_top, codes[0])
            for k in range(len(rings)):
                first = GREY_BINS + k * PATTERNS
                pattern_codes(grey, y, x, size, rings[k], grey_top // 100, first, codes[1 + k])
            _write_keys(slots, y0, x0, size, step, row, ahead, keys)
            for left in range(0, size[1], _SIDE):
                place = y0, x0 + left
                homes = _list_homes(keys.reshape(-1), left, place, step, row, cells, scratch)
                _add_places(homes, place, step, cells[1], scratch, table)
                _add_values(values.reshape(-1), left, len(planes), homes, scratch, table)
                _count(codes.reshape(-1), keys.reshape(-1), left, each, scratch)
                _hand_over(homes, scratch, bars)


@inlined
def _work_out(work, grey, y, x, size, plane, out):
    """Write a strip of a plane, from pixel (y, x) of the channels."""
    rule, d = plane[0], plane[1]
    if rule == VALUE:
        _copy(work[d], y, x, size, out)
    elif rule == LAPLACIAN:
        _laplacian(grey, y, x, size, d, out)
    else:
        down = 0 if rule == ALONG_X else d
        right = 0 if rule == ALONG_Y else -d if rule == RISING else d
        _difference(grey, y, x, size, (down, right), out)


@inlined
def _copy(channel, y, x, size, out):
    for r in range(size[0]):
        for n in range(size[1]):
            out[U(r), U(n)] = channel[U(y + r), U(x + n)]


@inlined
def _difference(grey, y, x, size, way, out):
    """Write how much the pixels one way from each differ from those the other way."""
    down, right = way
    for r in range(size[0]):
        for n in range(size[1]):
            there = grey[U(y + r + down), U(x + n + right)]
            back = grey[U(y + r - down), U(x + n - right)]
            out[U(r), U(n)] = abs(np.int16(there - back))


@inlined
def _laplacian(grey, y, x, size, d, out):
    for r in range(size[0]):
        for n in range(size[1]):
            column = grey[U(y + r - d), U(x + n)] + grey[U(y + r + d), U(x + n)]
            ring = column + grey[U(y + r), U(x + n - d)] + grey[U(y + r), U(x + n + d)]
            out[U(r), U(n)] = abs(np.int16(ring - 4 * grey[U(y + r), U(x + n)])) >> 2


@inlined
def _write_grey_bins(grey, y, x, size, grey_top, out):
    """Write the bin of each pixel; quotients of such small integers are exact where they are whole.

    Below 2**24 no other quotient is rounded to a whole number.
    """
    levels = np.float32(grey_top + 1)
    for r in range(size[0]):
        for n in range(size[1]):
            level = np.float32(grey[U(y + r), U(x + n)]) * np.float32(GREY_BINS)
            out[U(r), U(n)] = np.uint8(np.int32(level / levels))


@inlined
def _write_keys(slots, y0, x0, size, step, row, ahead, keys):
    """Number the homes around each tile, `row` to a row of them, and write each pixel's.

    Above the slots of a plane are marks, of pixels that belong to no region.

    `ahead` tells by how many cells a column is right of its tile's first.
    """
    keys[:] = _NONE
    more, wide = np.uint16(row - ROW), np.uint16(52)
    for y in range(size[0]):
        below = np.uint16(((y0 + y) // step - y0 // step) * row)
        for x in range(size[1]):
            slot = np.uint16(slots[U(y0 + y), U(x0 + x)])
            slot_row = np.uint16(np.uint16(slot * wide) >> np.uint16(8))  # a fifth, below 32
            key = np.uint16(slot + np.uint16(slot_row * more)) + np.uint16(below + ahead[U(x0 + x)])
            keys[U(y), U(x)] = np.int16(key) if slot < np.uint16(LAYER) else np.int16(_NONE)


@inlined
def _list_homes(keys, left, place, step, row, cells, scratch):
    """List the homes of a tile's pixels that are in the table, and mark the pixels of each."""
    homes, masks, begins, counts, _ = scratch
    # Plain numbers in calls would each be a kind of its own to compile for.
    size, number = counts.shape[1] // (_MOST + 1), np.int64(0)
    key = _next_key(keys, left, np.int64(-1))
    while key < _NONE:
        home_y, home_x = place[0] // step + key // row - 2, place[1] // step + key % row - 2
        begins[key] = 0
        if 0 <= home_y < cells[0] and 0 <= home_x < cells[1]:
            _mark(keys, left, key, number, masks)
            homes[number] = home_y * cells[1] + home_x
            number += 1
            begins[key] = number * size
        key = _next_key(keys, left, key)
    return homes[:number]


@part
def _next_key(keys, left, key):
    """The least key of a tile's pixels above `key`."""
    here, least = np.int16(key), np.int16(_NONE)
    for x in range(_SIDE):
        for y in range(_SIDE):
            other = keys[U(left) + U(y * _PITCH + x)]
            other = other if other > here else np.int16(_NONE)
            least = min(least, other)
    return np.int64(least)


@inlined
def _mark(keys, left, key, number, masks):
    here, start = np.int16(key), U(number * _AREA)
    for x in range(_SIDE):
        for y in range(_SIDE):
            same = keys[U(left) + U(y * _PITCH + x)] == here
            masks[start + U(y * _SIDE + x)] = np.int16(-1) if same else np.int16(0)


@inlined
def _add_places(homes, place, step, cells_x, scratch, table):
    """Add count and position moments of a tile that begins at `place`."""
    _, masks, _, _, places = scratch
    for n in range(homes.size):
        home_y = np.int64(np.uint32(homes[n]) // np.uint32(cells_x))
        y, x = place[0] - home_y * step, place[1] - (homes[n] - home_y * cells_x) * step
        both = _sum_where(places, U(0), masks, n)
        count, sum_y = both // _COUNT, both % _COUNT
        sum_x = _sum_where(places, U(1), masks, n)
        yy, yx = _sum_where(places, U(2), masks, n), _sum_where(places, U(3), masks, n)
        xx = _sum_where(places, U(4), masks, n)
        total = table[homes[n]]
        total[0] += count
        total[1] += count * y + sum_y
        total[2] += count * x + sum_x
        total[3] += count * y * y + 2 * y * sum_y + yy
        total[4] += count * y * x + y * sum_x + x * sum_y + yx
        total[5] += count * x * x + 2 * x * sum_x + xx


@part
def _sum_where(places, k, masks, number):
    start, total = U(number * _AREA), np.int32(0)
    for n in range(_AREA):
        product = np.int32(places[k, U(n)]) * np.int32(masks[start + U(n)])
        total = np.int32(total - np.int32(product))
    return np.int64(total)


@inlined
def _add_values(values, left, num, homes, scratch, table):
    """Add the sums of each plane and of its squares."""
    masks = scratch[1]
    for k in range(num):
        base = U(k * _PLANE + left)
        for n in range(homes.size):
            start, minus, squares = U(n * _AREA), np.int32(0), np.int32(0)
            # A loop for each sum: then products of neighbours are added in one instruction.
            for x in range(_SIDE):
                for y in range(_SIDE):
                    mask = np.int32(masks[start + U(y * _SIDE + x)])
                    minus = np.int32(minus + np.int32(values[base + U(y * _PITCH + x)]) * mask)
            for x in range(_SIDE):
                for y in range(_SIDE):
                    mask = masks[start + U(y * _SIDE + x)]
                    value = np.int32(np.int16(values[base + U(y * _PITCH + x)] & mask))
                    squares = np.int32(squares + np.int32(value * value))
            home, column = U(homes[n]), U(GEOMETRY + 2 * k)
            table[home, column] -= minus
            table[home, column + U(1)] += np.uint32(squares)


@inlined
def _count(codes, keys, left, each, scratch):
    """Count the codes of a tile's pixels, of all kinds at once: one need not wait for another."""
    _, _, begins, counts, _ = scratch
    for y in range(_SIDE):
        for x in range(_SIDE):
            at = U(left) + U(y * _PITCH + x)
            begin = U(begins[U(keys[at])])
            for k in range(len(each)):
                counts[U(x % 2), begin + U(codes[at + U(k * _PLANE)])] += 1


@inlined
def _hand_over(homes, scratch, bars):
    """Add a tile's counts to the histograms."""
    counts, size = scratch[3], bars.shape[1]
    for n in range(homes.size):
        home, begin = U(homes[n]), U((n + 1) * size)
        for k in range(size):
            bars[home, U(k)] += counts[U(0), begin + U(k)] + counts[U(1), begin + U(k)]
    counts[:, : (homes.size + 1) * size] = 0
