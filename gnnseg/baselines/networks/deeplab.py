"""DeepLabV3+: ResNet-50, atrous spatial pyramid pooling, and a light decoder."""

from __future__ import annotations

import torch
from torch import nn

from gnnseg.baselines.networks.aspp import ASPP, Decoder, resize
from gnnseg.baselines.networks.base import PixelNetwork
from gnnseg.baselines.networks.blocks import check_width, init_he
from gnnseg.baselines.networks.resnet import STRIDE, ResNet50


class DeepLabV3Plus(PixelNetwork):
    """DeepLabV3+: Chen, Zhu, Papandreou, Schroff, Adam, arXiv:1802.02611, figure 2.

    Output stride 16, rates 6, 12 and 18, low-level maps from conv2_x, convolutions of the usual
    kind (not depthwise).

    Parameters
    ----------
    num_channels, num_classes : int
    width : int
        Channels of the encoder's first convolution, 64 in the papers; everything else is in
        proportion, at 64: 2,048 channels leave the encoder, 256 the pyramid, 48 are low-level.

    Notes
    -----
    The pyramid has a branch that sees the mean of the whole input, as in the paper: the answer
    depends on the tile. Weights: He et al., arXiv:1502.01852; the paper begins with an encoder
    that was trained on ImageNet.
    """

    multiple = STRIDE

    def __init__(self, num_channels: int, num_classes: int, *, width: int = 64) -> None:
        super().__init__()
        check_width(width, smallest=2)
        self.encoder = ResNet50(num_channels, width)
        low, deep = self.encoder.channels[1], self.encoder.channels[-1]
        self.aspp = ASPP(deep, 4 * width)
        self.decoder = Decoder(4 * width, low, 3 * width // 4, num_classes)
        init_he(self)

    @property
    def last_layer(self) -> nn.Module:
        return self.decoder.last

    def padded_logits(self, x: torch.Tensor) -> torch.Tensor:
        low, deep = self.encoder(x)
        logits = self.decoder(self.aspp(deep), low)
        return resize(logits, x)
