"""Node classifiers, their presets, and model files."""

from gnnseg.models.container import read_header
from gnnseg.models.file import load_model, save_model
from gnnseg.models.model import Model
from gnnseg.models.presets import PRESETS, Preset, get_preset, select_features

__all__ = [
    "PRESETS",
    "Model",
    "Preset",
    "get_preset",
    "load_model",
    "read_header",
    "save_model",
    "select_features",
]
