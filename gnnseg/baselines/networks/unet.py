"""The U-Net of MONAI, in any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from gnnseg.baselines.networks.base import PixelNetwork
from gnnseg.baselines.networks.blocks import check_width
from gnnseg.errors import MissingDependencyError, UsageError
from gnnseg.models.checks import check_share


class UNet(PixelNetwork):
    """`BasicUNet` of MONAI in two dimensions, after Falk et al., Nature Methods 16, 2019.

    Parameters
    ----------
    num_channels, num_classes : int
    width : int
        Channels at full size, `w`; the levels have w, 2w, 4w, 8w and 16w, the last layers w.
    features : six int, optional
        Channels of the five levels and of the last layers, in place of those that follow from
        `width`.
    dropout : float
        Share of values that are dropped after each convolution.

    Notes
    -----
    Normalised by batches: MONAI's default, the statistics of each image, would make the answer of
    a pixel depend on the tile around it. Weights are drawn as torch does by default: uniform,
    with a sixth of the variance of He et al., arXiv:1502.01852, which batch norm takes out again.
    """

    multiple = 16

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
        check_share("dropout", dropout)
        levels = _levels(width) if features is None else _checked(features)
        self.body: Any = _basic_unet()(
            spatial_dims=2,
            in_channels=num_channels,
            out_channels=num_classes,
            features=levels,
            norm="batch",
            dropout=dropout,
        )

    @property
    def last_layer(self) -> nn.Module:
        layer: nn.Module = self.body.final_conv
        return layer

    def padded_logits(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(x)
        return logits


def _levels(width: int) -> tuple[int, ...]:
    check_width(width)
    return (width, 2 * width, 4 * width, 8 * width, 16 * width, width)


def _checked(features: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(features, list | tuple) or len(features) != 6:
        raise UsageError(f"features must be six whole numbers, got {features!r}")
    for channels in features:
        check_width(channels, smallest=2)
    return tuple(features)


def _basic_unet() -> type[nn.Module]:
    try:
        from monai.networks.nets import BasicUNet
    except ImportError as error:
        raise MissingDependencyError(
            "the network unet needs the package monai: pip install 'gnnseg[baselines]'"
        ) from error
    return BasicUNet
