"""Segment gigapixel images with graph neural networks on superpixels.

Importing this package costs nothing: every name below loads its module when it is first used.

`superpixels` and `paint` are functions although modules bear the same names. Python would put the
module over the function as soon as something imports it, so the package refuses that one binding;
the modules are reached by `from gnnseg.superpixels import ...` as usual.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnnseg.graph import RegionGraph, region_graph, supervoxel_graph
    from gnnseg.io import open_image
    from gnnseg.paint import paint
    from gnnseg.pipeline.border_learning import learn_borders
    from gnnseg.pipeline.evaluate import evaluate
    from gnnseg.pipeline.load import load_model
    from gnnseg.pipeline.segment import segment
    from gnnseg.pipeline.suggest import suggest
    from gnnseg.superpixels import superpixels, supervoxels
    from gnnseg.training import train

__version__ = "0.1.0"

__all__ = [
    "RegionGraph",
    "__version__",
    "evaluate",
    "learn_borders",
    "load_model",
    "open_image",
    "paint",
    "region_graph",
    "segment",
    "suggest",
    "superpixels",
    "supervoxel_graph",
    "supervoxels",
    "train",
]

_MODULES = {
    "RegionGraph": "gnnseg.graph",
    "evaluate": "gnnseg.pipeline",
    "learn_borders": "gnnseg.pipeline",
    "load_model": "gnnseg.pipeline",
    "open_image": "gnnseg.io",
    "paint": "gnnseg.paint",
    "region_graph": "gnnseg.graph",
    "segment": "gnnseg.pipeline",
    "suggest": "gnnseg.pipeline",
    "superpixels": "gnnseg.superpixels",
    "supervoxel_graph": "gnnseg.graph",
    "supervoxels": "gnnseg.superpixels",
    "train": "gnnseg.training",
}


class _Package(ModuleType):
    """A package whose public functions are not replaced by submodules of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
