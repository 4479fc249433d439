"""SLIC pinned to a lattice, on a GPU; the rule is that of `gnnseg.kernels.slic`.

A plane is clustered as a volume of one layer of cells (`gnnseg.kernels.cuda.clustering`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.arrays import full, view
from gnnseg.kernels.cuda.centres import COLOUR, PLACE, take
from gnnseg.kernels.cuda.clustering import Clustering, Part
from gnnseg.kernels.cuda.smooth import soften
from gnnseg.kernels.slic import inner_cells
from gnnseg.kernels.slots import FIRST


def slic(
    work: Any,
    step: int,
    n_iter: int,
    stride: int,
    ruler: np.ndarray,
    slots: Any,
    colour: Any,
    place: Any,
    corner: tuple[int, int],
    open_sides: tuple[bool, bool, bool, bool],
) -> None:
    """Cluster one window, in place; arguments as for the CPU, and its ruler in place of a weight.

    Takes at most `MOST_CHANNELS` channels.
    """
    slots, colour, place = view(slots), view(colour), view(place)
    cells, stride = tuple(place.shape[:2]), stride if n_iter > 0 else 1
    soft = cuda.device_array((work.shape[0], *slots.shape), np.uint16)
    soften(work, corner, soft)
    homes = full((cells[0] * cells[1], COLOUR + work.shape[0]), np.int32, 0)
    scale = cuda.to_device(ruler)
    clustering = Clustering((1, step), (scale, scale), (1, *cells), homes, layers=(0,))
    look, sums = (soft.reshape(1, *soft.shape), slots.reshape(1, *slots.shape)), clustering.sums()
    clustering.seed(*look, stride, sums)
    for round_ in range(n_iter):
        part = _inner_part(cells, 2 * round_ + 1, open_sides)
        clustering.move(*look, stride, part, sums)
    part = _inner_part(cells, 2 * n_iter + 1, open_sides)
    clustering.assign(soft, slots, 0, part, FIRST, slots)
    take(homes, COLOUR, colour)
    take(homes, PLACE, place)


def _inner_part(
    cells: tuple[int, ...], inset: int, open_sides: tuple[bool, bool, bool, bool]
) -> Part:
    return 0, 1, *inner_cells(cells, inset, open_sides)
