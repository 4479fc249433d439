"""Which regions touch, along how many pixel sides, with how much contrast.

A side is counted once, at the region left of it or above. When a row of homes can get no more, its
counts go to the tables of both regions.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import inlined, loop, part
from gnnseg.kernels.runs import ROW, list_down

REACH = 2
"""Edges join homes at most two cells apart on each axis."""
CODES = (2 * REACH + 1) ** 2
"""Number of lattice offsets; code = 5 * (dy + 2) + (dx + 2), of the source seen from the target."""
_SLOTS = 32
"""More than there are slots but for the marks."""
_FAR = 255
"""In place of the code of homes too far apart for an edge."""
_SAME, _NEXT, _BELOW = np.arange(3, dtype=np.int64)
"""The second pixel of a side lies in the cell of the first, in the next one, in that below; plain
numbers in calls would each be a kind of its own to compile for."""
_PIECE = 64
"""Pixels that are looked at in one go, whether a home changes among them."""
_HALF, _LOW = 32, (1 << 32) - 1
"""The number of sides and the differences across them share a 64-bit word."""


def adjacency(
    grey: np.ndarray,
    slots: np.ndarray,
    step: int,
    contact: np.ndarray,
    contrast: np.ndarray,
    boundary: np.ndarray,
    corner: tuple[int, int] = (0, 0),
) -> None:
    """Add the pixel sides between regions to the tables of both.

    Parameters
    ----------
    grey : (H', W') int16
        Lightness.
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell.
    step : int
    contact : (cells_y, cells_x, 25) int32
        Pixel sides shared with the region at each offset.
    contrast : (cells_y, cells_x, 25) int32
        Sum of the absolute grey differences across those sides.
    boundary : (cells_y, cells_x) int32
        All sides shared with another region, also one too far for an edge.
    corner : (y, x)
        Where in `grey` the window starts.
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import adjacency as gpu

        gpu.adjacency(grey, slots, step, contact, contrast, boundary, corner)
    else:
        width = slots.shape[1]
        # Arrays are made here: in a compiled loop, each kind of them takes a while to compile.
        pitch = (boundary.shape[1] + 2 * REACH) * CODES
        sides, rows = np.zeros(ROW * pitch, np.int64), np.zeros(_SLOTS, np.int64)
        columns = np.arange(width) // step * CODES
        listed = np.empty(width + 1, np.int32)
        starts = np.arange(step - 1, width - 1, step, dtype=np.int32)
        inside = (np.arange(1, width) % step > 0).astype(np.uint8)
        scratch = _tell_codes(), sides, rows, columns, listed, starts, inside
        _count_sides(grey, slots, step, (contact, contrast, boundary), corner, scratch)


@cache
def _tell_codes() -> np.ndarray:
    """For each kind of side and two slots: where the second's home lies from the first's."""
    kind, a, b = np.indices((3, CODES, CODES))
    dy = b // ROW - a // ROW + (kind == _BELOW)
    dx = b % ROW - a % ROW + (kind == _NEXT)
    near = (abs(dy) <= REACH) & (abs(dx) <= REACH)
    codes = np.full((3, _SLOTS, _SLOTS), _FAR, np.uint8)
    codes[:, :CODES, :CODES] = np.where(near, ROW * (dy + REACH) + dx + REACH, _FAR)
    return codes


