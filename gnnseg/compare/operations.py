"""What networks compute for images, whatever kind they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def count_operations(model: Any, items: Sequence[Any]) -> tuple[int, int]:
    """Pixels, and floating-point operations of the network, of all images.

    Counted on the first image of each size.
    """
    pixels, operations, by_size = 0, 0, {}
    for item in items:
        image = item.open_image()
        size = (image.height, image.width)
        if size not in by_size:
            by_size[size] = _image_operations(model, item)
        pixels += image.height * image.width
        operations += by_size[size]
    return pixels, operations


def _image_operations(model: Any, item: Any) -> int:
    from gnnseg.models import Model

    _, labels = item.load()
    if isinstance(model, Model):
        from gnnseg.models.operations import counted_operations
        from gnnseg.pipeline import evaluate

        with counted_operations() as counted:
            evaluate([item.image], model, [labels], workers=1)
        return counted.total
    from gnnseg.baselines.cost import plane_operations

    return plane_operations(model, labels.shape)
