"""Floating-point operations of networks on regions, counted from the shapes of what they compute.

Layers say what they did with `add_operations`; that costs a look at a variable, and nothing is
added up outside of `counted_operations`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MESSAGE = 17
"""Operations of a message for each channel, beside the product with the attributes of its edge: two
sums in the gate, a sum and a quotient of the sigmoid, the sum of messages, and 12 for the
exponential (`gnnseg/kernels/gated.py`, `expf.py`)."""
UPDATE = 3
"""Operations of an update over those of its forward pass: gradients take about twice as many, a
product for the inputs and one for the weights (Kaplan et al., arXiv:2001.08361, section 2.1)."""


@dataclass
class Operations:
    """How many there were so far; a multiply-add is two."""

    total: int = 0


_counting: ContextVar[Operations | None] = ContextVar("counting", default=None)


def add_operations(number: int) -> None:
    """Count operations, if this thread is inside `counted_operations`."""
    operations = _counting.get()
    if operations is not None:
        operations.total += number


@contextmanager
def counted_operations() -> Iterator[Operations]:
    """Count what networks on regions do inside, on this thread, gradients not included.

    Products and convolutions count as PyTorch counts them (`torch.utils.flop_counter`), padding
    included, and the messages of edge-gated layers; sums, activations and normalisation, which are
    few beside these, do not. Where one count lies in another, both have them.

    >>> import torch
    >>> from gnnseg.models.layers import RowLinear
    >>> layer = RowLinear(16, 32).eval()
    >>> with torch.no_grad(), counted_operations() as operations:
    ...     _ = layer(torch.zeros(64, 16))
    >>> operations.total == 2 * 64 * 16 * 32
    True
    """
    operations = Operations()
    token = _counting.set(operations)
    try:
        yield operations
    finally:
        _counting.reset(token)
        add_operations(operations.total)
