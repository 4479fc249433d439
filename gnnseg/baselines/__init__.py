"""Convolutional networks on pixels: what region models are measured against."""

from gnnseg.baselines.config import CnnConfig, make_cnn_config
from gnnseg.baselines.file import load_pixel_model, save_pixel_model
from gnnseg.baselines.model import PixelModel
from gnnseg.baselines.stage import train

__all__ = [
    "CnnConfig",
    "PixelModel",
    "load_pixel_model",
    "make_cnn_config",
    "save_pixel_model",
    "train",
]
