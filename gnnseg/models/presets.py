"""The named models: which network, which features, and how it is trained by default."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from gnnseg.errors import UsageError
from gnnseg.features import feature_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from gnnseg.superpixels import Scaling


@dataclass(frozen=True)
class Preset:
    """A model by name.

    Attributes
    ----------
    network : str
        `mlp`, `jain2023` or `lattice_gnn`.
    features : "all" or "grey"
        Every feature, or the mean, deviation and deciles of grey.
    options : dict
        Arguments of the network.
    training : dict
        Defaults of the training configuration that differ from its own.
    """

    network: str
    features: str = "all"
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


PRESETS = {
    "default": Preset("lattice_gnn"),
    "jain2023": Preset("jain2023", features="grey"),
    "large": Preset("lattice_gnn", options={"widths": (64, 128, 192, 192, 192), "stem": {}}),
    "mlp": Preset("mlp"),
    "small": Preset(
        "lattice_gnn",
        options={"widths": (16, 32, 48, 48), "down": (1, 1, 2, 2), "up": (1, 1, 1)},
        training={"epochs": 20, "variants": 0},
    ),
}


def get_preset(name: str) -> Preset:
    """The preset of that name."""
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(f"no preset is named {name!r}: choose one of {', '.join(sorted(PRESETS))}")
    return PRESETS[name]


def select_features(
    preset: Preset, scaling: Scaling, *, place: bool, patterns: Sequence[str] = ()
) -> tuple[str, ...]:
    """Names of the features that a network reads; `place` keeps the position in the image.

    With `patterns` such as `mean_*`, those that fit one of them in place of the preset's.
    """
    names = feature_names(scaling.num_channels, rgb=scaling.rgb)
    if patterns:
        return _matching(names, patterns)
    if preset.features == "grey":
        grey = names[0].removeprefix("mean_")
        keep = (f"mean_{grey}", f"std_{grey}")
        return tuple(name for name in names if name in keep or name.startswith("decile_"))
    return tuple(name for name in names if place or not name.startswith("place_"))


def _matching(names: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"no feature fits {pattern!r}: there are {', '.join(names)}")
    return tuple(name for name in names if any(fnmatchcase(name, p) for p in patterns))


def build_network(
    preset: Preset, num_features: int, num_classes: int, scaling: Scaling, options: dict[str, Any]
) -> nn.Module:
    """A network with fresh weights; `UsageError` where options are none that it can have."""
    sizes, options = (num_features, num_classes), {**preset.options, **options}
    try:
        if preset.network == "lattice_gnn":
            from gnnseg.models.lattice_gnn import LatticeGNN
            from gnnseg.models.stem import Stem

            stem = options.pop("stem", None)
            made = None if stem is None else Stem(scaling, **stem)
            return LatticeGNN(*sizes, contrast_top=scaling.top, stem=made, **options)
        if preset.network == "jain2023":
            from gnnseg.models.jain2023 import Jain2023

            return Jain2023(*sizes, **options)
        from gnnseg.models.mlp import MLP

        return MLP(*sizes, **options)
    except UsageError:
        raise
    except (ArithmeticError, TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"the options {options} do not fit the network: {error}") from error
