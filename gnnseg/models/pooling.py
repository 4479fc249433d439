"""Maps of channels pooled into regions, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from gnnseg.kernels.pool import pool, spread
from gnnseg.kernels.slots import MASKED
from gnnseg.models.loops import loops_take


def pool_pixels(
    maps: torch.Tensor, slots: torch.Tensor, step: int, stride: int, cells: tuple[int, int]
) -> torch.Tensor:
    """Sums (rows, columns, C) float32 of maps (C, H', W') over the pixels of each region.

    `slots` (H, W) uint8 covers `cells`; each value of the maps stands for `stride` x `stride`
    pixels. This is `gnnseg.kernels.pool`; for gradients on a GPU, a sum by index.
    """
    if maps.is_cuda and loops_take(maps):
        sums = maps.new_zeros(*cells, maps.shape[0])
        pool(maps.detach().permute(1, 2, 0).contiguous(), slots, step, stride, sums)
        return sums
    if maps.is_cuda:
        return _pool_on_device(maps, slots, step, stride, cells)
    return _Pool.apply(maps.float(), slots, (step, stride), cells)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        maps: torch.Tensor,
        slots: torch.Tensor,
        sizes: tuple[int, int],
        cells: tuple[int, int],
    ) -> torch.Tensor:
        ctx.slots, ctx.sizes, ctx.shape = slots, sizes, maps.shape
        values = np.ascontiguousarray(maps.detach().permute(1, 2, 0).numpy())
        sums = np.zeros((*cells, values.shape[2]), np.float32)
        step, stride = sizes
        pool(values, slots.numpy(), step, stride, sums)
        return torch.from_numpy(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        channels, height, width = ctx.shape
        maps = np.zeros((height, width, channels), np.float32)
        step, stride = ctx.sizes
        spread(gradient.contiguous().numpy(), ctx.slots.numpy(), step, stride, maps)
        return torch.from_numpy(maps).permute(2, 0, 1), None, None, None


def _pool_on_device(
    maps: torch.Tensor, slots: torch.Tensor, step: int, stride: int, cells: tuple[int, int]
) -> torch.Tensor:
    height, width = slots.shape
    y = torch.arange(height, device=slots.device)[:, None]
    x = torch.arange(width, device=slots.device)[None, :]
    wide = slots.long()
    home_y, home_x = y // step + wide // 5 - 2, x // step + wide % 5 - 2
    known = (slots != MASKED) & (home_y >= 0) & (home_x >= 0)
    known &= (home_y < cells[0]) & (home_x < cells[1])
    where = (y // stride * maps.shape[2] + x // stride).expand(height, width)
    values = maps.float().permute(1, 2, 0).flatten(0, 1)[where[known]]
    sums = values.new_zeros(cells[0] * cells[1], maps.shape[0])
    return sums.index_add(0, (home_y * cells[1] + home_x)[known], values).unflatten(0, cells)
