"""Superpixels: settings, scaling to working channels, and the stage itself."""

from gnnseg.superpixels.reader import PixelReader, Pixels
from gnnseg.superpixels.scaling import Scaling, fit_scaling
from gnnseg.superpixels.settings import SlicSettings
from gnnseg.superpixels.stage import (
    Superpixels,
    compute_slots,
    make_reader,
    superpixel_map,
    superpixels,
    write_slots,
)
from gnnseg.superpixels.volume import Supervoxels, VolumeLattice, supervoxels

__all__ = [
    "PixelReader",
    "Pixels",
    "Scaling",
    "SlicSettings",
    "Superpixels",
    "Supervoxels",
    "VolumeLattice",
    "compute_slots",
    "fit_scaling",
    "make_reader",
    "superpixel_map",
    "superpixels",
    "supervoxels",
    "write_slots",
]
