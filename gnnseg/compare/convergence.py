"""Whether a training had flattened when it ended, told by its val mIoU."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

MARGIN = 0.005
"""What the last quarter of the epochs may still gain: half a point of mIoU."""
FEWEST = 20
"""Epochs below which only patience that ran out tells: a falling rate flattens a curve of few."""


def flattened(val_miou: Sequence[float], patience: int) -> tuple[bool, str]:
    """Whether val mIoU by epoch has flattened, and why it is taken to have or not.

    It has where the last `patience` epochs, and the last tenth of all, brought nothing better, or
    where the best of the last quarter of the epochs is less than half a point above that before.

    >>> flattened([0.1, 0.3, 0.5, 0.6] + 16 * [0.62], patience=20)
    (True, 'the last 5 of 20 epochs gained 0.00 points')
    >>> flattened([0.02 * n for n in range(20)], patience=20)
    (False, 'the last 5 of 20 epochs gained 10.00 points')
    >>> flattened([0.1, 0.3, 0.5, 0.6, 0.62, 0.62, 0.62, 0.62], patience=20)
    (False, '8 epochs are too few to tell')
    """
    curve = [0.0 if isnan(value) else value for value in val_miou]
    number = len(curve)
    if number == 0:
        return False, "there is no epoch"
    waited = number - 1 - curve.index(max(curve))
    if waited >= max(patience, number / 10):
        return True, f"{waited} epochs brought nothing better"
    if number < FEWEST:
        return False, f"{number} epochs are too few to tell"
    last = max(1, number // 4)
    gain = max(curve[-last:]) - max(curve[:-last])
    said = f"gained {100 * gain:.2f} points" if gain >= 0 else "gained nothing"
    return gain < MARGIN, f"the last {last} of {number} epochs {said}"
