"""Whole runs: segment an image, evaluate a model, rank regions, run one stage."""

from gnnseg.pipeline.border_learning import learn_borders
from gnnseg.pipeline.ceiling import ceiling
from gnnseg.pipeline.evaluate import evaluate
from gnnseg.pipeline.load import load_model
from gnnseg.pipeline.painting import paint_file
from gnnseg.pipeline.segment import segment
from gnnseg.pipeline.stages import write_graph, write_superpixels
from gnnseg.pipeline.suggest import suggest

__all__ = [
    "ceiling",
    "evaluate",
    "learn_borders",
    "load_model",
    "paint_file",
    "segment",
    "suggest",
    "write_graph",
    "write_superpixels",
]
