"""The loss of soft labels: cross entropy or focal, smoothed, weighted by class and by area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gnnseg.training.imbalance import balanced_draws, class_weights, draw_weights

if TYPE_CHECKING:
    import numpy as np

    from gnnseg.training.config import TrainConfig


@dataclass(frozen=True)
class Loss:
    """What each pixel adds to the loss when it gets the logits of its region.

    Attributes
    ----------
    weights : (classes,) float32
        Of the pixels of each class.
    prior : (classes,) float32
        Logarithm of how much more a class counts than it occurs; 0 for classes never seen.
    gamma : float
        `-(1 - p)**gamma log p` for the probability `p` of the true class: Lin et al.,
        arXiv:1708.02002, equation 4. With 0 it is the cross entropy.
    smoothing : float
        Share of each label that is spread evenly over all classes: Szegedy et al.,
        arXiv:1512.00567, section 7.
    area_power : float
        A region of `n` labelled pixels counts as `n**area_power`.
    balanced : bool
        Whether as many regions of each class are drawn from each part of a batch.
    """

    weights: torch.Tensor
    prior: torch.Tensor
    gamma: float = 0.0
    smoothing: float = 0.0
    area_power: float = 1.0
    balanced: bool = False

    @classmethod
    def fit(
        cls, pixels: np.ndarray, regions: np.ndarray, config: TrainConfig, device: torch.device
    ) -> Loss:
        """The loss of a training set, from its pixels and its regions by class.

        Pixels are those of all images, (classes,), or of each, (images, classes). Regions are those
        of all, (classes,), or of what is drawn from at a time, (parts, classes).
        """
        beta, cell = config.effective_beta, config.step**2
        weights = class_weights(pixels, config.class_weights, beta=beta, sample=cell)
        balanced = config.sampling == "balanced"
        known = torch.from_numpy(weights * (draw_weights(regions) if balanced else 1)).float()
        return cls(
            torch.from_numpy(weights).to(device),
            torch.where(known > 0, known.clamp(min=1e-6).log(), 0.0).to(device),
            config.focal_gamma,
            config.label_smoothing,
            config.area_power,
            balanced,
        )

    def targets(self, counts: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """What pixels by class, (N, classes), count: by area, and as often as they are drawn."""
        if self.area_power != 1:
            area = counts.sum(1, keepdim=True)
            counts = counts * torch.where(area > 0, area.pow(self.area_power - 1), 0)
        if self.balanced:
            counts = counts * balanced_draws(counts, generator)[:, None]
        return counts

    def mass(self, targets: torch.Tensor) -> torch.Tensor:
        """Weighted pixels, at least one; the sum of `total` divided by it is the mean."""
        return (targets * self.weights).sum().clamp(min=1)

    def total(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of (N, classes) logits, summed over weighted pixels."""
        if self.smoothing:
            spread = targets.sum(1, keepdim=True) / targets.shape[1]
            targets = (1 - self.smoothing) * targets + self.smoothing * spread
        logarithm = torch.log_softmax(logits, dim=1)
        terms = targets * self.weights * logarithm
        if self.gamma:
            # 1 - p, kept from 0 where its power has no slope.
            terms = terms * (-torch.expm1(logarithm)).clamp(min=1e-6).pow(self.gamma)
        return -terms.sum()
