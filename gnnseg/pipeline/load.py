"""Model files of either kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnnseg.models.container import PIXELS, read_kind
from gnnseg.models.file import load_model as load_region_model

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.models import Model


def load_model(path: str | Path) -> Model | PixelModel:
    """Read a model file: one of regions, or a convolutional network.

    Raises
    ------
    InputError
        The file is absent, is no model of gnnseg, or was written by a newer version.
    """
    if Path(path).is_file() and read_kind(path) == PIXELS:
        from gnnseg.baselines.file import load_pixel_model

        return load_pixel_model(path)
    return load_region_model(path)
