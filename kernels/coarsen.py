"""Pool the tables of a lattice by 2 x 2 cells."""

from __future__ import annotations

from numba import njit


@njit(nogil=True, cache=True)
def coarsen(
    area, moment, contact, contrast, reach, cell, out_area, out_moment, out_contact, out_contrast
):
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
