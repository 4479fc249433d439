"""One piece for every superpixel, on a GPU; the rule is `gnnseg.kernels.connectivity_volume`'s.

Only the list of orphans is looked at in the rounds: all vote, then all move.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.connectivity_volume import NONE, ORPHAN, planes_seen
from gnnseg.kernels.cuda.arrays import full, view
from gnnseg.kernels.cuda.compare import most
from gnnseg.kernels.cuda.launch import per_item, per_voxel
from gnnseg.kernels.cuda.pieces import inside, mark_orphans, place_of
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import LAYER, MASKED, VOLUME_SLOTS

_FEW = 1 << 31  # voxels whose places fit 32 bits
_SIDES = 6
_IN_PLANE = 2  # the first of the sides that lead not along z


def connect_volume(
    slots: Any, steps: tuple[int, int], rounds: int, faces: tuple[int, int]
) -> np.ndarray:
    """Reassign orphan voxels of one window, in place; arguments and result as for the CPU.

    The list of those that found no main piece comes to the host.
    """
    slots = view(slots)
    index = np.int32 if slots.size < _FEW else np.int64
    number = mark_orphans(slots, steps, index)
    if number == 0:
        return np.empty(0, index)
    orphans, new = cuda.device_array(number, np.int64), cuda.device_array(number, np.uint8)
    count, flat, per_orphan = full((1,), np.int64, 0), slots.reshape(-1), per_item(number)
    _list_orphans[per_voxel(*slots.shape)](slots, count, orphans)
    for round_ in range(rounds):
        along_z = planes_seen(round_ + 1, steps) > planes_seen(round_, steps)
        _vote[per_orphan](slots, steps, faces, 0 if along_z else _IN_PLANE, orphans, new)
        _move[per_orphan](flat, orphans, new)
    left, count = cuda.device_array(number, np.int64), full((1,), np.int64, 0)
    _release[per_orphan](flat, orphans, left, count)
    few = int(count.copy_to_host()[0])
    return np.sort(left[:few].copy_to_host()).astype(index) if few else np.empty(0, index)


@cuda.jit(device=True)
def _is_orphan(slot):
    return ORPHAN <= slot < MASKED


@cuda.jit
def _list_orphans(slots, count, orphans):
    x, y, z = cuda.grid(3)
    if inside(slots, z, y, x) and _is_orphan(slots[z, y, x]):
        orphans[cuda.atomic.add(count, 0, 1)] = place_of(slots, z, y, x)


@cuda.jit(device=True)
def _seen_from(slots, z, y, x, unit, away):
    """The slot of a neighbour's home from a cell that is `away` (-1, 0, 1) cells before its own.

    Slots count by `unit` along the axis between the two; `NONE` if there is none.
    """
    if not inside(slots, z, y, x):
        return NONE
    slot = int(slots[z, y, x])
    in_reach = slot < ORPHAN and 0 <= slot // unit % ROW + away < ROW
    return slot + unit * away if in_reach else NONE


@cuda.jit(device=True)
def _look_around(slots, steps, z, y, x, first, seen):
    """Write what an orphan sees on its six sides; nothing on those before `first`."""
    step = steps[1]
    for side in range(first):
        seen[side] = NONE
    if first == 0:
        seen[0] = _seen_from(slots, z - 1, y, x, LAYER, -int(z % steps[0] == 0))
        seen[1] = _seen_from(slots, z + 1, y, x, LAYER, int((z + 1) % steps[0] == 0))
    seen[2] = _seen_from(slots, z, y - 1, x, ROW, -int(y % step == 0))
    seen[3] = _seen_from(slots, z, y + 1, x, ROW, int((y + 1) % step == 0))
    seen[4] = _seen_from(slots, z, y, x - 1, 1, -int(x % step == 0))
    seen[5] = _seen_from(slots, z, y, x + 1, 1, int((x + 1) % step == 0))


@cuda.jit
def _vote(slots, steps, faces, first, orphans, new):
    """Write the slot that an orphan joins, or its own if it has none to join."""
    seen = cuda.local.array(_SIDES, np.int64)
    number = cuda.grid(1)
    if number < orphans.size:
        row, x = orphans[number] // slots.shape[2], orphans[number] % slots.shape[2]
        z, y = row // slots.shape[1], row % slots.shape[1]
        new[number] = slots[z, y, x]
        if _is_orphan(slots[z, y, x]):
            _look_around(slots, steps, z, y, x, first, seen)
            best = 0  # rises with the sides that have a slot, then with how low it is
            for side in range(_SIDES):
                votes = 1
                for other in range(_SIDES):
                    if seen[other] == seen[side]:
                        votes += faces[0] if other >= _IN_PLANE else faces[1]
                if seen[side] != NONE:
                    best = most(best, (votes + 1) * VOLUME_SLOTS - 1 - seen[side])
            if best > 0:
                new[number] = VOLUME_SLOTS - 1 - best % VOLUME_SLOTS


@cuda.jit
def _move(slots, orphans, new):
    """Let orphans have their new slots."""
    at = cuda.grid(1)
    if at < orphans.size:
        slots[orphans[at]] = new[at]


@cuda.jit
def _release(slots, orphans, left, count):
    """Give the orphans that are left their slots back, and list them in any order."""
    at = cuda.grid(1)
    if at < orphans.size and _is_orphan(slots[orphans[at]]):
        slots[orphans[at]] -= ORPHAN
        left[cuda.atomic.add(count, 0, 1)] = orphans[at]
