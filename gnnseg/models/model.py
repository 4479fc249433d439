"""A trained model: the network and everything that turns pixels into its input."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.features import feature_names
from gnnseg.models.presets import build_network, get_preset
from gnnseg.models.size import num_parameters

if TYPE_CHECKING:
    import torch

    from gnnseg.graph import RegionTable
    from gnnseg.io import ClassInfo
    from gnnseg.models.borders import Borders
    from gnnseg.models.level import Level
    from gnnseg.superpixels import Scaling, SlicSettings


@dataclass(frozen=True, eq=False)
class Model:
    """What a model file holds.

    Attributes
    ----------
    preset : str
    options : dict
        Arguments of the network, over the preset's.
    settings : SlicSettings
    scaling : Scaling
    features : tuple of str
        Names of the features the network reads, in order.
    mean, std : (F,) float32
        Statistics of those features over the training regions.
    classes : ClassInfo
    pixel_size : (y, x) in micrometres or None
    training : dict
        How the model came about: configuration, versions, figures.
    temperature : float
        What logits are divided by before they become probabilities, fitted on val.
    network : torch.nn.Module
    borders : Borders or None
        What labels the pixels along borders where they are refined, if it was learnt.
    """

    preset: str
    options: dict[str, Any]
    settings: SlicSettings
    scaling: Scaling
    features: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    classes: ClassInfo
    pixel_size: tuple[float, float] | None = None
    training: dict[str, Any] = field(default_factory=dict)
    network: Any = None
    temperature: float = 1.0
    borders: Borders | None = None

    def __post_init__(self) -> None:
        if self.network is None:
            network = build_network(
                get_preset(self.preset),
                len(self.features),
                self.classes.num_classes,
                self.scaling,
                self.options,
            )
            object.__setattr__(self, "network", network.eval())

    @cached_property
    def columns(self) -> list[int]:
        """Where the model's features stand among those of the region table."""
        names = feature_names(self.scaling.num_channels, rgb=self.scaling.rgb)
        return [names.index(name) for name in self.features]

    @property
    def title(self) -> str:
        """The preset and the step, in a few words."""
        return f"{self.preset}, step {self.settings.step}"

    @property
    def num_parameters(self) -> int:
        return num_parameters(self.network)

    @property
    def num_levels(self) -> int:
        return self.network.num_levels

    def standardise(self, x: np.ndarray) -> torch.Tensor:
        """Network input (N, F) from the features (N, all) of a region table."""
        import torch

        chosen = x if self.columns == list(range(x.shape[1])) else x[:, self.columns]
        standard = chosen - self.mean
        standard /= self.std
        return torch.from_numpy(standard)

    def levels(self, table: RegionTable) -> list[Level]:
        """The levels of the network over a whole table, finest first."""
        levels = []
        for index in range(self.num_levels):
            levels.append(self.network.make_level(table, index))
            if index + 1 < self.num_levels:
                table = table.coarsen()
        return levels

    def logits(self, table: RegionTable, stem: np.ndarray | None = None) -> np.ndarray:
        """Logits (N, classes) float32 of a whole table, in one piece, on the processor.

        `stem` (N, channels) are the states of a model that has a stem; `plane_logits`
        computes them.
        """
        import torch

        from gnnseg.models.group import FEATURES, STEM, run_groups

        table = table.on_host()
        with torch.inference_mode():
            states = {FEATURES: self.standardise(table.x.reshape(table.window.size, -1))}
            if stem is not None:
                states[STEM] = torch.from_numpy(stem)
            levels = dict(enumerate(self.levels(table)))
            return run_groups(self.network.eval(), states, levels).numpy()
