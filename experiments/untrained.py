"""Networks with random weights: as fast as trained ones, and needing no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gnnseg.models import Model

CLASSES = 11
"""As many as CamVid has."""


def untrained_model(image: np.ndarray, step: int, preset: str = "default") -> Model:
    """A preset for images like this one."""
    import gnnseg
    from gnnseg.io import ClassInfo
    from gnnseg.models import Model, get_preset, select_features
    from gnnseg.superpixels import SlicSettings, fit_scaling

    scaling = fit_scaling([gnnseg.open_image(image)])
    features = select_features(get_preset(preset), scaling, place=True)
    return Model(
        preset=preset,
        options={},
        settings=SlicSettings(step=step),
        scaling=scaling,
        features=features,
        mean=np.zeros(len(features), np.float32),
        std=np.ones(len(features), np.float32),
        classes=ClassInfo(tuple(f"class {number}" for number in range(CLASSES))),
    )


def label(image: np.ndarray, model: Model) -> np.ndarray:
    """Labels (Y, X) uint8 of an image in memory, on this thread."""
    import gnnseg
    from gnnseg.graph import whole_table
    from gnnseg.models.stem_window import plane_logits
    from gnnseg.superpixels import make_reader

    reader = make_reader(image, settings=model.settings, scaling=model.scaling)
    slots, table = whole_table(reader)
    labels = plane_logits(model, reader, slots, table).argmax(axis=1).astype(np.uint8)
    return gnnseg.paint(slots, labels, step=model.settings.step)
