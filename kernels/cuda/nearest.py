"""The nearest homes of each home, on a GPU; the rule is that of `gnnseg.kernels.nearest`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.adjacency import CODES, REACH
from gnnseg.kernels.cuda.exact import dadd, dmul
from gnnseg.kernels.cuda.launch import per_item
from gnnseg.kernels.runs import ROW


def nearest(pos: Any, area: Any, k: int, chosen: Any) -> None:
    """Mark, for each region, its `k` nearest ones; arguments as for the CPU."""
    _mark[per_item(area.size)](pos, area, k, chosen)


@cuda.jit
def _mark(pos, area, k, chosen):
    n = cuda.grid(1)
    squared = cuda.local.array(CODES, np.float64)
    if n < area.size:
        y, x = n // area.shape[1], n % area.shape[1]
        for code in range(CODES):
            chosen[y, x, code] = 0
            squared[code] = _squared(pos, area, y, x, code)
        for _ in range(k):
            best = 0
            for code in range(1, CODES):
                if squared[code] < squared[best]:
                    best = code
            if squared[best] < np.inf:
                chosen[y, x, best] = 1
                squared[best] = np.inf


@cuda.jit(device=True)
def _squared(pos, area, y, x, code):
    """The squared distance to the region at an offset; infinite where there is none."""
    ny, nx = y + code // ROW - REACH, x + code % ROW - REACH
    inside = 0 <= ny < area.shape[0] and 0 <= nx < area.shape[1]
    if not inside or area[y, x] == 0 or area[ny, nx] == 0 or (ny == y and nx == x):
        return np.inf
    dy, dx = pos[ny, nx, 0] - pos[y, x, 0], pos[ny, nx, 1] - pos[y, x, 1]
    return dadd(dmul(dy, dy), dmul(dx, dx))
