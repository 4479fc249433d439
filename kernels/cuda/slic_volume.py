"""SLIC pinned to a lattice of a volume, on a GPU; the rule is `gnnseg.kernels.slic_volume`'s.

Planes are read one by one. While centres are found, the filtered channels of all lie on the GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.arrays import copy, view
from gnnseg.kernels.cuda.centres import ACTIVE, COLOUR, HEIGHT, PLACE, put, take
from gnnseg.kernels.cuda.clustering import Clustering
from gnnseg.kernels.cuda.smooth import soften
from gnnseg.kernels.slic_volume import FIRST_HOME, Centres, Volume, inner_box


def find_centres(volume: Volume, rounds: int, stride: int, before: Centres | None) -> Centres:
    """The centres after some more rounds, on the GPU; arguments as for the CPU."""
    if before is not None and rounds == 0:
        return before
    soft = cuda.device_array((volume.shape[0], volume.channels, *volume.shape[1:]), np.uint16)
    slots = cuda.device_array(volume.shape, np.uint8)
    for z in range(volume.shape[0]):
        work, taken = volume.planes(z)
        soften(work, volume.corner, soft[z])
        copy(taken, slots[z])
    centres = before or Centres.none(volume.cells, volume.channels, like=volume.like)
    clustering = _clustering(volume, centres, before is not None)
    sums = clustering.sums()
    if before is None:
        clustering.seed(soft, slots, stride, sums)
    for round_ in range(rounds):
        part = inner_box(clustering.cells, 2 * round_ + 1, volume.open_sides)
        clustering.move(soft, slots, stride, part, sums)
    for name, column in _COLUMNS.items():
        take(clustering.homes, column, getattr(centres, name))
    return centres


def assign_volume(volume: Volume, centres: Centres, slots: Any) -> None:
    """Write the slots of the voxels of a window; arguments as for the CPU."""
    slots, clustering = view(slots), _clustering(volume, centres, True)
    part = inner_box(clustering.cells, 1, volume.open_sides)
    soft = cuda.device_array((volume.channels, *volume.shape[1:]), np.uint16)
    for z in range(volume.shape[0]):
        work, taken = volume.planes(z)
        soften(work, volume.corner, soft)
        clustering.assign(soft, taken, z, part, FIRST_HOME, slots[z])


_COLUMNS = {"active": ACTIVE, "height": HEIGHT, "place": PLACE, "colour": COLOUR}


def _clustering(volume: Volume, centres: Centres, wider: bool) -> Clustering:
    """The lattice of a window; `wider` if there are centres of one cell further on open sides."""
    (layers, _), (rows, _), (columns, _) = volume.open_sides
    first = (int(layers), int(rows), int(columns)) if wider else (0, 0, 0)
    homes = cuda.device_array((centres.active.size, COLOUR + volume.channels), np.int32)
    for name, column in _COLUMNS.items():
        put(getattr(centres, name), column, homes)
    deep, wide = map(cuda.to_device, volume.rulers)
    return Clustering(volume.steps, (deep, wide), tuple(centres.active.shape), homes, first)
