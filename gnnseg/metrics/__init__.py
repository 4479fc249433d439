"""Quality of label images and of superpixels, measured on pixels."""

from __future__ import annotations

from gnnseg.metrics.boundary import BoundaryCounts, boundary_f1, boundary_recall
from gnnseg.metrics.calibration import Calibration
from gnnseg.metrics.confusion import ConfusionMatrix, count_regions
from gnnseg.metrics.superpixel import (
    achievable_accuracy,
    ceiling_labels,
    undersegmentation_error,
)

__all__ = [
    "BoundaryCounts",
    "Calibration",
    "ConfusionMatrix",
    "achievable_accuracy",
    "boundary_f1",
    "boundary_recall",
    "ceiling_labels",
    "count_regions",
    "undersegmentation_error",
]
