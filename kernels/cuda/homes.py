"""The pixels that may belong to a home: those of the 5 x 5 cells around it."""

from __future__ import annotations

from numba import cuda

from gnnseg.kernels.cuda.compare import least, most
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import MASKED, REACH


@cuda.jit(device=True)
def near(home_y, home_x, step, height, width):
    """Where these pixels begin (y, x), and how many rows and columns of them lie in the window."""
    y0, x0 = most(home_y - REACH, 0) * step, most(home_x - REACH, 0) * step
    rows = least((home_y + REACH + 1) * step, height) - y0
    columns = least((home_x + REACH + 1) * step, width) - x0
    return y0, x0, rows, columns


@cuda.jit(device=True)
def home_offset(slots, step, y, x, home_y, home_x):
    """How many cells below and right of a home that of a pixel lies."""
    slot = int(slots[y, x])
    return y // step + slot // ROW - REACH - home_y, x // step + slot % ROW - REACH - home_x


@cuda.jit(device=True)
def belongs(slots, step, y, x, home_y, home_x):
    """Whether a pixel is one of a home's."""
    dy, dx = home_offset(slots, step, y, x, home_y, home_x)
    return slots[y, x] != MASKED and dy == 0 and dx == 0
