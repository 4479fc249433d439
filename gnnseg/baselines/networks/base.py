"""What every network has."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from gnnseg.baselines.networks.padding import pad_to_multiple


class PixelNetwork(nn.Module, ABC):
    """From images (B, C, H, W) float32 of any size to logits (B, classes, H, W).

    `multiple` is what height and width are padded to a multiple of inside.
    """

    multiple: int

    @property
    @abstractmethod
    def last_layer(self) -> nn.Module:
        """The convolution that gives the classes."""

    @abstractmethod
    def padded_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of images whose height and width are multiples of `multiple`."""

    @property
    def output_bias(self) -> nn.Parameter:
        """The bias (classes,) of the last convolution: what is added here, is added to logits."""
        bias = self.last_layer.bias
        assert isinstance(bias, nn.Parameter)
        return bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes, H, W)."""
        height, width = x.shape[-2:]
        return self.padded_logits(pad_to_multiple(x, self.multiple))[..., :height, :width]
