"""The pixels that may belong to a home: those of the 5 x 5 cells around it."""

from __future__ import annotations

from numba import cuda

from gnnseg.kernels import runs
from gnnseg.kernels.cuda.compare import least, most
from gnnseg.kernels.slots import REACH

way_home = cuda.jit(device=True)(runs.way_home)


@cuda.jit(device=True)
def near(home_y, home_x, step, height, width):
    """Where these pixels begin (y, x), and how many rows and columns of them lie in the window."""
    y0, x0 = most(home_y - REACH, 0) * step, most(home_x - REACH, 0) * step
    rows = least((home_y + REACH + 1) * step, height) - y0
    columns = least((home_x + REACH + 1) * step, width) - x0
    return y0, x0, rows, columns


@cuda.jit(device=True)
def home_offset(slots, step, y, x, home_y, home_x):
    """The layer of a pixel's home, and how many cells below and right of a home it lies."""
    layer, row, column = way_home(int(slots[y, x]))
    return layer, y // step + row - REACH - home_y, x // step + column - REACH - home_x
