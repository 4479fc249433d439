"""One piece for every superpixel, on a GPU; the rule is that of `gnnseg.kernels.connectivity`.

A plane is connected as a volume of one (`gnnseg.kernels.cuda.connectivity_volume`): its slots are
those of homes in the first of five layers, and no side leads to another plane.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gnnseg.kernels.cuda.arrays import view
from gnnseg.kernels.cuda.connectivity_volume import connect_volume


def connect(slots: Any, step: int, rounds: int) -> np.ndarray:
    """Reassign orphan pixels of one window, in place; arguments and result as for the CPU.

    The list of those that found no main piece comes to the host.
    """
    slots = view(slots)
    planes = slots.reshape(1, *slots.shape)
    places = connect_volume(planes, (1, step), rounds, (1, 1)).astype(np.int64)
    return np.stack(np.divmod(places, slots.shape[1]), axis=1)
