"""Pool the tables of a lattice, on a GPU; the rule is that of `gnnseg.kernels.coarsen`.

A thread adds up a coarse cell. A plane is one layer, from which no edge leads along z.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from gnnseg.kernels.adjacency_volume import MOST_CONTRAST
from gnnseg.kernels.cuda.compare import least
from gnnseg.kernels.cuda.launch import per_item


def coarsen(tables: tuple[Any, ...], reach: int, cell: int, out: tuple[Any, ...]) -> None:
    """Add fine tables of a plane, area, moment, contact and contrast, up to coarse ones."""
    flat = [array.reshape(1, *array.shape) for array in (*tables, *out)]
    _launch(flat, (0, reach), (1, cell, cell), 1, (0, 1))


def coarsen_volume(
    tables: tuple[Any, ...],
    reach: int,
    cell: tuple[int, int, int],
    layers: int,
    out: tuple[Any, ...],
    out_reach: int,
) -> None:
    """The same of a volume; arguments as for the CPU."""
    _launch([*tables, *out], (reach, reach), cell, layers, (out_reach, out_reach))


def _launch(
    tables: list[Any],
    reach: tuple[int, int],
    cell: tuple[int, int, int],
    layers: int,
    out_reach: tuple[int, int],
) -> None:
    """Reaches are along z, and along y and x."""
    _pool[per_item(tables[4].size)](*tables, *reach, tuple(cell), layers, *out_reach)


@cuda.jit
def _pool(
    area, moment, contact, contrast, out_area, out_moment, out_contact, out_contrast,
    reach_z, reach, cell, layers, out_reach_z, out_reach,
):  # fmt: skip
    at = cuda.grid(1)
    if at < out_area.size:
        _, height, width = out_area.shape
        pz, py, px = at // (height * width), at // width % height, at % width
        for child in range(4 * layers):
            z, y, x = pz * layers + child // 4, 2 * py + child // 2 % 2, 2 * px + child % 2
            out_area[pz, py, px] += area[z, y, x]
            _add_moments(moment, area, z, y, x, cell, child, out_moment, pz, py, px)
            side, out_side = 2 * reach + 1, 2 * out_reach + 1
            for code in range(contact.shape[3]):
                dz = (z + code // (side * side) - reach_z) // layers - pz
                dy = (y + code // side % side - reach) // 2 - py
                dx = (x + code % side - reach) // 2 - px
                if contact[z, y, x, code] != 0 and (dz != 0 or dy != 0 or dx != 0):
                    row = (dz + out_reach_z) * out_side + dy + out_reach
                    to = row * out_side + dx + out_reach
                    out_contact[pz, py, px, to] += contact[z, y, x, code]
                    total = int(out_contrast[pz, py, px, to]) + int(contrast[z, y, x, code])
                    out_contrast[pz, py, px, to] = least(total, MOST_CONTRAST)


@cuda.jit(device=True)
def _add_moments(moment, area, z, y, x, cell, child, out, pz, py, px):
    """Add a child's sums of its pixels' places, counted from the corner of the coarse cell."""
    axes = out.shape[3]
    for axis in range(axes):
        along = axis + 3 - axes
        away = (child >> (2 - along) & 1) * cell[along]
        out[pz, py, px, axis] += moment[z, y, x, axis] + area[z, y, x] * away
