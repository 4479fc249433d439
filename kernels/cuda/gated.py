"""Edge-gated messages on a GPU; the rule is that of `gnnseg.kernels.gated`.

A thread adds up a channel of a target, over its edges in order: no thread waits for another, and
sums have the order that they have on a processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.errors import UsageError
from gnnseg.kernels.cuda.arrays import empty, full, view
from gnnseg.kernels.cuda.exact import fadd, fmul
from gnnseg.kernels.cuda.expf import exp
from gnnseg.kernels.cuda.launch import per_item
from gnnseg.kernels.expf import ONE


def gated_messages(
    target: Any, source: Any, edge_index: Any, edge_attr: Any, weight: Any, bias: Any
) -> Any:
    """`o_i + sum_j sigmoid(...) * v_j`, (N, W); arguments as for the CPU, edges by target.

    Raises `UsageError` if edges are not sorted by target.
    """
    given = [view(array) for array in (target, source, edge_index, edge_attr, weight, bias)]
    nodes, width = target.shape[0], target.shape[1] // 2
    starts = _starts_of(given[2], nodes)
    # PyTorch's memory for its tensors: it may hold all that there is.
    there = hasattr(target, "new_empty")
    out = target.new_empty((nodes, width)) if there else empty((nodes, width), np.float32)
    _add[per_item(nodes * width)](*given, starts, view(out))
    return out


def _starts_of(edge_index: Any, nodes: int) -> Any:
    """Where the edges of each target begin, and of one target more."""
    edges = edge_index.shape[1]
    starts, disorder = full((nodes + 1,), np.int64, edges), full((1,), np.int32, 0)
    _find_starts[per_item(edges)](edge_index, starts, disorder)
    if disorder.copy_to_host()[0]:
        raise UsageError("on a GPU, messages take edges that are sorted by target")
    return starts


@cuda.jit
def _find_starts(edge_index, starts, disorder):
    """Each edge writes the starts of its target, and of those without edges before it."""
    edge = cuda.grid(1)
    if edge < edge_index.shape[1]:
        here = edge_index[1, edge]
        before = edge_index[1, edge - 1] if edge > 0 else -1
        if before > here:
            disorder[0] = 1
        for node in range(before + 1, here + 1):
            starts[node] = edge


@cuda.jit
def _add(target, source, edge_index, edge_attr, weight, bias, starts, out):
    at, width = cuda.grid(1), out.shape[1]
    if at < out.size:
        i, c = at // width, at % width
        total = target[i, width + c]
        for edge in range(starts[i], starts[i + 1]):
            j = edge_index[0, edge]
            gate = fadd(fadd(target[i, c], source[j, c]), bias[c])
            for k in range(edge_attr.shape[1]):
                gate = fadd(gate, fmul(edge_attr[edge, k], weight[c, k]))
            total = fadd(total, source[j, width + c] / fadd(ONE, exp(-gate)))
        out[i, c] = total
