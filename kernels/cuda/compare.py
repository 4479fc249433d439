"""The lesser and the greater of two numbers: Numba's `min` and `max` do not compile for a GPU.

Since Numba 0.66, see https://github.com/numba/numba/issues/10753.
"""

from __future__ import annotations

from numba import cuda


@cuda.jit(device=True)
def least(a, b):
    """The lesser of two numbers."""
    return a if a < b else b  # noqa: FURB136


@cuda.jit(device=True)
def most(a, b):
    """The greater of two numbers."""
    return a if a > b else b  # noqa: FURB136
