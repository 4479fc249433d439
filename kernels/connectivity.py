"""Make every superpixel one 4-connected piece, by rules that look a few cells far only.

The main piece of a superpixel is its largest, then its first in raster order. Pixels of the other
pieces are orphans: in synchronous rounds each joins the touching main piece nearest in colour
(then lowest in id), if its home lies within two cells.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.slic import MASKED

REACH = 2
"""Cells between a pixel's own cell and the home that it may join."""


def connect(
    work: np.ndarray, step: int, rounds: int, colour: np.ndarray, slots: np.ndarray
) -> np.ndarray:
    """Reassign orphan pixels of one window, in place.

    Parameters
    ----------
    work : (C, H, W) int16
        Working channels; the window starts at a corner of a cell.
    step, rounds : int
        Cell size in pixels; how many rounds of joining at most.
    colour : (cells_y + 4, cells_x + 4, C) int32
        Mean colour of each superpixel, two cells wider all round than the window: pixels may belong
        to homes outside.
    slots : (H, W) uint8
        Slots, changed in place.

    Returns
    -------
    (n,) int64
        Flat indices of the orphans that found no main piece; they keep their slots.
    """
    homes = np.empty(slots.shape, np.int32)
    labels = np.empty(slots.shape, np.int32)
    parents = np.empty(slots.size, np.int32)
    _homes(slots, step, colour.shape[1], homes)
    count = _label(homes, labels, parents)
    main = _main_pieces(homes, labels, parents[:count], colour.shape[0] * colour.shape[1])
    orphans = _orphans(homes, labels, parents, main)
    return _adopt(work, step, rounds, colour, homes, labels, main, orphans, slots)


@njit(nogil=True, cache=True)
def _homes(slots, step, cells_x, homes):
    """Write the local id of each pixel's superpixel; -1 where masked."""
    height, width = slots.shape
    for y in range(height):
        for x0 in range(0, width, step):
            own = (y // step + REACH) * cells_x + x0 // step + REACH
            for x in range(x0, min(x0 + step, width)):
                slot = np.int32(slots[y, x])
                home = own + (slot // 5 - 2) * cells_x + slot % 5 - 2
                homes[y, x] = home if slot != MASKED else -1


@njit(nogil=True, cache=True)
def _find(parents, label):
    while parents[label] != label:
        parents[label] = parents[parents[label]]
        label = parents[label]
    return label


@njit(nogil=True, cache=True)
def _label(homes, labels, parents):
    """Label the 4-connected pieces; roots are the first labels of their pieces in raster order."""
    height, width = homes.shape
    count = 0
    for y in range(height):
        for x in range(width):
            home = homes[y, x]
            left = x > 0 and homes[y, x - 1] == home
            up = y > 0 and homes[y - 1, x] == home
            if left:
                labels[y, x] = labels[y, x - 1]
                if up and homes[y - 1, x - 1] != home:
                    a = _find(parents, labels[y, x])
                    b = _find(parents, labels[y - 1, x])
                    parents[max(a, b)] = min(a, b)
            elif up:
                labels[y, x] = labels[y - 1, x]
            else:
                labels[y, x] = count
                parents[count] = count
                count += 1
    return count


@njit(nogil=True, cache=True)
def _main_pieces(homes, labels, parents, num_homes):
    """The root label of the main piece of each superpixel; flattens `parents`."""
    sizes = np.zeros(parents.size, np.int32)
    for label in range(parents.size):
        parents[label] = parents[parents[label]]
    height, width = homes.shape
    for y in range(height):
        for x in range(width):
            sizes[parents[labels[y, x]]] += 1
    main = np.full(num_homes, -1, np.int32)
    for y in range(height):
        for x in range(width):
            home, label = homes[y, x], labels[y, x]
            if home >= 0 and parents[label] == label and main[home] != label:
                best = main[home]
                if best < 0 or sizes[label] > sizes[best]:
                    main[home] = label
    return main


@njit(nogil=True, cache=True)
def _orphans(homes, labels, parents, main):
    """Flat indices of the pixels outside main pieces; turns `labels` into roots."""
    height, width = homes.shape
    count = 0
    for y in range(height):
        for x in range(width):
            labels[y, x] = parents[labels[y, x]]
            home = homes[y, x]
            if home >= 0 and main[home] != labels[y, x]:
                count += 1
    orphans = np.empty(count, np.int64)
    count = 0
    for y in range(height):
        for x in range(width):
            home = homes[y, x]
            if home >= 0 and main[home] != labels[y, x]:
                orphans[count] = y * width + x
                count += 1
    return orphans


@njit(nogil=True, cache=True)
def _adopt(work, step, rounds, colour, homes, labels, main, orphans, slots):
    """Let the orphans join, a synchronous round at a time; return those that are left."""
    width = homes.shape[1]
    cells_x = colour.shape[1]
    chosen = np.empty(orphans.size, np.int32)
    left = orphans
    for _ in range(rounds):
        for n in range(left.size):
            chosen[n] = _choose(work, step, colour, homes, labels, main, left[n])
        waiting = 0
        for n in range(left.size):
            y, x = left[n] // width, left[n] % width
            home = chosen[n]
            if home < 0:
                left[waiting] = left[n]
                waiting += 1
                continue
            homes[y, x] = home
            labels[y, x] = main[home]
            dy = home // cells_x - y // step
            dx = home % cells_x - x // step
            slots[y, x] = 5 * dy + dx
        if waiting == left.size:
            break
        left = left[:waiting]
    return left.copy()


@njit(nogil=True, cache=True)
def _choose(work, step, colour, homes, labels, main, pixel):
    """The touching main piece nearest in colour, then lowest in id; -1 if there is none."""
    height, width = homes.shape
    y, x = pixel // width, pixel % width
    cells_x = colour.shape[1]
    best, best_cost = np.int32(-1), np.int64(0)
    for side in range(4):
        ny = y + (side == 1) - (side == 0)
        nx = x + (side == 3) - (side == 2)
        if ny < 0 or nx < 0 or ny >= height or nx >= width:
            continue
        home = homes[ny, nx]
        if home < 0 or labels[ny, nx] != main[home]:
            continue
        hy, hx = home // cells_x, home % cells_x
        if abs(hy - REACH - y // step) > REACH or abs(hx - REACH - x // step) > REACH:
            continue
        cost = np.int64(0)
        for c in range(work.shape[0]):
            difference = np.int64(work[c, y, x]) - colour[hy, hx, c]
            cost += difference * difference
        if best < 0 or cost < best_cost or (cost == best_cost and home < best):
            best, best_cost = home, cost
    return best
