"""Message passing: one pass over the edges; for gradients on a GPU, PyTorch Geometric."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear

from gnnseg.kernels.gated import gated_gradients, gated_messages
from gnnseg.models.loops import loops_take


def send_messages(
    target: torch.Tensor,
    source: torch.Tensor,
    edge_index: torch.Tensor,
    edge_attr: torch.Tensor,
    gate: torch.nn.Linear,
) -> torch.Tensor:
    """`o_i + sum_j sigmoid(q_i + k_j + gate(a_ij)) * v_j` over the edges, (N, W).

    Parameters
    ----------
    target, source : (N, 2 W)
        q and o of each target, k and v of each source.
    edge_index : (2, E) int64
        Sorted by target.
    edge_attr : (E, D)
        No gradients reach it.
    gate : Linear
        From D to W.
    """
    given = target, source, edge_index, edge_attr, gate.weight, gate.bias
    if target.is_cuda and loops_take(target):
        return gated_messages(*(tensor.detach().contiguous() for tensor in given))
    if target.is_cuda:
        from gnnseg.models.gated_sum import gated_sum

        (query, own), edge = target.chunk(2, dim=-1), linear(edge_attr, gate.weight, gate.bias)
        return own + gated_sum(query, source, edge_index, edge)
    summed: torch.Tensor = _Messages.apply(*given)
    return summed


class _Messages(torch.autograd.Function):
    """The compiled loops as one operation of PyTorch."""

    @staticmethod
    def forward(ctx: Any, *inputs: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(*inputs)
        return torch.from_numpy(gated_messages(*_arrays(*inputs)))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        found = gated_gradients(*_arrays(*ctx.saved_tensors, grad))
        to_target, to_source, to_weight, to_bias = map(torch.from_numpy, found)
        return to_target, to_source, None, None, to_weight, to_bias


def _arrays(*tensors: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)
