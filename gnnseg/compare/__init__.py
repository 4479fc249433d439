"""Comparisons: models against each other, each piece of work in a process of its own."""

from gnnseg.compare.config import CompareConfig, make_config
from gnnseg.compare.merge import merge
from gnnseg.compare.run import compare

__all__ = ["CompareConfig", "compare", "make_config", "merge"]
