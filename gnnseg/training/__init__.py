"""Training: configuration, samples, the loop, and the stage itself."""

from gnnseg.training.config import TrainConfig, make_config
from gnnseg.training.stage import train

__all__ = ["TrainConfig", "make_config", "train"]
