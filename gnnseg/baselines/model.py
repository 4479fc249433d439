"""A trained network on pixels, and what turns pixels into its input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.baselines.networks import build_network, network_title
from gnnseg.baselines.tiles import check_tiles
from gnnseg.models.size import num_parameters

if TYPE_CHECKING:
    from gnnseg.io import ClassInfo
    from gnnseg.superpixels import Scaling


@dataclass(frozen=True, eq=False)
class PixelModel:
    """What the model file of a convolutional network holds.

    Attributes
    ----------
    name : str
        Of the network.
    options : dict
        Arguments of the network that differ from its defaults.
    scaling : Scaling
        Native values that become 0 and 1.
    mean, std : (C,) float32
        Of the scaled training pixels, by channel.
    classes : ClassInfo
    tile, overlap : int
        Pixels on a side of a tile, and those that neighbours share.
    pixel_size : (y, x) in micrometres or None
    training : dict
        How the model came about: configuration, versions, figures.
    temperature : float
        What logits are divided by before they become probabilities, fitted on val.
    network : torch.nn.Module
        From (B, C, H, W) float32 to logits (B, classes, H, W).
    """

    name: str
    options: dict[str, Any]
    scaling: Scaling
    mean: np.ndarray
    std: np.ndarray
    classes: ClassInfo
    tile: int = 512
    overlap: int = 96
    pixel_size: tuple[float, float] | None = None
    training: dict[str, Any] = field(default_factory=dict)
    network: Any = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_tiles(self.tile, self.overlap)
        if self.network is None:
            channels, classes = self.scaling.num_channels, self.classes.num_classes
            network = build_network(self.name, channels, classes, self.options)
            object.__setattr__(self, "network", network.eval())

    @property
    def title(self) -> str:
        """The network and its options, in a few words."""
        return network_title(self.name, self.options)

    @property
    def num_parameters(self) -> int:
        return num_parameters(self.network)

    def standardise(
        self, pixels: np.ndarray, scaling: Scaling
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Network input (C, H, W) float32, and the finite pixels (H, W) bool; None: all.

        `scaling` is that of the image. Grey images become colours where the network reads colours.
        """
        share, valid = scale(pixels, scaling)
        share -= self.mean[:, None, None]
        share /= self.std[:, None, None]
        return share, valid


def scale(pixels: np.ndarray, scaling: Scaling) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels (C, H, W) as float32 from 0 to 1, and those that are finite, (H, W); None: all."""
    if len(pixels) == 1 and scaling.num_channels > 1:
        pixels = np.repeat(pixels, scaling.num_channels, axis=0)
    low = np.array(scaling.low, np.float32)[:, None, None]
    high = np.array(scaling.high, np.float32)[:, None, None]
    share = pixels.astype(np.float32)
    valid: np.ndarray | None = None
    if pixels.dtype.kind == "f":
        finite = np.isfinite(share)
        valid = np.all(finite, axis=0)
        np.copyto(share, low, where=~finite)
    share -= low
    share /= np.maximum(high - low, 1e-6)
    return np.clip(share, 0, 1, out=share), valid
