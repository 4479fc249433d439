"""Networks on tiles and on the planes of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnnseg.baselines.strips import Slab, blended_slabs
from gnnseg.blocks import CHUNK_PIXELS, Window
from gnnseg.counters import device_work, moved

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.superpixels import Scaling

CPU = torch.device("cpu")
Lap = Callable[[str], None]
"""Called at the end of each part of the work: "read" (and standardise), "network", "blend"."""


def unmeasured(_part: str) -> None:
    """Nobody asks what the parts take."""


def tile_logits(network: Any, x: np.ndarray, device: torch.device) -> np.ndarray:
    """Logits (classes, h, w) float32 of one input (C, h, w)."""
    with torch.inference_mode():
        batch = moved(torch.from_numpy(np.ascontiguousarray(x))[None], device)
        with device_work(device):
            found = network(batch.to(memory_format=torch.channels_last))[0]
        logits: np.ndarray = moved(found, CPU).numpy()
    return logits


def plane_slabs(
    model: PixelModel,
    read: Callable[[Window], np.ndarray],
    shape: tuple[int, int],
    scaling: Scaling,
    *,
    part: Window | None = None,
    rows: int = CHUNK_PIXELS,
    network: Any = None,
    device: torch.device = CPU,
    lap: Lap = unmeasured,
) -> Iterator[Slab]:
    """The logits of a plane of `shape`, or of a part of it, in slabs of some rows.

    `read` gives the pixels (C, h, w) of a window as they are stored, `scaling` is the image's;
    another `network` may take the place of the model's.
    """
    chosen = model.network if network is None else network

    def logits_of(window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        lap("blend")
        x, valid = model.standardise(read(window), scaling)
        lap("read")
        logits = tile_logits(chosen, x, device)
        lap("network")
        return logits, valid

    whole = Window(0, shape[0], 0, shape[1])
    for slab in blended_slabs(
        logits_of,
        shape,
        whole if part is None else part,
        model.classes.num_classes,
        tile=model.tile,
        overlap=model.overlap,
        rows=rows,
    ):
        lap("blend")
        yield slab
    lap("blend")
