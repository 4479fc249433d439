"""Brighter and darker images, other colours, other stains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gnnseg.superpixels import Scaling

_DARKEST = 1e-6
"""Share of light that still gets through, as in scikit-image."""

_ABSORBING = 0.3
"""Median share of light above which a picture is one of stains, not of fluorescence."""


@dataclass(frozen=True)
class Light:
    """A gain for each channel, a gamma, and changes of three stains; by default nothing.

    `stains` has a factor less one for haematoxylin, eosin and DAB each, then what is added.
    """

    gains: tuple[float, ...] = ()
    gamma: float = 1.0
    stains: tuple[tuple[float, ...], ...] = ()


def relight(pixels: np.ndarray, light: Light, scaling: Scaling) -> np.ndarray:
    """Pixels (C, H, W) in another light, on the scale of the model; the type stays.

    Stains change in coloured pictures that are bright: light is no absorption elsewhere.
    """
    if light == Light():
        return pixels
    low = np.array(scaling.low[: len(pixels)], np.float32)[:, None, None]
    high = np.array(scaling.high[: len(pixels)], np.float32)[:, None, None]
    share = np.clip((pixels - low) / np.maximum(high - low, 1e-6), 0, 1)
    if light.stains and scaling.rgb and len(share) == 3 and np.median(share) > _ABSORBING:
        share = restain(share, *light.stains)
    gains = np.array(light.gains[: len(pixels)] or 1, np.float32).reshape(-1, 1, 1)
    lit = low + np.clip(share**light.gamma * gains, 0, 1) * (high - low)
    if pixels.dtype.kind in "ui":
        lit = np.rint(lit)
    return lit.astype(pixels.dtype)


def restain(share: np.ndarray, factors: tuple[float, ...], added: tuple[float, ...]) -> np.ndarray:
    """Change the stains of a picture (3, H, W) of shares of light, 0 to 1, float32.

    Each stain `s`, as optical density, becomes `s * (1 + factor) + added`: Tellez et al.,
    "Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference", IEEE TMI
    2018, with the stains of scikit-image's `rgb2hed`.

    >>> white = np.ones((3, 1, 1), np.float32)
    >>> restain(white, (0.1, 0.1, 0.1), (0, 0, 0)).ravel().tolist()
    [1.0, 1.0, 1.0]
    """
    from skimage.color import hed_from_rgb, rgb_from_hed

    density = -np.log(np.maximum(np.moveaxis(share, 0, -1), _DARKEST))
    stains = density @ hed_from_rgb.astype(np.float32)
    stains = stains * (1 + np.array(factors, np.float32)) + np.array(added, np.float32)
    changed = np.exp(-(stains @ rgb_from_hed.astype(np.float32)))
    return np.moveaxis(np.clip(changed, 0, 1), -1, 0)
