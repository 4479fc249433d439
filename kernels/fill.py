"""What pixels that are not valid look like to the filters of those beside them."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import full, is_device_array, write_where_zero
from gnnseg.kernels.compiled import loop, part

DEEP = 255
"""How deep a pixel lies that is not valid and not filled."""


def fill_rings(
    valid: np.ndarray, rings: int, out: np.ndarray, corner: tuple[int, int] = (0, 0)
) -> None:
    """Give pixels that are not valid what lies around them, so that filters see no edge there.

    Ring after ring, each takes the mean, rounded down, of those of its eight neighbours that are
    valid or were filled before. So what a pixel `n` rings deep becomes depends on pixels at most
    `n` away, wherever a window ends. Those deeper than `rings` stay.

    Parameters
    ----------
    valid : (H, W) bool
    rings : int
        At most 254.
    out : (C, H', W') int16
    corner : (y, x)
        Where in `out` the first pixel lies.
    """
    depth = full(valid.shape, np.uint8, 0, like=valid)
    write_where_zero(valid, DEEP, depth)
    if is_device_array(valid):
        from gnnseg.kernels.cuda import fill as gpu

        gpu.fill_rings(depth, rings, out, corner)
        return
    for ring in range(1, rings + 1):
        _fill_ring(depth, np.uint8(ring), out, corner)


@loop
def _fill_ring(depth, ring, out, corner):
    """Fill the pixels beside those that lie less deep than `ring`."""
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            if depth[y, x] == DEEP and _fill_pixel(depth, y, x, ring, out, corner):
                depth[y, x] = ring


@part
def _fill_pixel(depth, y, x, ring, out, corner):
    """Fill one pixel from what lies less deep around it; return whether anything does."""
    y0, y1 = max(y - 1, 0), min(y + 2, depth.shape[0])
    x0, x1 = max(x - 1, 0), min(x + 2, depth.shape[1])
    for c in range(out.shape[0]):
        count, total = 0, 0
        for ny in range(y0, y1):
            for nx in range(x0, x1):
                if depth[ny, nx] < ring:
                    count += 1
                    total += out[c, corner[0] + ny, corner[1] + nx]
        if count == 0:
            return False
        out[c, corner[0] + y, corner[1] + x] = total // count
    return True