@loop
def _count_sides(grey, slots, step, tables, corner, scratch):
    """Count all sides; `sides` hold the five rows of homes that a row of cells can touch."""
    codes, sides, rows, columns, listed, starts, inside = scratch
    (height, width), (top, left), boundary = slots.shape, corner, tables[2]
    pitch = sides.size // ROW
    for y in range(height):
        cell_y = y // step
        if y == cell_y * step:
            for slot in range(CODES):
                home_y = cell_y + slot // ROW
                rows[slot] = home_y % ROW * pitch + slot % ROW * CODES
        view = columns, rows, sides, cell_y, boundary
        here, row = slots[y], grey[top + y, left : left + width]
        pairs = here[:-1], here[1:], row[:-1], row[1:]
        _add_sides(starts, pairs, _NEXT, codes[_NEXT], view)
        num = _list_inside(pairs[0], pairs[1], inside, listed)
        _add_sides(listed[:num], pairs, _SAME, codes[_SAME], view)
        done = cell_y + REACH + 1
        if y + 1 < height:
            below, row_below = slots[y + 1], grey[top + y + 1, left : left + width]
            kind = _BELOW if (y + 1) // step > cell_y else _SAME
            num = list_down(here, below, kind == _BELOW, listed)
            _add_sides(listed[:num], (here, below, row, row_below), kind, codes[kind], view)
            done = cell_y - REACH + (kind == _BELOW)
        for home_y in range(cell_y - REACH, done):
            start = (home_y + REACH) % ROW * pitch
            _share_out(sides[start : start + pitch], home_y, tables)


@inlined
def _list_inside(before, here, inside, listed):
    """List where two neighbours of one cell have different slots; return how many."""
    count = np.uint64(0)
    for start in range(0, here.size, _PIECE):
        piece = slice(start, start + _PIECE)
        a, b, c = before[piece], here[piece], inside[piece]
        changes = np.uint8(0)
        for x in range(b.size):
            changes |= np.uint8(a[x] ^ b[x]) if c[x] else np.uint8(0)
        if changes > 0:
            for x in range(b.size):
                listed[count] = start + x
                count += np.uint64((a[x] != b[x]) & (c[x] != 0))
    return np.int64(count)


@part
def _add_sides(listed, pairs, kind, codes, view):
    """Count the sides of the listed pairs of pixels; those of one home count for no one."""
    before, here, grey_before, grey = pairs
    columns, rows, sides, cell_y, boundary = view
    for n in range(listed.size):
        x = np.uint64(listed[n])
        a, b = np.uint64(before[x]), np.uint64(here[x])
        if a < _SLOTS and b < _SLOTS:
            code = codes[a, b]
            if code == _FAR:
                cell_x = columns[x] // CODES
                _touch(boundary, cell_y, cell_x, np.int64(a))
                _touch(boundary, cell_y + (kind == _BELOW), cell_x + (kind == _NEXT), np.int64(b))
            else:
                difference = np.int64(abs(np.int32(grey_before[x]) - np.int32(grey[x])))
                place = np.uint64(columns[x] + rows[a]) + np.uint64(code)
                sides[place] += (difference << _HALF) + 1


@inlined
def _touch(boundary, cell_y, cell_x, slot):
    """Count a side of a pixel whose neighbour's region is far."""
    y, x = cell_y + slot // ROW - REACH, cell_x + slot % ROW - REACH
    if 0 <= y < boundary.shape[0] and 0 <= x < boundary.shape[1]:
        boundary[y, x] += 1


@inlined
def _share_out(sides, home_y, tables):
    """Give the sides of a row of homes to both of their regions, and empty it."""
    cells_y, cells_x = tables[2].shape
    for n in range(sides.size // CODES):
        home_x, words = n - REACH, sides[n * CODES : (n + 1) * CODES]
        words[CODES // 2] = 0
        # So far inside that no other is outside: then nothing is asked that nobody can foresee.
        inner = REACH <= home_y < cells_y - REACH and REACH <= home_x < cells_x - REACH
        for code in range(CODES):
            y, x = home_y + code // ROW - REACH, home_x + code % ROW - REACH
            if inner or (0 <= home_y < cells_y and 0 <= home_x < cells_x):
                _give(words[code], home_y, home_x, code, tables)
            if inner or (0 <= y < cells_y and 0 <= x < cells_x):
                _give(words[code], y, x, CODES - 1 - code, tables)
    sides[:] = 0


@part
def _give(word, home_y, home_x, code, tables):
    contact, contrast, boundary = tables
    y, x, number = np.uint64(home_y), np.uint64(home_x), np.int32(word & _LOW)
    contact[y, x, np.uint64(code)] += number
    contrast[y, x, np.uint64(code)] += np.int32(word >> _HALF)
    boundary[y, x] += number
