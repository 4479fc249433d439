"""Layers whose results for a node do not depend on which other nodes are computed with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn
from torch.nn import functional

from gnnseg.models.checks import check_share
from gnnseg.models.messages import send_messages
from gnnseg.models.operations import MESSAGE, add_operations

ROWS = 64
"""Rows of one matrix product at inference: few rows would take other code and give other bits."""


LANES = 16
"""At inference, channels are padded to a multiple of this: remainders take other code, too."""


class RowLinear(nn.Linear):
    """A linear layer that, without gradients, multiplies `ROWS` rows at a time, zero-padded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training or torch.is_grad_enabled():
            add_operations(2 * x.numel() * self.out_features)
            return super().forward(x)
        inner, outer, rows = -self.in_features % LANES, -self.out_features % LANES, -len(x) % ROWS
        weight: torch.Tensor = self.weight
        bias: torch.Tensor | None = self.bias
        if inner:
            x = functional.pad(x, (0, inner))
        if inner or outer:
            weight = functional.pad(weight, (0, inner, 0, outer))
        if outer and bias is not None:
            bias = functional.pad(bias, (0, outer))
        out = x.new_empty(len(x) + rows, len(weight))
        add_operations(2 * len(out) * weight.numel())
        whole = len(x) // ROWS * ROWS
        if whole:
            _multiply(x[:whole], weight, bias, out[:whole])
        if rows:
            _multiply(functional.pad(x[whole:], (0, 0, 0, rows)), weight, bias, out[whole:])
        return out[: len(x), : self.out_features].contiguous()


def _multiply(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, out: torch.Tensor
) -> None:
    """Write `x @ weight.T + bias` to `out`, as one product for each `ROWS` rows."""
    parts, results = x.contiguous().view(-1, ROWS, x.shape[1]), out.view(-1, ROWS, out.shape[1])
    weights = weight.T.expand(len(parts), -1, -1)
    if bias is None:
        torch.bmm(parts, weights, out=results)
    else:
        torch.baddbmm(bias, parts, weights, out=results)


_random: ContextVar[torch.Generator | None] = ContextVar("random", default=None)


@contextmanager
def random_from(generator: torch.Generator) -> Iterator[None]:
    """Let dropout draw from `generator` inside; each thread may have its own."""
    token = _random.set(generator)
    try:
        yield
    finally:
        _random.reset(token)


class Convolution(nn.Conv2d):
    """A convolution that counts its operations."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = super().forward(x)
        add_operations(2 * out.numel() * self.weight[0].numel())
        return out


class Dropout(nn.Module):
    """Dropout that draws from the generator of `random_from`, so that threads do not share one.

    Raises `UsageError` unless `p` is a number from 0 to below 1.
    """

    def __init__(self, p: float) -> None:
        check_share("dropout", p)
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        # Two 32-bit draws out of each 64-bit word: a third of the time of `bernoulli_`.
        words = torch.empty(-(-x.numel() // 2), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), 2**63 - 1, generator=_random.get())
        draws = words.view(torch.int32)[: x.numel()].view(x.shape)
        keep = draws >= round(self.p * 2**32) - 2**31
        return x * keep.float().div_(1 - self.p)


class EdgeGatedConv(nn.Module):
    """Residual gated graph convolution whose gates see the edge.

    `out_i = W x_i + sum_j sigmoid(Q x_i + K x_j + E e_ij) * V x_j`, after Bresson and Laurent,
    "Residual gated graph ConvNets", arXiv:1711.07553, equation 11, with an edge term in the gate.
    `gnnseg.kernels.gated` computes the sum and, on a CPU, its gradients, each in one pass over the
    edges; in trainings on a GPU it is PyTorch Geometric's message passing.
    """

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.target = RowLinear(channels, 2 * channels)
        self.source = RowLinear(channels, 2 * channels)
        self.edge = RowLinear(edge_channels, channels)

    def forward(
        self, x: torch.Tensor, edge_index: torch.Tensor, edge_attr: torch.Tensor
    ) -> torch.Tensor:
        edges, attributes = edge_attr.shape
        add_operations(edges * self.edge.out_features * (2 * attributes + MESSAGE))
        return send_messages(self.target(x), self.source(x), edge_index, edge_attr, self.edge)


class ResidualBlock(nn.Module):
    """`x + dropout(relu(conv(norm(x))))`, zero for empty regions."""

    def __init__(self, channels: int, edge_channels: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = EdgeGatedConv(channels, edge_channels)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: torch.Tensor,
        edge_index: torch.Tensor,
        edge_attr: torch.Tensor,
        occupied: torch.Tensor,
    ) -> torch.Tensor:
        update = self.conv(self.norm(x), edge_index, edge_attr)
        return (x + self.dropout(torch.relu(update))) * occupied


class Perceptron(nn.Sequential):
    """Two linear layers with a ReLU and dropout between."""

    def __init__(self, inner: int, hidden: int, outer: int, dropout: float) -> None:
        super().__init__(
            RowLinear(inner, hidden), nn.ReLU(), Dropout(dropout), RowLinear(hidden, outer)
        )


def pool(
    x: torch.Tensor, area: torch.Tensor, parent: torch.Tensor, num_parents: int
) -> torch.Tensor:
    """Mean over the children of each parent, weighted by their pixels."""
    total = area.new_zeros(num_parents, 1).index_add_(0, parent, area)
    mean = x.new_zeros(num_parents, x.shape[1]).index_add_(0, parent, x * area)
    return mean / total.clamp(min=1)
