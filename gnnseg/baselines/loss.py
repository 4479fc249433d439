"""The loss of labelled pixels, as that of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from gnnseg.training.imbalance import class_weights

if TYPE_CHECKING:
    import numpy as np

    from gnnseg.baselines.config import CnnConfig

CELL = 64
"""Pixels that count as one for `effective` class weights and the temperature: a cell of step 8."""


@dataclass(frozen=True)
class PixelLoss:
    """Cross entropy or focal loss, smoothed and weighted by class, as `gnnseg.training.loss`.

    `weights` are those of the classes; `prior` their logarithms, 0 for classes never seen.
    """

    weights: torch.Tensor
    prior: torch.Tensor
    ignore_index: int
    gamma: float
    smoothing: float

    @classmethod
    def fit(
        cls, pixels: np.ndarray, ignore_index: int, config: CnnConfig, device: torch.device
    ) -> PixelLoss:
        """The loss of a training set, from its pixels by class: (classes,), or of each image."""
        found = class_weights(pixels, config.class_weights, beta=config.effective_beta, sample=CELL)
        weights = torch.from_numpy(found).to(device)
        prior = torch.where(weights > 0, weights.clamp(min=1e-6).log(), 0.0)
        return cls(weights, prior, ignore_index, config.focal_gamma, config.label_smoothing)

    def mass(self, labels: torch.Tensor) -> torch.Tensor:
        """Weighted pixels of (B, H, W)."""
        return self.weights[labels[labels != self.ignore_index]].sum()

    def total(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of logits (B, classes, H, W), summed over weighted pixels."""
        if self.gamma:
            return self._focal(logits, labels)
        return functional.cross_entropy(
            logits,
            labels,
            self.weights,
            ignore_index=self.ignore_index,
            reduction="sum",
            label_smoothing=self.smoothing,
        )

    def _focal(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        known = labels != self.ignore_index
        logarithm = torch.log_softmax(logits.movedim(1, -1)[known], dim=1)
        targets = functional.one_hot(labels[known], len(self.weights)).to(logarithm.dtype)
        targets = (1 - self.smoothing) * targets + self.smoothing / len(self.weights)
        doubt = (-torch.expm1(logarithm)).clamp(min=1e-6).pow(self.gamma)
        return -(targets * self.weights * logarithm * doubt).sum()
