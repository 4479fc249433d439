"""A small network that labels the pixels along borders, learnt beside the one on regions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from gnnseg.kernels.filters import num_filters
from gnnseg.models.layers import RowLinear

HIDDEN = 32
LOWEST = -12.0
"""Logits below the largest one by more count as this."""


class Borders(nn.Module):
    """Corrects the mixed logits of a pixel by its region's, and by what it looks like.

    A perceptron with two hidden layers, whose result is added to the mixed logits. A pixel's answer
    has the same bits among whichever others it is computed (`RowLinear`).

    Parameters
    ----------
    num_classes, num_channels : int
        Classes, and working channels of the images.
    """

    def __init__(self, num_classes: int, num_channels: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        inputs = 2 * num_classes + num_filters(num_channels)
        self.mean = nn.Buffer(torch.zeros(inputs))
        self.std = nn.Buffer(torch.ones(inputs))
        self.layers = nn.Sequential(
            *(RowLinear(inputs, HIDDEN), nn.ReLU()),
            *(RowLinear(HIDDEN, HIDDEN), nn.ReLU()),
            RowLinear(HIDDEN, num_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) from the inputs (N, inputs) that `border_inputs` makes."""
        correction: torch.Tensor = self.layers((x - self.mean) / self.std)
        return x[:, : self.num_classes] + correction

    def set_statistics(self, x: torch.Tensor) -> None:
        """Let these inputs have mean 0 and deviation 1."""
        spread = x.std(dim=0, correction=0)
        self.mean.copy_(x.mean(dim=0))
        self.std.copy_(torch.where(spread > 1e-6, spread, 1.0))

    @property
    def output_bias(self) -> torch.Tensor:
        """What is added to the logits of each class, (classes,)."""
        return self.get_parameter("layers.4.bias")

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """The same of arrays, (N, classes) float32."""
        with torch.inference_mode():
            found: np.ndarray = self(torch.from_numpy(inputs)).numpy()
        return found


def border_bytes(num_classes: int, num_channels: int) -> int:
    """What labelling a pixel takes meanwhile."""
    inputs = 2 * num_classes + num_filters(num_channels)
    return 4 * (3 * inputs + 2 * num_classes + 3 * HIDDEN)


def border_inputs(mixed: np.ndarray, own: np.ndarray, filters: np.ndarray) -> Any:
    """Inputs (N, 2 * classes + filters) float32: logits below their largest, then filters.

    Parameters
    ----------
    mixed, own : (N, classes) float32
        Logits of the regions around each pixel, mixed, and of its own region.
    filters : (N, F) float32
        As `gnnseg.kernels.filters` gives them.
    """
    said = [
        np.maximum(logits - logits.max(axis=1, keepdims=True), LOWEST) for logits in (mixed, own)
    ]
    return np.concatenate([*said, filters], axis=1, dtype=np.float32)
