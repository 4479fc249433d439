"""The edge list of dense tables, on a GPU; the rule is that of `gnnseg.kernels.edges`.

A thread works on a target: first all count their edges, then each writes its own where they begin.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.arrays import as_rows
from gnnseg.kernels.cuda.arrays import constant
from gnnseg.kernels.cuda.compare import most
from gnnseg.kernels.cuda.exact import dadd, dmul
from gnnseg.kernels.cuda.launch import per_item
from gnnseg.kernels.cuda.scan import starts_of
from gnnseg.kernels.edges import ATTRIBUTES, ways_of


def edge_list(
    contact: Any,
    contrast: Any,
    pos: Any,
    area: Any,
    reach: int,
    cell: int | tuple[int, ...],
    contrast_top: int,
) -> tuple[Any, Any]:
    """Edges between the regions of a window, and their attributes; arguments as for the CPU."""
    axes, size = area.ndim, area.size
    shape = (1, *area.shape)[-3:]
    cells = tuple(np.broadcast_to(cell, axes).tolist())
    ways = constant(ways_of(reach, axes))
    contact, contrast, pos = (as_rows(t, axes) for t in (contact, contrast, pos))
    numbers = cuda.device_array(size, np.int32)
    _count[per_item(size)](contact, ways, shape, numbers)
    starts, total = starts_of(numbers)
    edge_index = cuda.device_array((2, total), np.int64)
    edge_attr = cuda.device_array((total, axes + ATTRIBUTES), np.float32)
    tables = contact, contrast, pos, as_rows(area, axes)
    _fill[per_item(size)](*tables, ways, shape, cells, contrast_top, starts, edge_index, edge_attr)
    return edge_index, edge_attr


@cuda.jit(device=True)
def _source(n, ways, code, shape):
    """The region at an offset from the `n`-th; -1 outside the window."""
    z = n // (shape[1] * shape[2]) + ways[code, 0]
    y, x = n // shape[2] % shape[1] + ways[code, 1], n % shape[2] + ways[code, 2]
    inside = 0 <= z < shape[0] and 0 <= y < shape[1] and 0 <= x < shape[2]
    return (z * shape[1] + y) * shape[2] + x if inside else -1


@cuda.jit
def _count(contact, ways, shape, numbers):
    n = cuda.grid(1)
    if n < numbers.size:
        number = 0
        for code in range(contact.shape[1]):
            if contact[n, code] > 0 and _source(n, ways, code, shape) >= 0:
                number += 1
        numbers[n] = number


@cuda.jit
def _fill(
    contact, contrast, pos, area, ways, shape, cells, contrast_top, starts, edge_index, edge_attr
):
    n = cuda.grid(1)
    if n < area.size:
        total, edge = 0, starts[n]
        for code in range(contact.shape[1]):
            total += int(contact[n, code])
        for code in range(contact.shape[1]):
            source, shared = _source(n, ways, code, shape), int(contact[n, code])
            if shared > 0 and source >= 0:
                edge_index[0, edge], edge_index[1, edge] = source, n
                axes = _write_way(pos, source, n, cells, edge_attr, edge)
                edge_attr[edge, axes + 1] = shared / total
                edge_attr[edge, axes + 2] = int(contrast[n, code]) / (shared * contrast_top)
                both = area[source] + area[n]
                edge_attr[edge, axes + 3] = area[source] / most(both, 1)
                edge += 1


@cuda.jit(device=True)
def _write_way(pos, source, target, cells, edge_attr, edge):
    """Write the way from target to source in cells, and its length; return the number of axes."""
    squared = 0.0
    for axis in range(len(cells)):
        way = (pos[source, axis] - pos[target, axis]) / cells[axis]
        edge_attr[edge, axis] = way
        squared = dadd(squared, dmul(way, way))
    edge_attr[edge, len(cells)] = math.sqrt(squared)
    return len(cells)
