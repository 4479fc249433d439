"""Edge-gated messages, summed at their targets without a tensor of edges x channels."""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.expf import exp


def gated_messages(
    target: np.ndarray,
    source: np.ndarray,
    edge_index: np.ndarray,
    edge_attr: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
) -> np.ndarray:
    """`o_i + sum_j sigmoid(q_i + k_j + weight a_ij + bias) * v_j` over the edges, in order.

    Parameters
    ----------
    target : (N, 2 W) float32
        q, then o, of each target.
    source : (N, 2 W) float32
        k, then v, of each source.
    edge_index : (2, E) int64
        Source j and target i.
    edge_attr : (E, D) float32
    weight, bias : (W, D) and (W,) float32
        What the gate makes of the attributes of an edge.

    Returns
    -------
    (N, W) float32

    Notes
    -----
    Each channel of each edge is computed by the same operations wherever it stands, and sums run in
    the order of the edges: a node's bits depend on its own edges alone.
    """
    out = target[:, target.shape[1] // 2 :].copy()
    # The number of attributes reaches the compiler as the length of a tuple.
    number = (0,) * edge_attr.shape[1]
    _add(target, source, edge_index, edge_attr, np.ascontiguousarray(weight.T), bias, number, out)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _add(target, source, edge_index, edge_attr, weight, bias, number, out):
    width = out.shape[1]
    one = np.float32(1)
    gate = np.empty(width, np.float32)
    for edge in range(edge_attr.shape[0]):
        j, i = edge_index[0, edge], edge_index[1, edge]
        query, key, value = target[i], source[j, :width], source[j, width:]
        attr, total = edge_attr[edge], out[i]
        for c in range(width):
            argument = query[c] + key[c] + bias[c]
            for k in range(len(number)):
                argument += attr[k] * weight[k, c]
            gate[c] = argument
        for c in range(width):
            total[c] += value[c] / (one + exp(-gate[c]))
