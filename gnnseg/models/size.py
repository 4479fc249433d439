"""How large networks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def num_parameters(*modules: nn.Module) -> int:
    """How many numbers some modules learn.

    >>> from torch import nn
    >>> num_parameters(nn.Linear(3, 2), nn.LayerNorm(2))
    12
    """
    return sum(values.numel() for module in modules for values in module.parameters())
