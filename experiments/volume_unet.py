"""A U-Net on the voxels of few thick sections, and its training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.networks.nets import DynUNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from volume_graphs import Stack
from volume_loop import CPU, PartLoop

from gnnseg.baselines.config import CnnConfig
from gnnseg.baselines.loss import PixelLoss
from gnnseg.metrics import ConfusionMatrix
from gnnseg.training.precision import half_pays
from gnnseg.training.state import State

WIDTHS = (8, 16, 32, 64)


def make_unet(num_classes: int, *, volume: bool) -> nn.Module:
    """MONAI's network after nnU-Net (Isensee et al., Nature Methods 18, 2021), 8 to 64 wide.

    Sections that are ten times as thick as pixels are wide are never pooled; kernels reach one
    section up and down with `volume`, else none.
    """
    kernel, halve = (3 if volume else 1, 3, 3), (1, 2, 2)
    levels = len(WIDTHS)
    return DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=num_classes,
        kernel_size=[kernel] * levels,
        strides=[1, *[halve] * (levels - 1)],
        upsample_kernel_size=[halve] * (levels - 1),
        filters=WIDTHS,
    )


def half() -> torch.autocast:
    """Convolutions in bfloat16, where that is faster."""
    return torch.autocast("cpu", torch.bfloat16, enabled=half_pays(CPU))


class CropTrainer(PartLoop):
    """Trains a network of voxels on slabs of `depth` sections, `crop` pixels on a side.

    An epoch has as many as cover the stack once; each lies anywhere, is turned, and maybe mirrored.
    """

    config: CnnConfig

    def __init__(
        self, network: nn.Module, train: Stack, val: Stack, config: CnnConfig, depth: int
    ) -> None:
        network.to(memory_format=torch.channels_last_3d)
        super().__init__(State(network, config, range(1)), config)
        self.train, self.val, self.depth = train, val, depth
        self.loss = PixelLoss.fit(train.pixels_by_class(), train.ignore_index, config, CPU)
        self.scale = float(train.pixels.mean()), float(train.pixels.std())
        self.draws = np.random.default_rng(config.seed)

    def _train_epoch(self, asked: Callable[[], bool]) -> None:
        place, network = self.state.place, self.state.network
        network.train()
        number = self.train.pixels.size // (self.depth * self.config.crop**2)
        for n in range(number):
            self._begin_update(place.epoch + n / number, asked)
            crop = self._crop()
            labels = torch.from_numpy(crop.labels.astype(np.int64))[None]
            self._learn(partial(self._logits, crop), labels)

    def _validate(self) -> list[ConfusionMatrix]:
        return [self.measure(self.val)]

    def _logits(self, crop: Stack) -> torch.Tensor:
        with half():
            return self.state.network(self.input(crop)).float()

    def measure(self, stack: Stack) -> ConfusionMatrix:
        """How well the averaged weights label a stack, slab by slab."""
        network = self.state.average.eval()
        found = ConfusionMatrix.zeros(stack.num_classes)
        with torch.inference_mode(), half():
            for slab in stack.slabs(self.depth):
                labels = network(self.input(slab))[0].argmax(0).numpy()
                about = stack.num_classes, stack.ignore_index
                found += ConfusionMatrix.of(slab.labels, labels, *about)
        return found

    def operations(self, stack: Stack) -> float:
        """Operations a voxel of convolutions, as PyTorch counts them, on slabs in one piece."""
        slab = next(stack.slabs(self.depth))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.state.average.eval()(self.input(slab))
        return counter.get_total_flops() / slab.pixels.size

    def input(self, stack: Stack) -> torch.Tensor:
        """(1, 1, Z, Y, X) float32."""
        mean, std = self.scale
        x: Any = torch.from_numpy((stack.pixels.astype(np.float32) - mean) / std)
        return x[None, None].contiguous(memory_format=torch.channels_last_3d)

    def _crop(self) -> Stack:
        size = self.depth, self.config.crop, self.config.crop
        whole = self.train.pixels.shape
        first = [self.draws.integers(n - m + 1) for n, m in zip(whole, size, strict=True)]
        part = tuple(slice(n, n + m) for n, m in zip(first, size, strict=True))
        return self.train.cut(part).turned(int(self.draws.integers(4)))
