"""What processes of test_devices.py import: they know nothing of the tests that started them."""

from __future__ import annotations

import torch

from gnnseg.baselines import trainer


def in_float32(*arguments, **more):
    """A trainer whose convolutions have all digits, whatever the processor is good at."""
    trainer.half_pays = lambda _device: False
    return trainer.PixelTrainer(*arguments, **more)


def failing(*_arguments, ranks, **_more):
    """Fails in the second process, and tells what both have agreed upon."""
    values = [torch.tensor([[1.0, 2.0]]), torch.tensor(4.0)]
    if ranks.rank:
        values = [3 * value for value in values]
    ranks.average(values, (0.75, 0.25)[ranks.rank])
    ranks.average([], 0.5)
    if ranks.rank:
        raise ValueError(f"means {[value.tolist() for value in values]}")
    ranks.agree([0.0])  # waits for the other
