"""Images of any size for networks that halve theirs several times."""

from __future__ import annotations

import torch
from torch.nn import functional

SMALLEST = 32
"""Height and width that smaller images are padded to: the coarsest values, 2 x 2 then, have a
deviation to be normalised by."""


def pad_to_multiple(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last row and column until height and width are multiples and not below `SMALLEST`.

    Parameters
    ----------
    x : (B, C, H, W) tensor
    multiple : int

    Returns
    -------
    (B, C, H', W') tensor
        Whose first H rows and W columns are `x`.

    Examples
    --------
    >>> pad_to_multiple(torch.zeros(1, 3, 50, 7), 16).shape
    torch.Size([1, 3, 64, 32])
    """
    rows, columns = (_missing(size, multiple) for size in x.shape[-2:])
    if not rows and not columns:
        return x
    return functional.pad(x, (0, columns, 0, rows), mode="replicate")


def _missing(size: int, multiple: int) -> int:
    return -(-max(size, SMALLEST) // multiple) * multiple - size
