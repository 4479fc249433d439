"""Edge-gated messages and their gradients, without a tensor of edges x channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import inlined, loop
from gnnseg.kernels.expf import exp

BUNCH = 256
"""Edges whose share of a sum over all is added in float32, before float64 takes it."""
_ONE = np.float32(1)


def gated_messages(
    target: Any, source: Any, edge_index: Any, edge_attr: Any, weight: Any, bias: Any
) -> Any:
    """`o_i + sum_j sigmoid(q_i + k_j + weight a_ij + bias) * v_j` over the edges, in order.

    Parameters
    ----------
    target : (N, 2 W) float32
        q, then o, of each target.
    source : (N, 2 W) float32
        k, then v, of each source.
    edge_index : (2, E) int64
        Source j and target i; on a GPU sorted by target.
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
    if is_device_array(target):
        from gnnseg.kernels.cuda import gated as gpu

        return gpu.gated_messages(target, source, edge_index, edge_attr, weight, bias)
    out = target[:, target.shape[1] // 2 :].copy()
    # The number of attributes reaches the compiler as the length of a tuple.
    number = (0,) * edge_attr.shape[1]
    _add(target, source, edge_index, edge_attr, np.ascontiguousarray(weight.T), bias, number, out)
    return out


def gated_gradients(
    target: np.ndarray,
    source: np.ndarray,
    edge_index: np.ndarray,
    edge_attr: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    grad: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `target`, `source`, `weight` and `bias`, from that of the messages' result.

    Parameters
    ----------
    target, source, edge_index, edge_attr, weight, bias
        What `gated_messages` was given.
    grad : (N, W) float32

    Returns
    -------
    (N, 2 W), (N, 2 W), (W, D) and (W,) float32

    Notes
    -----
    Gates are computed again. Sums run in the order of the edges; those over all edges, whose number
    is large, are in float64 for every `BUNCH` edges.
    """
    number, width = edge_attr.shape[1], grad.shape[1]
    to_target, to_source = np.zeros_like(target), np.zeros_like(source)
    to_target[:, width:] = grad
    to_weight = np.zeros((number, width), np.float64)
    given = target, source, edge_index, edge_attr, np.ascontiguousarray(weight.T), bias
    _add_gradients(given, (0,) * number, grad, (to_target, to_source, to_weight))
    to_bias = to_target[:, :width].sum(axis=0, dtype=np.float64)
    return to_target, to_source, to_weight.T.astype(np.float32), to_bias.astype(np.float32)


@loop
def _add(target, source, edge_index, edge_attr, weight, bias, number, out):
    width = out.shape[1]
    gate = np.empty(width, np.float32)
    for edge in range(edge_attr.shape[0]):
        j, i = edge_index[0, edge], edge_index[1, edge]
        value, total = source[j, width:], out[i]
        _argue(target[i], source[j], edge_attr[edge], weight, bias, number, gate)
        for c in range(width):
            total[c] += value[c] / (_ONE + exp(-gate[c]))


@loop
def _add_gradients(given, number, grad, made):
    target, source, edge_index, edge_attr, weight, bias = given
    to_target, to_source, to_weight = made
    width = grad.shape[1]
    gate, slope = np.empty(width, np.float32), np.empty(width, np.float32)
    bunch = np.zeros((len(number), width), np.float32)
    for edge in range(edge_attr.shape[0]):
        j, i = edge_index[0, edge], edge_index[1, edge]
        value, above, to_value = source[j, width:], grad[i], to_source[j, width:]
        _argue(target[i], source[j], edge_attr[edge], weight, bias, number, gate)
        for c in range(width):
            gate[c] = _ONE / (_ONE + exp(-gate[c]))
        for c in range(width):
            slope[c] = above[c] * value[c] * gate[c] * (_ONE - gate[c])
        for c in range(width):
            to_value[c] += above[c] * gate[c]
        _add_to(to_target[i], slope)
        _add_to(to_source[j], slope)
        for k in range(len(number)):
            for c in range(width):
                bunch[k, c] += edge_attr[edge, k] * slope[c]
        if edge % BUNCH == BUNCH - 1:
            to_weight += bunch
            bunch[:] = 0
    to_weight += bunch


@inlined
def _argue(query, key, attr, weight, bias, number, gate):
    """Write what an edge's gate is the sigmoid of."""
    for c in range(len(gate)):
        argument = query[c] + key[c] + bias[c]
        for k in range(len(number)):
            argument += attr[k] * weight[k, c]
        gate[c] = argument


@inlined
def _add_to(total, slope):
    for c in range(len(slope)):
        total[c] += slope[c]
