"""The U-Net of MONAI, in any width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from gnnseg.baselines.networks.blocks import check_width, init_he
from gnnseg.baselines.networks.padding import pad_to_multiple
from gnnseg.errors import MissingDependencyError, UsageError

SLOPE = 0.1
"""Of MONAI's leaky rectifier."""


class UNet(nn.Module):
    """`BasicUNet` of MONAI in two dimensions, after Falk et al., Nature Methods 16, 2019.

    Parameters
    ----------
    num_channels, num_classes : int
    width : int
        Channels at full size, `w`; the levels have w, 2w, 4w, 8w and 16w, the last layers w.
    features : six int, optional
        Channels of the five levels and of the last layers, in place of those that follow from
        `width`.

    Notes
    -----
    Normalised by batches: MONAI's default, the statistics of each image, would make the answer of
    a pixel depend on the tile around it. Weights: He et al., arXiv:1502.01852, for leaky rectifiers of slope 0.1.
    """

    multiple = 16

    def __init__(
        self,
        num_channels: int,
        num_classes: int,
        *,
        width: int = 16,
        features: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        levels = _levels(width) if features is None else _checked(features)
        self.unet = _basic_unet()(
            spatial_dims=2,
            in_channels=num_channels,
            out_channels=num_classes,
            features=levels,
            norm="batch",
        )
        init_he(self, slope=SLOPE)

    @property
    def output_bias(self) -> nn.Parameter:
        """The bias (classes,) of the last convolution."""
        return self.unet.final_conv.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes, H, W) of images (B, C, H, W)."""
        height, width = x.shape[-2:]
        return self.unet(pad_to_multiple(x, self.multiple))[..., :height, :width]


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
