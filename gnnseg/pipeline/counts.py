"""What is counted of a model's answer on one image; it adds up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum

import numpy as np

from gnnseg.metrics import BoundaryCounts, Calibration, ConfusionMatrix
from gnnseg.pipeline.probability import entropy, softmax


@dataclass(frozen=True)
class Counts:
    """Figures of one image, or of several.

    `ceiling` is that of its superpixels, None for a model without any; `boundary_f1` holds those
    before and after refining, image by image, where borders were refined.
    """

    prediction: ConfusionMatrix
    ceiling: ConfusionMatrix | None
    calibrated: Calibration
    uncalibrated: Calibration
    unrefined: ConfusionMatrix
    boundary_f1: tuple[tuple[float, ...], ...]

    @classmethod
    def zeros(cls, num_classes: int) -> Counts:
        matrix, pixels = ConfusionMatrix.zeros(num_classes), Calibration.zeros()
        return cls(matrix, None, pixels, pixels, matrix, ())

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.prediction + other.prediction,
            _sum(self.ceiling, other.ceiling),
            self.calibrated + other.calibrated,
            self.uncalibrated + other.uncalibrated,
            self.unrefined + other.unrefined,
            self.boundary_f1 + other.boundary_f1,
        )

    def refinement(self) -> dict[str, float]:
        """What refining borders changed."""
        known = [scores for scores in self.boundary_f1 if not np.isnan(scores).any()]
        # Images end in any order: only an exact sum is always the same.
        before, after = (
            fsum(scores[n] for scores in known) / len(known) if known else float("nan")
            for n in range(2)
        )
        return {
            "miou_unrefined": self.unrefined.miou,
            "boundary_f1": after,
            "boundary_f1_unrefined": before,
        }


def _sum(one: ConfusionMatrix | None, other: ConfusionMatrix | None) -> ConfusionMatrix | None:
    return one or other if one is None or other is None else one + other


@dataclass(frozen=True)
class WindowCounts:
    """Figures of a part of an image, and of its boundaries before and after refining them.

    Parts add up; boundaries have a score only once all of them are there. `boundaries` is empty
    where none were refined.
    """

    counts: Counts
    boundaries: tuple[BoundaryCounts, ...] = ()

    def __add__(self, other: WindowCounts) -> WindowCounts:
        pairs = zip(self.boundaries, other.boundaries, strict=True)
        return WindowCounts(self.counts + other.counts, tuple(a + b for a, b in pairs))

    def of_image(self) -> Counts:
        """The figures of the image whose parts these are."""
        scores = tuple(part.f1 for part in self.boundaries)
        return replace(self.counts, boundary_f1=(scores,) if scores else ())


def surety(logits: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the likeliest class, and entropy, (N,) each, from logits (N, classes)."""
    chances = softmax(logits, temperature)
    return chances.max(axis=1), entropy(chances)
