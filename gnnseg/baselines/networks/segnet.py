"""SegNet, whose decoder puts values back where the encoder's maxima were."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from gnnseg.baselines.networks.base import PixelNetwork
from gnnseg.baselines.networks.blocks import ConvNorm, check_width, init_he
from gnnseg.baselines.networks.vgg16 import read_vgg16

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Convolutions before each pooling of VGG-16."""


class SegNet(PixelNetwork):
    """SegNet: Badrinarayanan, Kendall, Cipolla, arXiv:1511.00561, section 3.

    The encoder is the 13 convolutions of VGG-16 (Simonyan and Zisserman, arXiv:1409.1556), each
    with batch norm and a rectifier; the decoder mirrors it, with max-unpooling by the indices of
    the pooling in place of the pooling, and ends in the classes.

    Parameters
    ----------
    num_channels, num_classes : int
    width : int
        Channels at full size, 64 in the paper; the levels have w, 2w, 4w, 8w and 8w.

    Notes
    -----
    Weights: He et al., arXiv:1502.01852, as in the paper; `load_vgg16` takes those of
    an encoder that was trained on other images. Convolutions have biases although batch norm
    follows, as in VGG-16 with batch norm, so that its weights fit.
    """

    multiple = 32

    def __init__(self, num_channels: int, num_classes: int, *, width: int = 64) -> None:
        super().__init__()
        check_width(width)
        widths = [width << min(level, 3) for level in range(len(CONVOLUTIONS))]
        stages = list(zip(CONVOLUTIONS, widths, strict=True))
        below, above = [num_channels, *widths[:-1]], [[], *([outer] for outer in widths[:-1])]
        self.encoder = nn.ModuleList(
            _stage([inner] + [outer] * count)
            for inner, (count, outer) in zip(below, stages, strict=True)
        )
        # The last convolution of the full size is the one that gives the classes.
        decoder = [
            _stage([outer] * count + inner)
            for inner, (count, outer) in zip(above, stages, strict=True)
        ]
        self.decoder = nn.ModuleList(reversed(decoder))
        self.last = nn.Conv2d(width, num_classes, 3, padding=1)
        init_he(self)

    @property
    def last_layer(self) -> nn.Module:
        return self.last

    def padded_logits(self, x: torch.Tensor) -> torch.Tensor:
        places: list[torch.Tensor] = []
        for stage in self.encoder:
            x, indices = functional.max_pool2d_with_indices(stage(x), (2, 2))
            places.append(indices)
        for stage in self.decoder:
            x = stage(functional.max_unpool2d(x, places.pop(), (2, 2)))
        return self.last(x)

    def load_vgg16(self, path: str | Path) -> None:
        """Give the encoder the weights of VGG-16, from a `.safetensors` file.

        Names are torchvision's, `features.N.weight`, with batch norm (`vgg16_bn`) or without;
        the classifier is left out. Without batch norm in the file, its layers stay as they are.

        Raises
        ------
        InputError
            The file is absent, unreadable, or its layers are not those of this encoder. The
            network has not changed then.
        """
        blocks = [block for block in self.encoder.modules() if isinstance(block, ConvNorm)]
        read_vgg16(path, [(block[0], block[1]) for block in blocks])


def _stage(channels: list[int]) -> nn.Sequential:
    return nn.Sequential(*(ConvNorm(*pair, 3, bias=True) for pair in pairwise(channels)))
