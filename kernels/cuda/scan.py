"""Where the shares of a list begin, when each item has so many of its entries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.compare import least
from gnnseg.kernels.cuda.launch import per_item

_PIECE = 256
"""Items that a thread adds up."""


def starts_of(numbers: Any) -> tuple[Any, int]:
    """Where each item's entries begin (N,) int64, and how many entries there are.

    Only a sum for every `_PIECE` items comes to memory, as the length of the list has to.
    """
    pieces = math.ceil(numbers.size / _PIECE)
    sums = cuda.device_array(pieces, np.int64)
    starts = cuda.device_array(numbers.size, np.int64)
    _add_up[per_item(pieces)](numbers, sums)
    before = np.zeros(pieces + 1, np.int64)
    np.cumsum(sums.copy_to_host(), out=before[1:])
    _write_starts[per_item(pieces)](numbers, cuda.to_device(before), starts)
    return starts, int(before[-1])


@cuda.jit
def _add_up(numbers, sums):
    piece = cuda.grid(1)
    if piece < sums.size:
        total = 0
        for n in range(piece * _PIECE, least((piece + 1) * _PIECE, numbers.size)):
            total += int(numbers[n])
        sums[piece] = total


@cuda.jit
def _write_starts(numbers, before, starts):
    piece = cuda.grid(1)
    if piece < before.size - 1:
        total = int(before[piece])
        for n in range(piece * _PIECE, least((piece + 1) * _PIECE, numbers.size)):
            starts[n] = total
            total += int(numbers[n])
