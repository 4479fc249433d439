"""Logits of images that lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gnnseg.baselines.tiles import blend
from gnnseg.blocks import Window
from gnnseg.counters import device_work, moved


def tile_logits(network: Any, x: np.ndarray, device: torch.device) -> np.ndarray:
    """Logits (classes, h, w) float32 of one input (C, h, w)."""
    with torch.inference_mode():
        batch = moved(torch.from_numpy(np.ascontiguousarray(x))[None], device)
        with device_work(device):
            found = network(batch.to(memory_format=torch.channels_last))[0]
        logits: np.ndarray = moved(found, torch.device("cpu")).numpy()
    return logits


def plane_logits(
    network: Any, x: np.ndarray, *, tile: int, overlap: int, device: torch.device
) -> np.ndarray:
    """Logits (classes, H, W) float32 of an input (C, H, W), blended from tiles."""

    def logits_of(window: Window) -> np.ndarray:
        return tile_logits(network, x[(slice(None), *window.slices)], device)

    num_classes = len(network.output_bias)
    return blend(logits_of, x.shape[1:], num_classes, tile=tile, overlap=overlap)
