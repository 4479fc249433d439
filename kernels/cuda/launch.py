"""How many threads a launch has."""

from __future__ import annotations

import math

from numba import config

from gnnseg.errors import UsageError

config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # type: ignore[attr-defined]  # small tables: small grids
_SIMULATED: bool = config.ENABLE_CUDASIM  # type: ignore[attr-defined]
THREADS = 8 if _SIMULATED else 128
"""Threads of a block that works on one cell or home together; few where each is simulated."""
_MOST_DOWN = (1 << 16) - 1
"""Blocks along y, and along z, of any launch."""
_PIXELS = (4, 4) if _SIMULATED else (32, 8)


def per_item(count: int) -> tuple[int, int]:
    """Blocks and threads for a thread an item."""
    return max(1, math.ceil(count / THREADS)), THREADS


def per_pixel(height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Blocks and threads for a thread a pixel: x, y."""
    columns, rows = _PIXELS
    if height > _MOST_DOWN * rows:
        raise UsageError(
            f"{height} rows of pixels are too many for a GPU, which takes {_MOST_DOWN * rows}: "
            "bring the image to memory, or cut it"
        )
    return (max(1, math.ceil(width / columns)), max(1, math.ceil(height / rows))), _PIXELS


def per_voxel(
    depth: int, height: int, width: int
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Blocks and threads for a thread a voxel: x, y, z."""
    (across, down), (columns, rows) = per_pixel(height, width)
    if depth > _MOST_DOWN:
        raise UsageError(
            f"{depth} planes are too many for a GPU, which takes {_MOST_DOWN}: "
            "bring the volume to memory, or cut it"
        )
    return (across, down, depth), (columns, rows, 1)
