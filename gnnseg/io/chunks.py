"""How many chunks of an array a part of it touches."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

CODED_AT_ONCE = 10
"""Chunks that zarr works on at once (its `async.concurrency`)."""


def touched(length: int, chunk: int, size: int) -> int:
    """How many chunks of an axis of some length a part of some size touches at most.

    >>> touched(100, 10, 11), touched(100, 10, 12), touched(100, 10, 100)
    (2, 3, 10)
    """
    return min(-(-length // chunk), (size - 2) // chunk + 2)


def all_touched(shape: Sequence[int], chunks: Sequence[int], sizes: Sequence[int]) -> int:
    """The same of an array: of all its axes together."""
    return prod(touched(*axis) for axis in zip(shape, chunks, sizes, strict=True))
