"""Filling of pixels that are not valid, on a GPU; the rule is that of `gnnseg.kernels.fill`."""

from __future__ import annotations

from typing import Any

from numba import cuda

from gnnseg.kernels.cuda.compare import least, most
from gnnseg.kernels.cuda.launch import per_pixel
from gnnseg.kernels.fill import DEEP


def fill_rings(depth: Any, rings: int, out: Any, corner: tuple[int, int]) -> None:
    """Fill ring after ring of the pixels whose `depth` (H, W) uint8 is `DEEP`."""
    for ring in range(1, rings + 1):
        _fill_ring[per_pixel(*depth.shape)](depth, ring, out, *corner)


@cuda.jit
def _fill_ring(depth, ring, out, corner_y, corner_x):
    """Fill the pixels beside those that lie less deep than `ring`; no thread reads these."""
    x, y = cuda.grid(2)
    if y < depth.shape[0] and x < depth.shape[1] and depth[y, x] == DEEP:
        y0, y1 = most(y - 1, 0), least(y + 2, depth.shape[0])
        x0, x1 = most(x - 1, 0), least(x + 2, depth.shape[1])
        for c in range(out.shape[0]):
            count, total = 0, 0
            for ny in range(y0, y1):
                for nx in range(x0, x1):
                    if depth[ny, nx] < ring:
                        count += 1
                        total += int(out[c, corner_y + ny, corner_x + nx])
            if count > 0:
                out[c, corner_y + y, corner_x + x] = total // count
                depth[y, x] = ring
