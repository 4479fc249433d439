"""The nearest homes of each home, among those at most two cells away."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.adjacency import CODES, REACH
from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import loop


def nearest(pos: np.ndarray, area: np.ndarray, k: int, chosen: np.ndarray) -> None:
    """Mark, for each region, its `k` nearest ones; ties go to the lower id.

    Parameters
    ----------
    pos : (cells_y, cells_x, 2) float64
        Centroids (y, x) in pixels.
    area : (cells_y, cells_x) int64
        Regions of area 0 take no part.
    k : int
    chosen : (cells_y, cells_x, 25) int32
        Out: 1 for the offsets of the `k` nearest, 0 for the others.
    """
    if is_device_array(pos):
        from gnnseg.kernels.cuda import nearest as gpu

        gpu.nearest(pos, area, k, chosen)
        return
    _mark(pos, area, k, chosen)


@loop
def _mark(pos, area, k, chosen):
    cells_y, cells_x = area.shape
    squared = np.empty(CODES, np.float64)
    for y in range(cells_y):
        for x in range(cells_x):
            chosen[y, x] = 0
            if area[y, x] == 0:
                continue
            for code in range(CODES):
                ny, nx = y + code // 5 - REACH, x + code % 5 - REACH
                squared[code] = np.inf
                inside = 0 <= ny < cells_y and 0 <= nx < cells_x
                if inside and area[ny, nx] > 0 and (ny != y or nx != x):
                    dy, dx = pos[ny, nx, 0] - pos[y, x, 0], pos[ny, nx, 1] - pos[y, x, 1]
                    squared[code] = dy * dy + dx * dx
            for _ in range(k):
                best = 0
                for code in range(1, CODES):
                    if squared[code] < squared[best]:
                        best = code
                if squared[best] == np.inf:
                    break
                chosen[y, x, best] = 1
                squared[best] = np.inf
