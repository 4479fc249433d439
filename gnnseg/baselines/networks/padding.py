"""Images of any size for networks that halve them several times."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional


def padded(
    network: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, multiple: int
) -> torch.Tensor:
    """What a network makes of images (B, C, H, W) whose sides are brought to a multiple.

    Edges are repeated below and to the right, and cut off again.
    """
    height, width = x.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if below or right:
        x = functional.pad(x, (0, right, 0, below), mode="replicate")
    return network(x)[..., :height, :width]
