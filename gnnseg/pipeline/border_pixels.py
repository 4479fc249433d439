"""The pixels along borders between the labels of regions: what they are, and what tells it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.kernels.refine import border_band
from gnnseg.metrics import ConfusionMatrix
from gnnseg.pipeline.measure_regions import label_regions, pixel_tiling
from gnnseg.pipeline.refine import WIDTH

if TYPE_CHECKING:
    from gnnseg.datasets.item import Item
    from gnnseg.models import Model


@dataclass(frozen=True)
class BorderPixels:
    """The labelled pixels along borders in a window of an image.

    Attributes
    ----------
    truth, painted : (N,) integer
        True classes, and those of their regions.
    inputs : (N, inputs) float32
        As `gnnseg.models.borders.border_inputs` makes them: mixed logits first.
    elsewhere : ConfusionMatrix
        Of the pixels of the window that lie along no border.
    share : float
        Of the image that the window is.
    """

    truth: np.ndarray
    painted: np.ndarray
    inputs: np.ndarray
    elsewhere: ConfusionMatrix
    share: float


def border_pixels(item: Item, model: Model) -> Iterator[BorderPixels]:
    """Those of a labelled image in memory, window by window; of windows without any, none."""
    image, labels = item.load()
    source = label_regions(image, model, WIDTH)
    ignore, classes = item.classes.ignore_index, model.classes.num_classes
    for task in pixel_tiling(source.reader).tasks():
        window = task.block.write
        block = source.read(0, window)
        whole = block.paint(block.logits.argmax(axis=1).astype(np.int32), ignore)
        band: Any = np.empty(whole.shape, np.bool_)
        border_band(whole, WIDTH, ignore, band)
        inside, truth = block.inside, labels[window.slices]
        painted, near = whole[inside.slices], band[inside.slices]
        chosen = near & (truth != ignore)
        places = np.argwhere(chosen).astype(np.int32) + np.array([inside.y0, inside.x0], np.int32)
        mixture, work = source.load(block)
        yield BorderPixels(
            truth=truth[chosen],
            painted=painted[chosen],
            inputs=mixture.inputs_at(block.slots, work, places),
            elsewhere=ConfusionMatrix.of(np.where(near, ignore, truth), painted, classes, ignore),
            share=window.size / labels.size,
        )
