"""Floating-point operations of a network, counted while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gnnseg.models.layers import EdgeGatedConv

EXPONENTIAL = 12
"""Operations of a sigmoid in the loop of the messages (`gnnseg/kernels/gated.py`)."""


class Operations:
    """How many there were so far; a multiply-add is two."""

    def __init__(self) -> None:
        self.counter = FlopCounterMode(display=False)
        self.messages = 0

    @property
    def total(self) -> int:
        return int(self.counter.get_total_flops()) + self.messages

    def add_messages(self, layer: Any, inputs: tuple[Any, ...], _output: Any) -> None:
        """Those of a compiled loop, which PyTorch does not see."""
        edges, attributes = inputs[2].shape
        self.messages += edges * layer.edge.out_features * (2 * attributes + 5 + EXPONENTIAL)


@contextmanager
def counted_operations(network: nn.Module) -> Iterator[Operations]:
    """Count what a network does inside, on this thread.

    Products and convolutions count as PyTorch counts them, padding included, and the messages of
    edge-gated layers; sums, activations and normalisation, which are few beside these, do not.

    >>> import torch
    >>> layer = nn.Linear(3, 5, bias=False)
    >>> with counted_operations(layer) as operations:
    ...     _ = layer(torch.zeros(7, 3))
    >>> operations.total == 2 * 7 * 3 * 5
    True
    """
    operations = Operations()
    layers = [module for module in network.modules() if isinstance(module, EdgeGatedConv)]
    hooks = [layer.register_forward_hook(operations.add_messages) for layer in layers]
    try:
        with operations.counter:
            yield operations
    finally:
        for hook in hooks:
            hook.remove()
