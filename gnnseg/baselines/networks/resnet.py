"""ResNet-50 without its classifier, with holes in place of the last stride."""

from __future__ import annotations

import torch
from torch import nn

from gnnseg.baselines.networks.blocks import ConvNorm

EXPANSION = 4
"""Channels of a stage over those of its 3 x 3 convolutions."""
STRIDE = 16
"""Of the last stage: pixels from one value to the next."""


class ResNet50(nn.Module):
    """Stages conv1 to conv5_x: He, Zhang, Ren, Sun, arXiv:1512.03385, table 1.

    The last stage keeps the size and looks twice as far instead, as Chen et al., arXiv:1706.05587,
    section 3.1, have it for an output stride of 16.

    Parameters
    ----------
    num_channels : int
    width : int
        Channels of the first convolution, `w`, 64 in the paper; stages have 4w, 8w, 16w and 32w.
    """

    def __init__(self, num_channels: int, width: int = 64) -> None:
        super().__init__()
        self.channels = (width, *(EXPANSION * width << stage for stage in range(4)))
        self.conv1 = ConvNorm(num_channels, width, 7, stride=2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv2_x = _stage(width, width, 3)
        self.conv3_x = _stage(self.channels[1], 2 * width, 4, stride=2)
        self.conv4_x = _stage(self.channels[2], 4 * width, 6, stride=2)
        self.conv5_x = _stage(self.channels[3], 8 * width, 3, dilation=2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What conv2_x gives, at 1/4 of the size, and conv5_x, at 1/16."""
        low = self.conv2_x(self.pool(self.conv1(x)))
        return low, self.conv5_x(self.conv4_x(self.conv3_x(low)))


class Residual(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside the identity, or a projection of new size.

    The stride is that of the 3 x 3 convolution; the paper's first 1 x 1 convolution skips three
    values of four.
    """

    def __init__(self, inner: int, narrow: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        outer = EXPANSION * narrow
        self.residual = nn.Sequential(
            ConvNorm(inner, narrow, 1),
            ConvNorm(narrow, narrow, 3, stride=stride, dilation=dilation),
            ConvNorm(narrow, outer, 1, relu=False),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inner != outer or stride > 1:
            self.shortcut = ConvNorm(inner, outer, 1, stride=stride, relu=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))


def _stage(
    inner: int, narrow: int, blocks: int, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    first = Residual(inner, narrow, stride=stride, dilation=dilation)
    rest = (Residual(EXPANSION * narrow, narrow, dilation=dilation) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
