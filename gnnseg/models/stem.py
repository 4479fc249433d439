"""A learned stem: a few narrow convolutions whose maps are pooled into the regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd, prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from gnnseg.counters import moved
from gnnseg.errors import UsageError
from gnnseg.kernels.slots import MASKED
from gnnseg.models.layers import Convolution, RowLinear
from gnnseg.models.pooling import pool_pixels

if TYPE_CHECKING:
    from gnnseg.blocks import Lattice, Window
    from gnnseg.superpixels import Scaling

ALIGN = 8
"""Pixels of a value of the coarsest map; windows begin at multiples of it."""
REACH = 2
"""Cells around a home that hold its pixels."""


@dataclass(frozen=True)
class StemInput:
    """Pixels of a window of cells whose first corner lies at a multiple of `ALIGN`.

    Attributes
    ----------
    work : (C, H, W) int16
        Working channels.
    slots : (H, W) uint8
    step : int
    cells : (rows, columns)
        Of the window.
    crop : (slice, slice)
        Cells whose regions are wanted.
    """

    work: torch.Tensor
    slots: torch.Tensor
    step: int
    cells: tuple[int, int]
    crop: tuple[slice, slice]

    @property
    def num_regions(self) -> int:
        """How many regions are wanted."""
        return prod(part.stop - part.start for part in self.crop)

    def to(self, device: torch.device) -> StemInput:
        work, slots = moved(self.work, device), moved(self.slots, device)
        return StemInput(work, slots, self.step, self.cells, self.crop)


class Stem(nn.Module):
    """Convolutions at a half, a quarter and an eighth of the size, pooled into regions.

    Parameters
    ----------
    scaling : Scaling
        Of the working channels.
    widths : (int, int, int)
        Channels at each size, rising.
    blocks : (int, int)
        Residual blocks at a quarter and at an eighth; those at an eighth look 1, 2, 4 and 8 values
        far in turn.
    out_channels : int
        Of the state of a region.

    Notes
    -----
    The downsampler joins a strided convolution with a maximum, after Paszke et al.,
    arXiv:1606.02147, section 3; residual blocks begin with the rectifier, after He et al.,
    arXiv:1603.05027, and enter with a small learned weight instead of a normalisation, after De and
    Smith, arXiv:2002.10444: a pixel's result then depends on nothing but the pixels around it.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self,
        scaling: Scaling,
        *,
        widths: Sequence[int] = (16, 32, 64),
        blocks: Sequence[int] = (1, 2),
        out_channels: int = 32,
    ) -> None:
        super().__init__()
        if len(widths) != 3 or len(blocks) != 2:
            raise UsageError(
                "a stem has three widths and two numbers of blocks: got widths "
                f"{list(widths)}, blocks {list(blocks)}"
            )
        if any(outer <= inner for inner, outer in pairwise([scaling.num_channels, *widths])):
            raise UsageError(
                f"widths of a stem rise from the image's {scaling.num_channels} channels on, for "
                f"each size keeps the channels of the one before: got {list(widths)}"
            )
        half, quarter, eighth = widths
        self.out_channels = out_channels
        scale, shift = _normalisation(scaling)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        self.down_2 = Downsampler(scaling.num_channels, half)
        self.down_4 = Downsampler(half, quarter)
        self.blocks_4 = nn.Sequential(*(PixelBlock(quarter, 1) for _ in range(blocks[0])))
        self.down_8 = Downsampler(quarter, eighth)
        self.blocks_8 = nn.Sequential(*(PixelBlock(eighth, 1 << n % 4) for n in range(blocks[1])))
        self.project = RowLinear(quarter + eighth, out_channels)
        self.halo = _halo(self.blocks_4, self.blocks_8)
        # Most that a pixel takes on its way through the maps, without gradients; measured.
        self.pixel_bytes = 10 * scaling.num_channels + 4 * half

    def margin(self, step: int) -> int:
        """Cells around a chunk that its regions depend on."""
        unit = ALIGN // gcd(ALIGN, step)
        return -(-(REACH + -(-self.halo // step)) // unit) * unit

    def window(self, cells: Window, lattice: Lattice) -> Window:
        """The cells that the regions of `cells` depend on, from a multiple of `ALIGN` pixels on."""
        step = lattice.step
        return cells.grow(self.margin(step)).align(ALIGN // gcd(ALIGN, step)).clip(lattice.cells)

    def maps(self, inputs: StemInput) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps at a quarter and at an eighth of the size, (1, channels, H', W')."""
        x = (inputs.work * self.scale + self.shift) * (inputs.slots != MASKED)
        x = x[None].contiguous(memory_format=torch.channels_last)
        quarter = self.blocks_4(self.down_4(functional.relu(self.down_2(x))))
        return quarter, self.blocks_8(self.down_8(functional.relu(quarter)))

    def pool(
        self, maps: Sequence[torch.Tensor], inputs: StemInput, area: torch.Tensor
    ) -> torch.Tensor:
        """States (N, out_channels) of the wanted regions, whose pixels are `area` (N, 1)."""
        sums = [
            pool_pixels(values[0], inputs.slots, inputs.step, stride, inputs.cells)
            for values, stride in zip(maps, (ALIGN // 2, ALIGN), strict=True)
        ]
        wanted = torch.cat(sums, dim=2)[inputs.crop].flatten(0, 1)
        return self.project(wanted / area.clamp(min=1))

    def forward(self, inputs: StemInput, area: torch.Tensor) -> torch.Tensor:
        """States (N, out_channels) of the wanted regions, whose pixels are `area` (N, 1)."""
        return self.pool(self.maps(inputs), inputs, area)


class Downsampler(nn.Module):
    """Half the size: a strided convolution beside the maximum of 2 x 2 pixels."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv = _conv(inner, outer - inner, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        largest = functional.max_pool2d(x, 2, ceil_mode=True)
        return torch.cat([self.conv(x), largest], dim=1)


class PixelBlock(nn.Module):
    """`x + gain * conv(relu(conv(relu(x))))`, the first convolution with holes."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.first = _conv(channels, channels, dilation=dilation)
        self.second = _conv(channels, channels)
        self.gain = nn.Parameter(torch.tensor(0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        update = self.first(functional.relu(x))
        return x + self.gain * self.second(functional.relu(update))


def _conv(inner: int, outer: int, *, stride: int = 1, dilation: int = 1) -> Convolution:
    conv = Convolution(inner, outer, 3, stride, dilation, dilation)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _halo(quarter: Any, eighth: Any) -> int:
    """Pixels that a value of the maps may depend on beyond its own, a multiple of `ALIGN`."""
    reach = 1 + 2 + 4 * sum(block.dilation + 1 for block in quarter)
    reach += 4 + 8 * sum(block.dilation + 1 for block in eighth)
    return -(-(reach + ALIGN) // ALIGN) * ALIGN


def _normalisation(scaling: Scaling) -> tuple[torch.Tensor, torch.Tensor]:
    """What working channels are multiplied with, and what is added: about -2 to 2 comes out."""
    middle = [0.5] * scaling.num_channels
    if scaling.rgb:
        middle[1:] = 2.0, 2.0
    scale = 4 / scaling.top
    return torch.tensor(scale), torch.tensor(middle).mul(-4)[:, None, None]
