"""Where half the digits are as good and faster."""

from __future__ import annotations

import torch


def half_pays(device: torch.device) -> bool:
    """Whether convolutions are faster in bfloat16 there."""
    return device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
