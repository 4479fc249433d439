"""Where a network on a GPU runs the project's own loops."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from gnnseg.log import LOGGER


def loops_take(tensor: torch.Tensor) -> bool:
    """Whether loops for a GPU take a tensor there as it is, in place of PyTorch's operations.

    They have no gradients, and work on the current device, on its default stream.
    """
    if torch.is_grad_enabled() or tensor.dtype != torch.float32:
        return False
    here = tensor.device.index == torch.cuda.current_device()
    # Loops run on the default stream: on another, nothing would order them.
    ordered = torch.cuda.current_stream(tensor.device).cuda_stream == 0
    return here and ordered and _loops_run()


@cache
def _loops_run() -> bool:
    """Whether a loop can be compiled and run; PyTorch's own operations need no compiler."""
    from gnnseg.kernels.cuda import arrays

    try:
        return int(arrays.to_host(arrays.full((1,), np.int32, 1))[0]) == 1
    except Exception as error:  # noqa: BLE001  no compiler, or one too new for the driver, ...
        LOGGER.warning("loops for GPUs do not run, PyTorch's operations do: %s", error)
        return False
