"""Superpixels: settings, scaling to working channels, and the stage itself."""

from gnnseg.superpixels.box import Box, BoxBlock, VolumeLattice
from gnnseg.superpixels.reader import PixelReader, Pixels, check_mask
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
from gnnseg.superpixels.volume import Supervoxels, VolumeReader, supervoxels

__all__ = [
    "Box",
    "BoxBlock",
    "PixelReader",
    "Pixels",
    "Scaling",
    "SlicSettings",
    "Superpixels",
    "Supervoxels",
    "VolumeLattice",
    "VolumeReader",
    "check_mask",
    "compute_slots",
    "fit_scaling",
    "make_reader",
    "superpixel_map",
    "superpixels",
    "supervoxels",
    "write_slots",
]
