"""The U-Net as it was published."""

from __future__ import annotations

import torch
from torch import nn

from gnnseg.baselines.networks.base import PixelNetwork
from gnnseg.baselines.networks.blocks import check_width, init_he
from gnnseg.models.checks import check_share

LEVELS = 5


class ClassicUNet(PixelNetwork):
    """U-Net: Ronneberger, Fischer, Brox, arXiv:1505.04597, figure 1.

    Parameters
    ----------
    num_channels, num_classes : int
    width : int
        Channels at full size, 64 in the paper; each level has twice those of the one above.
    batch_norm : bool
        Normalise after each 3 x 3 convolution, which then has no bias. The paper does not.
    dropout : float
        Share of values that are dropped at the end of the contracting path (section 3.1); the
        paper gives no figure.

    Notes
    -----
    Convolutions are padded so that the size stays; the paper's shrink it, and its tiles overlap
    by what they lose. Weights: He et al., arXiv:1502.01852 (section 3 of the paper).
    """

    multiple = 1 << (LEVELS - 1)

    def __init__(
        self,
        num_channels: int,
        num_classes: int,
        *,
        width: int = 64,
        batch_norm: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_width(width)
        check_share("dropout", dropout)
        widths = [width << level for level in range(LEVELS)]
        inner = [num_channels, *widths]
        self.contracting = nn.ModuleList(
            _two_convs(*pair, batch_norm=batch_norm) for pair in zip(inner, widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.up_convs = nn.ModuleList(
            nn.ConvTranspose2d(2 * outer, outer, 2, stride=2) for outer in widths[-2::-1]
        )
        self.expanding = nn.ModuleList(
            _two_convs(2 * outer, outer, batch_norm=batch_norm) for outer in widths[-2::-1]
        )
        self.last = nn.Conv2d(width, num_classes, 1)
        init_he(self)

    @property
    def last_layer(self) -> nn.Module:
        return self.last

    def padded_logits(self, x: torch.Tensor) -> torch.Tensor:
        skips: list[torch.Tensor] = []
        for level, convs in enumerate(self.contracting):
            x = convs(self.pool(x) if level else x)
            skips.append(x)
        x = self.dropout(skips.pop())
        for up_conv, convs in zip(self.up_convs, self.expanding, strict=True):
            x = convs(torch.cat([skips.pop(), up_conv(x)], dim=1))
        return self.last(x)


def _two_convs(inner: int, outer: int, *, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inner, outer):
        layers.append(nn.Conv2d(channels, outer, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(outer))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
