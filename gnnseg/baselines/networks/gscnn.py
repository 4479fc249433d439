"""Gated-SCNN: a stream of shapes beside the regular one, written from the paper alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from gnnseg.baselines.networks.aspp import ASPP, Decoder, resize
from gnnseg.baselines.networks.base import PixelNetwork
from gnnseg.baselines.networks.blocks import ConvNorm, check_width, init_he
from gnnseg.baselines.networks.dual_task import dual_task_loss, grey_gradient
from gnnseg.baselines.networks.padding import pad_to_multiple
from gnnseg.baselines.networks.resnet import STRIDE, ResNet50


class GatedSCNN(PixelNetwork):
    """Gated-SCNN: Takikawa, Acuna, Jampani, Fidler, arXiv:1907.05740, section 3.

    The regular stream is ResNet-50; the shape stream finds borders at the full size, gated by
    conv3_x, conv4_x and conv5_x; both are joined by atrous spatial pyramid pooling and decoded as
    in DeepLabV3+.

    Parameters
    ----------
    num_channels, num_classes : int
    width : int
        Channels of the regular stream's first convolution, 64 in the papers; everything else is
        in proportion. The shape stream has a quarter of it; the paper gives no figure.

    Notes
    -----
    The pyramid has a branch that sees the mean of the whole input: the answer depends on the
    tile. Weights: He et al., arXiv:1502.01852; the paper begins with a regular stream that was
    trained on ImageNet.
    """

    multiple = STRIDE

    def __init__(self, num_channels: int, num_classes: int, *, width: int = 64) -> None:
        super().__init__()
        check_width(width, smallest=4)
        self.regular_stream = ResNet50(num_channels, width)
        first, low, *gating = self.regular_stream.channels
        self.shape_stream = ShapeStream(first, gating, width // 4)
        self.fusion = ASPP(gating[-1], 4 * width, extra=1)
        self.decoder = Decoder(4 * width, low, 3 * width // 4, num_classes)
        init_he(self)

    @property
    def last_layer(self) -> nn.Module:
        return self.decoder.last

    def padded_logits(self, x: torch.Tensor) -> torch.Tensor:
        return self._run(x)[0]

    def forward_with_edges(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, classes, H, W), and logits (B, H, W) of a pixel lying on a border."""
        height, width = x.shape[-2:]
        logits, edges = self._run(pad_to_multiple(x, self.multiple))
        return logits[..., :height, :width], edges[:, 0, :height, :width]

    def forward_train(
        self, x: torch.Tensor, labels: torch.Tensor, ignore_index: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits as `forward`, and what the paper adds to their cross entropy.

        Parameters
        ----------
        x : (B, C, H, W) float32
        labels : (B, H, W) int64
        ignore_index : int
            The label of pixels without one.
        """
        logits, edges = self.forward_with_edges(x)
        return logits, dual_task_loss(logits, edges, labels, ignore_index)

    def _run(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of classes and of borders, (B, 1, H, W)."""
        stream = self.regular_stream
        first = stream.conv1(x)
        low = stream.conv2_x(stream.pool(first))
        middle = stream.conv3_x(low)
        deep = stream.conv4_x(middle)
        last = stream.conv5_x(deep)
        edges = self.shape_stream(x, first, (middle, deep, last))
        del first, middle, deep
        logits = self.decoder(self.fusion(last, (resize(edges.sigmoid(), last),)), low)
        return resize(logits, x), edges


class ShapeStream(nn.Module):
    """Residual blocks and gates in turn, at the full size.

    Parameters
    ----------
    first : int
        Channels of the regular stream's first convolution, of which it begins, with the
        gradient of the image.
    gating : sequence of int
        Channels of the maps that gate it.
    width : int
        Its own channels.
    """

    def __init__(self, first: int, gating: Sequence[int], width: int) -> None:
        super().__init__()
        self.from_regular = nn.Conv2d(first, width, 1)
        self.from_gradient = nn.Conv2d(1, width, 1, bias=False)
        self.blocks = nn.ModuleList(ShapeBlock(width) for _ in gating)
        self.gates = nn.ModuleList(GatedConv(width, channels) for channels in gating)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(
        self, x: torch.Tensor, first: torch.Tensor, maps: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Logits (B, 1, H, W) of a pixel of `x` lying on a border."""
        shape = resize(self.from_regular(first), x) + self.from_gradient(grey_gradient(x))
        for block, gate, regular in zip(self.blocks, self.gates, maps, strict=True):
            shape = gate(block(shape), regular)
        return self.last(shape)


class ShapeBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            ConvNorm(channels, channels, 3), ConvNorm(channels, channels, 3, relu=False)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.residual(x) + x)


class GatedConv(nn.Module):
    """The gated convolutional layer.

    `alpha = sigmoid(norm(conv([shape, regular])))`, one value a pixel, then
    `conv(shape * alpha + shape)`. The convolution of the regular maps, 1 x 1, comes before they
    are resized: both are linear, and one channel is less than many.
    """

    def __init__(self, shape: int, regular: int) -> None:
        super().__init__()
        self.from_shape = nn.Conv2d(shape, 1, 1, bias=False)
        self.from_regular = nn.Conv2d(regular, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(1)
        self.weigh = nn.Conv2d(shape, shape, 1, bias=False)

    def forward(self, shape: torch.Tensor, regular: torch.Tensor) -> torch.Tensor:
        both = self.from_shape(shape) + resize(self.from_regular(regular), shape)
        return self.weigh(shape * (1 + self.norm(both).sigmoid()))
