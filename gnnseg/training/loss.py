"""Class weights, and the loss on soft labels."""

from __future__ import annotations

import numpy as np
import torch


def class_weights(pixels: np.ndarray, kind: str) -> np.ndarray:
    """Weights (classes,) float32 from the pixels of each class.

    `enet`: 1 / ln(1.02 + p), Paszke et al., arXiv:1606.02147, section 5.1. `median`: median
    frequency over frequency, Eigen and Fergus, arXiv:1411.4734, section 6.3.2. `none`: ones.
    Classes without a pixel weigh nothing.
    """
    share = pixels / max(1, pixels.sum())
    present = share > 0
    if kind == "none" or not present.any():
        return present.astype(np.float32)
    if kind == "enet":
        weights = 1 / np.log(1.02 + share)
    else:
        weights = np.median(share[present]) / np.maximum(share, share[present].min())
    return np.where(present, weights, 0).astype(np.float32)


def soft_loss(logits: torch.Tensor, counts: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Cross entropy summed over pixels, when every pixel of a region gets the region's logits.

    `logits` and `counts` are (N, classes); each class's pixels weigh `weights`. Divide by
    `soft_mass` for the mean.
    """
    return -(counts * weights * torch.log_softmax(logits, dim=1)).sum()


def soft_mass(counts: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted pixels of (N, classes) counts; at least one."""
    return (counts * weights).sum().clamp(min=1)
