"""Whether an image shows things at the size that the model has learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnnseg.log import LOGGER

if TYPE_CHECKING:
    from gnnseg.baselines import PixelModel
    from gnnseg.io import ImageSource
    from gnnseg.models import Model

TOLERANCE = 0.05


def warn_about_scale(
    image: ImageSource, model: Model | PixelModel, *, otherwise: tuple[float, float] | None = None
) -> bool:
    """Warn on stderr where pixel sizes differ by more than 5 %; whether it did.

    `otherwise` is the pixel size in micrometres of an image that does not tell its own.
    """
    size = image.pixel_size_um or otherwise
    if size is None or model.pixel_size is None:
        return False
    pairs = zip(size, model.pixel_size, strict=True)
    if all(abs(found - known) <= TOLERANCE * known for found, known in pairs):
        return False
    LOGGER.warning(
        "%s has pixels of %s and the model was trained on %s: resample the image, or expect worse "
        "labels",
        image.name,
        _words(size),
        _words(model.pixel_size),
    )
    return True


def _words(size: tuple[float, float]) -> str:
    return f"{size[0]:.4g} x {size[1]:.4g} µm"
