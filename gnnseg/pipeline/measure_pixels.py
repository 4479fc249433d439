"""Measure a network on pixels on one labelled image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gnnseg.baselines.inference import plane_logits
from gnnseg.metrics import Calibration, ConfusionMatrix
from gnnseg.pipeline.counts import Counts, surety

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.datasets.item import Item


def measure_pixels(item: Item, model: PixelModel) -> Counts:
    """Counts of the prediction; pixels that are not finite are left unlabelled, as in `segment`."""
    image, truth = item.load()
    ignore = item.classes.ignore_index
    x, valid = model.standardise(image.read(image.bounds))
    logits = plane_logits(
        model.network, x, tile=model.tile, overlap=model.overlap, device=torch.device("cpu")
    )
    prediction = logits.argmax(axis=0)
    if valid is not None:
        prediction[~valid] = ignore
    known = (truth != ignore) & (prediction != ignore)
    flat = logits[:, known].T

    def calibration(temperature: float) -> Calibration:
        right = (truth == prediction)[known]
        return Calibration.of(right, *surety(flat, temperature))

    matrix = ConfusionMatrix.of(truth, prediction, model.classes.num_classes, ignore)
    return Counts(matrix, None, calibration(model.temperature), calibration(1.0), matrix, ())
