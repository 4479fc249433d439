"""Atrous spatial pyramid pooling, and the decoder that follows it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from gnnseg.baselines.networks.blocks import ConvNorm

RATES = (6, 12, 18)
"""Of the atrous convolutions, at an output stride of 16."""


class ASPP(nn.Module):
    """A 1 x 1 convolution, three atrous ones and the mean of the image, joined by a 1 x 1.

    Chen et al., arXiv:1706.05587, section 3.3.

    Parameters
    ----------
    inner, outer : int
        Channels of the input, and of every branch and the output.
    extra : int
        Channels that are joined with the branches as they are.
    """

    def __init__(self, inner: int, outer: int, *, extra: int = 0) -> None:
        super().__init__()
        self.pointwise = ConvNorm(inner, outer, 1)
        self.atrous = nn.ModuleList(ConvNorm(inner, outer, 3, dilation=rate) for rate in RATES)
        self.image = nn.Sequential(
            nn.Conv2d(inner, outer, 1, bias=False), ImageNorm(outer), nn.ReLU(inplace=True)
        )
        self.project = ConvNorm((len(RATES) + 2) * outer + extra, outer, 1)

    def forward(self, x: torch.Tensor, extra: tuple[torch.Tensor, ...] = ()) -> torch.Tensor:
        """Maps (B, outer, H, W) of maps (B, inner, H, W) and `extra`, of the same size."""
        mean = self.image(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        branches = [self.pointwise(x), *(conv(x) for conv in self.atrous), mean, *extra]
        return self.project(torch.cat(branches, dim=1))


class ImageNorm(nn.BatchNorm2d):
    """Batch norm of one value per image: a batch of one image is normalised as in evaluation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and len(x) == 1:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class Decoder(nn.Module):
    """Four times the size, joined with maps of that size, then the classes.

    Chen et al., arXiv:1802.02611, section 3.1.

    Parameters
    ----------
    inner, low : int
        Channels of the maps at 1/16 and at 1/4.
    projected : int
        Channels that the maps at 1/4 are brought to, 48 in the paper (table 1).
    num_classes : int
    """

    def __init__(self, inner: int, low: int, projected: int, num_classes: int) -> None:
        super().__init__()
        self.project = ConvNorm(low, projected, 1)
        self.refine = nn.Sequential(
            ConvNorm(inner + projected, inner, 3), ConvNorm(inner, inner, 3)
        )
        self.last = nn.Conv2d(inner, num_classes, 1)

    def forward(self, x: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes, H / 4, W / 4)."""
        x = torch.cat([resize(x, low), self.project(low)], dim=1)
        return self.last(self.refine(x))


def resize(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Maps in the height and width of others, bilinearly."""
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
