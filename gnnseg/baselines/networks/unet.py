"""U-Net as MONAI builds it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from gnnseg.baselines.networks.padding import padded
from gnnseg.errors import MissingDependencyError

MULTIPLE = 16
"""Images are halved four times."""


class UNet(nn.Module):
    """MONAI's `BasicUNet` in two dimensions, with batch norm.

    Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, arXiv:1505.04597, with padded convolutions.
    Instance norm, MONAI's default, would make a pixel's label depend on the tile it is in.

    Parameters
    ----------
    num_channels, num_classes : int
    width : int
        Channels of the first level, doubled in each of four further ones.
    features : sequence of six int, optional
        Channels of the five levels and of the last one up, instead of `width`.
    dropout : float

    Raises
    ------
    MissingDependencyError
        MONAI is not installed.
    """

    def __init__(
        self,
        num_channels: int,
        num_classes: int,
        *,
        width: int = 16,
        features: Sequence[int] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        try:
            from monai.networks.nets import BasicUNet
        except ImportError as error:
            raise MissingDependencyError(
                "the network unet needs the package monai: pip install 'gnnseg[baselines]'"
            ) from error
        chosen = features or [width, 2 * width, 4 * width, 8 * width, 16 * width, width]
        self.body = BasicUNet(
            spatial_dims=2,
            in_channels=num_channels,
            out_channels=num_classes,
            features=tuple(chosen),  # type: ignore[arg-type]
            norm="batch",
            dropout=dropout,
        )

    @property
    def output_bias(self) -> nn.Parameter:
        bias: nn.Parameter = self.body.final_conv.bias  # type: ignore[assignment]
        return bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return padded(self.body, x, MULTIPLE)
