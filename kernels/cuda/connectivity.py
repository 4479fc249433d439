"""One piece for every superpixel, on a GPU; the rule is that of `gnnseg.kernels.connectivity`.

Pieces are trees over pixels, united by atomic minima, so that the root of each is its first pixel
in raster order; after Playne and Hawick, "A new algorithm for parallel connected-component
labelling on GPUs", IEEE TPDS 29(6), 2018. Only the list of orphans is looked at in the rounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.connectivity import ORPHAN
from gnnseg.kernels.cuda.arrays import full
from gnnseg.kernels.cuda.compare import least, most
from gnnseg.kernels.cuda.launch import per_item, per_pixel
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import MASKED, REACH

_PLACE = 42  # bits for the place of a pixel; the size of its piece lies above them
_LAST = (1 << _PLACE) - 1
_NONE = 255  # in place of a slot where there is nothing to join
_FEW = 1 << 31  # pixels whose places fit 32 bits


def connect(slots: Any, step: int, rounds: int) -> np.ndarray:
    """Reassign orphan pixels of one window, in place; arguments and result as for the CPU.

    The list of those that found no main piece comes to the host.
    """
    height, width = slots.shape
    index = np.int32 if slots.size < _FEW else np.int64
    homes = -(-height // step) + 2 * REACH, -(-width // step) + 2 * REACH
    grid = per_pixel(height, width)
    parents = cuda.device_array(slots.size, index)
    count = full((1,), np.int64, 0)
    _begin[grid](slots, parents)
    _join_neighbours[grid](slots, step, parents)
    sizes, main = full((slots.size,), np.int32, 0), full(homes, np.int64, 0)
    _measure[per_item(slots.size)](parents, sizes)
    _choose_main[grid](slots, step, parents, sizes, main)
    _mark_orphans[grid](slots, step, parents, main, count)
    del sizes, main, parents
    number = int(count.copy_to_host()[0])
    if number == 0:
        return np.empty((0, 2), np.int64)
    orphans, new = cuda.device_array(number, np.int64), cuda.device_array(number, np.uint8)
    count = full((1,), np.int64, 0)
    _list_orphans[grid](slots, count, orphans)
    per_orphan = per_item(number)
    for _ in range(rounds):
        _vote[per_orphan](slots, step, orphans, new)
        _settle[per_orphan](slots, orphans, new)
    left = cuda.device_array(number, np.bool_)
    _release[per_orphan](slots, orphans, left)
    places = np.sort(orphans.copy_to_host()[left.copy_to_host()])
    return np.stack([places // width, places % width], axis=1)


@cuda.jit(device=True)
def _same_home(slots, step, y, x, other_y, other_x):
    """Whether two pixels have one home; not if they are masked."""
    a, b = int(slots[y, x]), int(slots[other_y, other_x])
    return (
        a != MASKED  # noqa: PLR1714
        and b != MASKED
        and y // step + a // ROW == other_y // step + b // ROW
        and x // step + a % ROW == other_x // step + b % ROW
    )


@cuda.jit
def _begin(slots, parents):
    """Every pixel is a piece of its own; masked ones are none."""
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1]:
        at = y * slots.shape[1] + x
        parents[at] = -1 if slots[y, x] == MASKED else at


@cuda.jit
def _join_neighbours(slots, step, parents):
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1]:
        at = y * slots.shape[1] + x
        left = x > 0 and _same_home(slots, step, y, x, y, x - 1)
        above = y > 0 and _same_home(slots, step, y, x, y - 1, x)
        if left:
            _unite(parents, at, at - 1)
        # Through its left neighbour, a pixel is often joined with the one above already.
        if above and not (left and _same_home(slots, step, y, x, y - 1, x - 1)):
            _unite(parents, at, at - slots.shape[1])


@cuda.jit(device=True)
def _root(parents, at):
    while parents[at] != at:
        at = parents[at]
    return at


@cuda.jit(device=True)
def _unite(parents, a, b):
    """Join two pieces: the higher root gets the lower one for a parent."""
    a, b = _root(parents, a), _root(parents, b)
    while a != b:
        low, high = least(a, b), most(a, b)
        before = cuda.atomic.min(parents, high, low)
        if before == high:
            break
        # Another thread gave it a parent first: that one's piece is to be joined as well.
        a, b = _root(parents, before), low


@cuda.jit
def _measure(parents, sizes):
    """Point every pixel to its root, and count the pixels there."""
    at = cuda.grid(1)
    if at < parents.size and parents[at] >= 0:
        root = _root(parents, at)
        parents[at] = root
        cuda.atomic.add(sizes, root, 1)


@cuda.jit
def _choose_main(slots, step, parents, sizes, main):
    """Of the pieces of a home the largest, then the first in raster order."""
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1]:
        at = y * slots.shape[1] + x
        if parents[at] == at:
            slot = int(slots[y, x])
            home = y // step + slot // ROW, x // step + slot % ROW
            cuda.atomic.max(main, home, (int(sizes[at]) << _PLACE) + _LAST - at)


@cuda.jit
def _mark_orphans(slots, step, parents, main, count):
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1]:
        slot = int(slots[y, x])
        if slot != MASKED:
            first = _LAST - (main[y // step + slot // ROW, x // step + slot % ROW] & _LAST)
            if parents[y * slots.shape[1] + x] != first:
                slots[y, x] = slot + ORPHAN
                cuda.atomic.add(count, 0, 1)


@cuda.jit(device=True)
def _is_orphan(slot):
    return ORPHAN <= slot < MASKED


@cuda.jit
def _list_orphans(slots, count, orphans):
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1] and _is_orphan(slots[y, x]):
        orphans[cuda.atomic.add(count, 0, 1)] = y * slots.shape[1] + x


@cuda.jit(device=True)
def _seen_from(slots, step, y, x, other_y, other_x):
    """The slot of a neighbour's home, counted from this pixel's cell; `_NONE` if it is none."""
    if not (0 <= other_y < slots.shape[0] and 0 <= other_x < slots.shape[1]):
        return _NONE
    slot = int(slots[other_y, other_x])
    if slot >= ORPHAN:
        return _NONE
    row = slot // ROW + other_y // step - y // step
    column = slot % ROW + other_x // step - x // step
    return row * ROW + column if 0 <= row < ROW and 0 <= column < ROW else _NONE


@cuda.jit(device=True)
def _score(slot, other, another, last):
    """Rises with the sides that have a slot, then with how low it is; 0 for none."""
    if slot == _NONE:
        return 0
    same = int(slot == other) + int(slot == another) + int(slot == last)
    return ROW * ROW * (same + 1) + ROW * ROW - 1 - slot


@cuda.jit
def _vote(slots, step, orphans, new):
    """Write the slot that an orphan joins, or its own if it has none to join."""
    at = cuda.grid(1)
    if at < orphans.size:
        y, x = orphans[at] // slots.shape[1], orphans[at] % slots.shape[1]
        own = int(slots[y, x])
        a = _seen_from(slots, step, y, x, y - 1, x)
        b = _seen_from(slots, step, y, x, y + 1, x)
        c = _seen_from(slots, step, y, x, y, x - 1)
        d = _seen_from(slots, step, y, x, y, x + 1)
        best = most(most(_score(a, b, c, d), _score(b, a, c, d)), _score(c, a, b, d))
        best = most(best, _score(d, a, b, c))
        joins = _is_orphan(own) and best > 0
        new[at] = ROW * ROW - 1 - best % (ROW * ROW) if joins else own


@cuda.jit
def _settle(slots, orphans, new):
    at = cuda.grid(1)
    if at < orphans.size:
        slots[orphans[at] // slots.shape[1], orphans[at] % slots.shape[1]] = new[at]


@cuda.jit
def _release(slots, orphans, left):
    """Give the orphans that are left their slots back."""
    at = cuda.grid(1)
    if at < orphans.size:
        y, x = orphans[at] // slots.shape[1], orphans[at] % slots.shape[1]
        left[at] = _is_orphan(slots[y, x])
        if left[at]:
            slots[y, x] -= ORPHAN
