"""The learning rate over a training: a rise, then a fall."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gnnseg.training.learning import LearningConfig

_LEAST = 0.01


def learning_rate(done: float, config: LearningConfig) -> float:
    """The learning rate after a share of the training, 0 to 1.

    `cosine`: Loshchilov and Hutter, arXiv:1608.03983, equation 5, one period. `polynomial`:
    (1 - t)**power, Chen et al., arXiv:1606.00915, section 4.1. `constant` stays.

    >>> from gnnseg.training import make_config
    >>> round(learning_rate(0.515, make_config(learning_rate=1)), 6)
    0.5
    """
    done = min(done, 1.0)
    if done < config.warm_up:
        return config.learning_rate * max(done / config.warm_up, _LEAST)
    past, whole = done - config.warm_up, 1 - config.warm_up
    if config.schedule == "cosine":
        scale = 0.5 * (1 + math.cos(math.pi * past / whole))
    elif config.schedule == "polynomial":
        scale = (1 - past / whole) ** config.power
    else:
        scale = 1.0
    return config.learning_rate * scale
