"""The edge list of a lattice's dense tables, with its attributes."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import inlined, loop

ATTRIBUTES = 4
"""Distance, contact, contrast, area ratio; before them comes the way along each axis."""


def edge_list(
    contact: np.ndarray,
    contrast: np.ndarray,
    pos: np.ndarray,
    area: np.ndarray,
    reach: int,
    cell: int | tuple[int, ...],
    contrast_top: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Edges between the regions of a window of a lattice of D axes, by target, then source.

    Parameters
    ----------
    contact, contrast : (h, w, (2 reach + 1) ** 2) int32, of a volume (d, h, w, (2 reach + 1) ** 3)
        Pixel sides shared with the region at each lattice offset, and grey differences across them.
    pos : (h, w, 2) float64, of a volume (d, h, w, 3)
        Centroids (y, x) or (z, y, x) in pixels.
    area : (h, w) or (d, h, w) int64
    reach, cell : int
        Reach of the edges in cells; size of a cell in pixels, if need be along each axis.
    contrast_top : int
        The grey difference that counts as 1.

    Returns
    -------
    edge_index : (2, E) int64
        Source and target; edges whose source lies outside the window are left out.
    edge_attr : (E, D + 4) float32
        Source minus target in cells (along each axis, length), share of the target's contact, mean
        contrast, and the source's share of both areas; computed in float64.
    """
    if is_device_array(area):
        from gnnseg.kernels.cuda import edges as gpu

        return gpu.edge_list(contact, contrast, pos, area, reach, cell, contrast_top)
    axes = area.ndim
    # As a tuple, of which the compiler knows the length.
    cells = tuple(np.broadcast_to(cell, axes).tolist())
    # A plane is one layer, from which no edge leads along z.
    shape = (1, 1, *area.shape)[-3:]
    contact, contrast = (table.reshape(*shape, -1) for table in (contact, contrast))
    pos, area = pos.reshape(*shape, axes), area.reshape(shape)
    most = np.count_nonzero(contact)
    edge_index = np.empty((2, most), np.int64)
    edge_attr = np.empty((most, axes + ATTRIBUTES), np.float32)
    tables = contact, contrast, pos, area
    number = _fill(*tables, ways_of(reach, axes), cells, contrast_top, edge_index, edge_attr)
    return np.ascontiguousarray(edge_index[:, :number]), edge_attr[:number]


def ways_of(reach: int, axes: int) -> np.ndarray:
    """Where each offset of a table leads along z, y and x, (codes, 3); in a plane not along z."""
    sides = (2 * reach + 1 if axes == 3 else 1), 2 * reach + 1, 2 * reach + 1
    ways = np.stack(np.unravel_index(np.arange(np.prod(sides)), sides), axis=1)
    return ways - np.array(sides) // 2


@inlined
def _inside(z, y, x, table):
    return 0 <= z < table.shape[0] and 0 <= y < table.shape[1] and 0 <= x < table.shape[2]


@loop
def _fill(contact, contrast, pos, area, ways, cells, contrast_top, edge_index, edge_attr):
    depth, height, width, codes = contact.shape
    axes, edge = len(cells), 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                total = np.int64(0)
                for code in range(codes):
                    total += contact[z, y, x, code]
                for code in range(codes):
                    shared = np.int64(contact[z, y, x, code])
                    if shared <= 0:
                        continue
                    sz, sy, sx = z + ways[code, 0], y + ways[code, 1], x + ways[code, 2]
                    if _inside(sz, sy, sx, area):
                        edge_index[0, edge] = (sz * height + sy) * width + sx
                        edge_index[1, edge] = (z * height + y) * width + x
                        attr, squared = edge_attr[edge], 0.0
                        for axis in range(len(cells)):
                            way = (pos[sz, sy, sx, axis] - pos[z, y, x, axis]) / cells[axis]
                            attr[axis] = way
                            squared += way * way
                        attr[axes], attr[axes + 1] = np.sqrt(squared), shared / total
                        attr[axes + 2] = contrast[z, y, x, code] / (shared * contrast_top)
                        both = area[sz, sy, sx] + area[z, y, x]
                        attr[axes + 3] = area[sz, sy, sx] / max(both, 1)
                        edge += 1
    return edge
