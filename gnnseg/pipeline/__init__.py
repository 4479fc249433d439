"""Whole runs: segment an image, evaluate a model, measure the ceiling of a dataset."""

from gnnseg.pipeline.segment import segment

__all__ = ["segment"]
