"""The edge list of a lattice's dense tables, with its attributes."""

from __future__ import annotations

import numpy as np
from numba import njit

ATTRIBUTES = 6
"""dy, dx, distance, contact, contrast, area ratio."""


def edge_list(
    contact: np.ndarray,
    contrast: np.ndarray,
    pos: np.ndarray,
    area: np.ndarray,
    reach: int,
    cell: int,
    contrast_top: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Edges between the regions of a window, by target, then source.

    Parameters
    ----------
    contact, contrast : (h, w, (2 reach + 1) ** 2) int32
        Pixel sides shared with the region at each lattice offset, and grey differences across them.
    pos : (h, w, 2) float64
        Centroids (y, x) in pixels.
    area : (h, w) int64
    reach, cell : int
        Reach of the edges in cells; size of a cell in pixels.
    contrast_top : int
        The grey difference that counts as 1.

    Returns
    -------
    edge_index : (2, E) int64
        Source and target; edges whose source lies outside the window are left out.
    edge_attr : (E, 6) float32
        Source minus target in cells (y, x, length), share of the target's contact, mean contrast,
        and the source's share of both areas; computed in float64.
    """
    most = np.count_nonzero(contact)
    edge_index = np.empty((2, most), np.int64)
    edge_attr = np.empty((most, ATTRIBUTES), np.float32)
    tables = contact, contrast, pos, area
    number = _fill(*tables, reach, cell, contrast_top, edge_index, edge_attr)
    return np.ascontiguousarray(edge_index[:, :number]), edge_attr[:number]


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(contact, contrast, pos, area, reach, cell, contrast_top, edge_index, edge_attr):
    height, width, codes = contact.shape
    side = 2 * reach + 1
    edge = 0
    for y in range(height):
        for x in range(width):
            total = np.int64(0)
            for code in range(codes):
                total += contact[y, x, code]
            for code in range(codes):
                shared = np.int64(contact[y, x, code])
                if shared <= 0:
                    continue
                sy, sx = y + code // side - reach, x + code % side - reach
                if 0 <= sy < height and 0 <= sx < width:
                    edge_index[0, edge] = sy * width + sx
                    edge_index[1, edge] = y * width + x
                    attr = edge_attr[edge]
                    dy = (pos[sy, sx, 0] - pos[y, x, 0]) / cell
                    dx = (pos[sy, sx, 1] - pos[y, x, 1]) / cell
                    attr[0], attr[1], attr[2] = dy, dx, np.sqrt(dy * dy + dx * dx)
                    attr[3] = shared / total
                    attr[4] = contrast[y, x, code] / (shared * contrast_top)
                    attr[5] = area[sy, sx] / max(area[sy, sx] + area[y, x], 1)
                    edge += 1
    return edge
