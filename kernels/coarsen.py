"""Pool the tables of a lattice by 2 x 2 cells, those of a volume by layers too."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.adjacency_volume import MOST_CONTRAST
from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import loop

Tables = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Area, moment, contact and contrast."""


def coarsen(
    area: np.ndarray,
    moment: np.ndarray,
    contact: np.ndarray,
    contrast: np.ndarray,
    reach: int,
    cell: int,
    out_area: np.ndarray,
    out_moment: np.ndarray,
    out_contact: np.ndarray,
    out_contrast: np.ndarray,
) -> None:
    """Add fine tables up to coarse ones; edges that become inner vanish.

    Parameters
    ----------
    area : (2 h, 2 w) int64
        Pixels by region; the window starts at an even cell of the whole lattice.
    moment : (2 h, 2 w, 2) int64
        Sums of y and x, from the corner of each home cell.
    contact, contrast : (2 h, 2 w, (2 reach + 1) ** 2) int32
    reach, cell : int
        Reach of the fine edges in cells; size of a fine cell in pixels.
    out_area, out_moment, out_contact, out_contrast
        (h, w), (h, w, 2), (h, w, 9), (h, w, 9), zeroed by the caller.
    """
    tables = area, moment, contact, contrast
    out = out_area, out_moment, out_contact, out_contrast
    if is_device_array(area):
        from gnnseg.kernels.cuda import coarsen as gpu

        gpu.coarsen(tables, reach, cell, out)
        return
    _pool_plane(tables, reach, cell, out)


@loop
def _pool_plane(tables, reach, cell, out):
    area, moment, contact, contrast = tables
    out_area, out_moment, out_contact, out_contrast = out
    side = 2 * reach + 1
    for y in range(area.shape[0]):
        for x in range(area.shape[1]):
            py, px = y // 2, x // 2
            out_area[py, px] += area[y, x]
            out_moment[py, px, 0] += moment[y, x, 0] + area[y, x] * (y % 2) * cell
            out_moment[py, px, 1] += moment[y, x, 1] + area[y, x] * (x % 2) * cell
            for code in range(side * side):
                if contact[y, x, code] == 0:
                    continue
                dy = (y + code // side - reach) // 2 - py
                dx = (x + code % side - reach) // 2 - px
                if dy != 0 or dx != 0:
                    coarse = 3 * (dy + 1) + dx + 1
                    out_contact[py, px, coarse] += contact[y, x, code]
                    out_contrast[py, px, coarse] += contrast[y, x, code]


def coarsen_volume(
    tables: Tables,
    reach: int,
    cell: tuple[int, int, int],
    layers: int,
    out: Tables,
    out_reach: int,
) -> None:
    """The same of a volume: pool 2 x 2 cells of `layers` layers (1 or 2).

    Parameters
    ----------
    tables : area, moment, contact, contrast
        As for planes, (layers d, 2 h, 2 w, ...), with moments of z, y and x; the box starts at a
        corner of a coarse cell.
    reach, out_reach : int
        Reach of the fine and of the coarse edges, in cells of their own.
    cell : (z, y, x) int
        Size of a fine cell.
    out : area, moment, contact, contrast
        (d, h, w, ...), zeroed by the caller.
    """
    if is_device_array(tables[0]):
        from gnnseg.kernels.cuda import coarsen as gpu

        gpu.coarsen_volume(tables, reach, cell, layers, out, out_reach)
        return
    _pool_volume(tables, reach, cell, layers, out, out_reach)


@loop
def _pool_volume(tables, reach, cell, layers, out, out_reach):
    area, moment, contact, contrast = tables
    out_area, out_moment, out_contact, out_contrast = out
    side, out_side = 2 * reach + 1, 2 * out_reach + 1
    factors = layers, 2, 2
    for z in range(area.shape[0]):
        for y in range(area.shape[1]):
            for x in range(area.shape[2]):
                here, parent = (z, y, x), (z // layers, y // 2, x // 2)
                out_area[parent] += area[here]
                for axis in range(3):
                    away = here[axis] % factors[axis] * cell[axis]
                    total = moment[z, y, x, axis] + area[here] * away
                    out_moment[parent[0], parent[1], parent[2], axis] += total
                for code in range(side**3):
                    if contact[z, y, x, code] == 0:
                        continue
                    dz = (z + code // side**2 - reach) // layers - parent[0]
                    dy = (y + code // side % side - reach) // 2 - parent[1]
                    dx = (x + code % side - reach) // 2 - parent[2]
                    if dz != 0 or dy != 0 or dx != 0:
                        row = (dz + out_reach) * out_side + dy + out_reach
                        to = parent[0], parent[1], parent[2], row * out_side + dx + out_reach
                        out_contact[to] += contact[z, y, x, code]
                        total = np.int64(out_contrast[to]) + contrast[z, y, x, code]
                        out_contrast[to] = min(total, MOST_CONTRAST)
