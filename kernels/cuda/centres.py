"""Centres of superpixels on a GPU: a row of 32-bit numbers for each cell, which lie together.

Whether there is one, its place along z, y and x, and its colour.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from gnnseg.kernels.cuda.launch import per_item

ACTIVE, HEIGHT, PLACE, COLOUR = 0, 1, 2, 4
"""In which columns this begins."""


def take(centres: Any, first: int, out: Any) -> None:
    """Write columns from `first` on to `out`, of any shape with as many cells."""
    number = centres.shape[0]
    _take[per_item(number)](centres, first, out.reshape(number, out.size // number))


def put(values: Any, first: int, centres: Any) -> None:
    """Write `values`, of any shape with as many cells, to the columns from `first` on."""
    number = centres.shape[0]
    _put[per_item(number)](values.reshape(number, values.size // number), first, centres)


@cuda.jit
def _take(centres, first, out):
    cell = cuda.grid(1)
    if cell < centres.shape[0]:
        for column in range(out.shape[1]):
            out[cell, column] = centres[cell, first + column]


@cuda.jit
def _put(values, first, centres):
    cell = cuda.grid(1)
    if cell < centres.shape[0]:
        for column in range(values.shape[1]):
            centres[cell, first + column] = values[cell, column]
