"""The gated sum by PyTorch Geometric: for training on GPUs, and to test the loops against."""

from __future__ import annotations

import torch
from torch_geometric.nn import MessagePassing


class GatedSum(MessagePassing):
    """`sum_j sigmoid(q_i + k_j + e_ij) * v_j`; without weights of its own.

    Of query (N, W), source (N, 2 W) of k and v, edge_index (2, E) and edge (E, W); gives (N, W).
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(
        self,
        query: torch.Tensor,
        source: torch.Tensor,
        edge_index: torch.Tensor,
        edge: torch.Tensor,
    ) -> torch.Tensor:
        return self.propagate(edge_index, query=query, source=source, edge=edge)

    def message(
        self, query_i: torch.Tensor, source_j: torch.Tensor, edge: torch.Tensor
    ) -> torch.Tensor:
        key, value = source_j.chunk(2, dim=-1)
        return torch.sigmoid(query_i + key + edge) * value


gated_sum = GatedSum()
"""Stateless, so one serves all layers and threads."""
