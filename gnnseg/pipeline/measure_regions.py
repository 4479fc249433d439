"""Measure a model of regions on one labelled image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnseg.graph import whole_table
from gnnseg.metrics import Calibration, ConfusionMatrix, boundary_f1, ceiling_labels
from gnnseg.models.stem_window import plane_logits
from gnnseg.paint import paint
from gnnseg.pipeline.counts import Counts, surety
from gnnseg.pipeline.refine import Mixture
from gnnseg.pipeline.refine import refine as refine_borders
from gnnseg.superpixels import PixelReader, Superpixels

if TYPE_CHECKING:
    from gnnseg.datasets.item import Item
    from gnnseg.models import Model


def measure_regions(item: Item, model: Model, width: int) -> Counts:
    """Counts of the prediction, and of the commonest class of every region.

    Borders are refined `width` pixels to each side, with 0 not at all.
    """
    image, truth = item.load()
    reader = PixelReader(image, model.scaling, model.settings)
    slots, table = whole_table(reader)
    logits = plane_logits(model, reader, slots, table)
    step, ignore = model.settings.step, item.classes.ignore_index
    painted = paint(slots, logits.argmax(axis=1).astype(np.int32), step=step, fill=ignore)
    regions = Superpixels(slots, reader.lattice, model.settings, model.scaling, 0)
    best = ceiling_labels(truth, regions.ids(), ignore_index=ignore)
    bounds = reader.lattice.bounds

    def load() -> tuple[Mixture, np.ndarray]:
        return Mixture.of(table, logits, model.scaling, (0, 0)), reader.read(bounds).work

    borders = refine_borders(painted, slots, bounds, width=width, unlabelled=ignore, load=load)
    band = list(borders) if width else []
    prediction = painted.copy()
    for places, mixed in band:
        prediction[places] = mixed.argmax(axis=1)
    known = (truth != ignore) & (prediction != ignore)

    def calibration(temperature: float) -> Calibration:
        sure, doubt = (paint(slots, values, step=step) for values in surety(logits, temperature))
        for places, mixed in band:
            sure[places], doubt[places] = surety(mixed, temperature)
        return Calibration.of((truth == prediction)[known], sure[known], doubt[known])

    def f1(labels: np.ndarray) -> float:
        return boundary_f1(truth, labels, ignore_index=ignore)

    def matrix(labels: np.ndarray) -> ConfusionMatrix:
        return ConfusionMatrix.of(truth, labels, model.classes.num_classes, ignore)

    return Counts(
        matrix(prediction),
        matrix(best),
        calibration(model.temperature),
        calibration(1.0),
        matrix(painted),
        (tuple(map(f1, (painted, prediction))),) if width else (),
    )
