"""What several of the networks are made of."""

from __future__ import annotations

import math

from torch import nn

from gnnseg.errors import UsageError

WIDEST = 1024


def check_width(width: int, *, smallest: int = 1) -> None:
    """Raise `UsageError` for a width that no network can have."""
    if isinstance(width, bool) or not isinstance(width, int) or not smallest <= width <= WIDEST:
        raise UsageError(
            f"the width must be a whole number from {smallest} to {WIDEST}, got {width!r}"
        )


class ConvNorm(nn.Sequential):
    """A convolution that keeps the size (but for its stride), batch norm, and a rectifier."""

    def __init__(
        self,
        inner: int,
        outer: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = False,
        relu: bool = True,
    ) -> None:
        padding = dilation * (kernel // 2)
        conv = nn.Conv2d(inner, outer, kernel, stride, padding, dilation, bias=bias)
        super().__init__(conv, nn.BatchNorm2d(outer))
        if relu:
            self.append(nn.ReLU(inplace=True))


def init_he(network: nn.Module, *, slope: float = 0.0) -> None:
    """Draw the weights of convolutions for rectifiers of that slope; biases are 0.

    Normal, of variance 2 / (1 + slope^2) / fan-in: He et al., arXiv:1502.01852, section 2.2.
    """
    gain = nn.init.calculate_gain("leaky_relu", slope)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=gain / math.sqrt(_fan_in(module)))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _fan_in(conv: nn.Conv2d | nn.ConvTranspose2d) -> float:
    """How many products a value of the output sums up, on average.

    A transposed convolution spreads the products over `stride` times as many rows and columns.
    (PyTorch's own figure for it is that of its backward pass.)
    """
    products = conv.in_channels // conv.groups * math.prod(conv.kernel_size)
    return products / math.prod(conv.stride) if isinstance(conv, nn.ConvTranspose2d) else products
