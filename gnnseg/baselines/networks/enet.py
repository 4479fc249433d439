"""ENet: much depth at an eighth of the size, little else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from gnnseg.baselines.networks.base import PixelNetwork
from gnnseg.baselines.networks.blocks import init_he
from gnnseg.errors import UsageError
from gnnseg.models.checks import check_share

FILTERS = 13
"""Of the initial block's convolution."""
RATIO = 4
"""How many times narrower than its ends a bottleneck is."""
SLOPE = 0.25
"""That parametric rectifiers begin with."""


class ENet(PixelNetwork):
    """ENet: Paszke, Chaurasia, Kim, Culurciello, arXiv:1606.02147, table 1.

    Blocks bear the names of the table, `bottleneck2_1` for bottleneck2.1. Images of C channels
    leave the initial block with 13 + C.

    Parameters
    ----------
    num_channels, num_classes : int
    dropout : (float, float)
        Shares of maps that are dropped before bottleneck2.0 and from it on (section 3).

    Notes
    -----
    Weights: He et al., arXiv:1502.01852, for rectifiers of slope 0.25; the paper names none.
    """

    multiple = 8

    def __init__(
        self,
        num_channels: int,
        num_classes: int,
        *,
        dropout: Sequence[float] = (0.01, 0.1),
    ) -> None:
        super().__init__()
        early, late = _checked(dropout)
        first = FILTERS + num_channels
        self.initial = InitialBlock(num_channels)
        self.bottleneck1_0 = Downsampling(first, 64, early)
        self.stage1 = nn.ModuleDict(
            {f"bottleneck1_{n}": Bottleneck(64, early) for n in range(1, 5)}
        )
        self.bottleneck2_0 = Downsampling(64, 128, late)
        self.stage2 = _deep_stage(2, late)
        self.stage3 = _deep_stage(3, late)
        self.bottleneck4_0 = Upsampling(128, 64, late)
        self.stage4 = nn.ModuleDict({f"bottleneck4_{n}": Bottleneck(64, late) for n in (1, 2)})
        self.bottleneck5_0 = Upsampling(64, first, late)
        self.stage5 = nn.ModuleDict({"bottleneck5_1": Bottleneck(first, late)})
        self.fullconv = nn.ConvTranspose2d(first, num_classes, 3, 2, 1, output_padding=1)
        init_he(self, slope=SLOPE)

    @property
    def last_layer(self) -> nn.Module:
        return self.fullconv

    def padded_logits(self, x: torch.Tensor) -> torch.Tensor:
        x = self.initial(x)
        x, places1 = self.bottleneck1_0(x)
        x = _run(self.stage1, x)
        x, places2 = self.bottleneck2_0(x)
        x = _run(self.stage3, _run(self.stage2, x))
        x = _run(self.stage4, self.bottleneck4_0(x, places2))
        x = _run(self.stage5, self.bottleneck5_0(x, places1))
        return self.fullconv(x)


class InitialBlock(nn.Module):
    """Half the size: 13 filters beside the maximum of 2 x 2 pixels (figure 2a)."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_channels, FILTERS, 3, 2, 1, bias=False)
        self.end = _norm_prelu(FILTERS + num_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(torch.cat([self.conv(x), functional.max_pool2d(x, 2)], dim=1))


class Bottleneck(nn.Module):
    """A projection, a convolution and an expansion beside the identity (figure 2b).

    Parameters
    ----------
    channels : int
    dropout : float
    dilation : int
        Of the 3 x 3 convolution.
    asymmetric : bool
        5 x 1 and 1 x 5 in place of 3 x 3.
    """

    def __init__(
        self, channels: int, dropout: float, *, dilation: int = 1, asymmetric: bool = False
    ) -> None:
        super().__init__()
        inner = channels // RATIO
        self.extension = nn.Sequential(
            *_projection(channels, inner),
            *(_asymmetric(inner) if asymmetric else _regular(inner, dilation)),
            *_expansion(inner, channels, dropout),
        )
        self.end = nn.PReLU(channels, SLOPE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(self.extension(x) + x)


class Downsampling(nn.Module):
    """A bottleneck of half the size beside max-pooling; new channels of that branch are zero."""

    def __init__(self, inner: int, outer: int, dropout: float) -> None:
        super().__init__()
        narrow = outer // RATIO
        self.extension = nn.Sequential(
            *_projection(inner, narrow, stride=2),
            *_regular(narrow, 1),
            *_expansion(narrow, outer, dropout),
        )
        self.more = outer - inner
        self.end = nn.PReLU(outer, SLOPE)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The values, and where the maxima were."""
        largest, places = functional.max_pool2d_with_indices(x, (2, 2))
        largest = functional.pad(largest, (0, 0, 0, 0, 0, self.more))
        return self.end(self.extension(x) + largest), places


class Upsampling(nn.Module):
    """A bottleneck of twice the size beside a convolution whose values go where maxima were."""

    def __init__(self, inner: int, outer: int, dropout: float) -> None:
        super().__init__()
        narrow = outer // RATIO
        double = nn.ConvTranspose2d(narrow, narrow, 3, 2, 1, output_padding=1, bias=False)
        self.extension = nn.Sequential(
            *_projection(inner, narrow),
            double,
            *_norm_prelu(narrow),
            *_expansion(narrow, outer, dropout),
        )
        self.main = nn.Sequential(nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer))
        self.end = nn.PReLU(outer, SLOPE)

    def forward(self, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        return self.end(self.extension(x) + functional.max_unpool2d(self.main(x), places, (2, 2)))


def _checked(dropout: Sequence[float]) -> tuple[float, float]:
    if not isinstance(dropout, list | tuple) or len(dropout) != 2:
        raise UsageError(f"dropout must be two numbers, got {dropout!r}")
    for share in dropout:
        check_share("dropout", share)
    return dropout[0], dropout[1]


def _deep_stage(stage: int, dropout: float) -> nn.ModuleDict:
    """Regular, dilated, asymmetric, dilated, twice over; dilations 2, 4, 8 and 16."""
    blocks = [
        Bottleneck(128, dropout),
        Bottleneck(128, dropout, dilation=2),
        Bottleneck(128, dropout, asymmetric=True),
        Bottleneck(128, dropout, dilation=4),
        Bottleneck(128, dropout),
        Bottleneck(128, dropout, dilation=8),
        Bottleneck(128, dropout, asymmetric=True),
        Bottleneck(128, dropout, dilation=16),
    ]
    # Stage 3 has no downsampling: its numbers begin at 0.
    begin = 1 if stage == 2 else 0
    return nn.ModuleDict({f"bottleneck{stage}_{n}": b for n, b in enumerate(blocks, begin)})


def _run(stage: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    for block in stage.values():
        x = block(x)
    return x


def _norm_prelu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels, SLOPE))


def _projection(inner: int, outer: int, *, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inner, outer, stride, stride, bias=False)
    return nn.Sequential(conv, *_norm_prelu(outer))


def _regular(channels: int, dilation: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=False)
    return nn.Sequential(conv, *_norm_prelu(channels))


def _asymmetric(channels: int) -> nn.Sequential:
    rows = nn.Conv2d(channels, channels, (5, 1), padding=(2, 0), bias=False)
    columns = nn.Conv2d(channels, channels, (1, 5), padding=(0, 2), bias=False)
    return nn.Sequential(rows, *_norm_prelu(channels), columns, *_norm_prelu(channels))


def _expansion(inner: int, outer: int, dropout: float) -> nn.Sequential:
    conv = nn.Conv2d(inner, outer, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outer), nn.Dropout2d(dropout))
