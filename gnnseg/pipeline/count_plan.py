"""Which labelled images are measured in memory, and which in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import TYPE_CHECKING

from gnnseg.blocks import CHUNK_PIXELS, Lattice
from gnnseg.features import feature_names
from gnnseg.memory import rss
from gnnseg.models import Model
from gnnseg.pipeline.count_phase import load_count_loops
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.plan import (
    MAX_CHUNKS,
    RUNTIME_BYTES,
    SAFETY,
    count_bytes,
    group_bytes,
    region_bytes,
    stem_bytes,
)
from gnnseg.pipeline.segment import prepare_any
from gnnseg.pipeline.windows import Grid
from gnnseg.superpixels import PixelReader
from gnnseg.superpixels.stage import AT_ONCE

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.datasets.item import Item
    from gnnseg.datasets.label_source import LabelSource
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.job import Job
    from gnnseg.pipeline.pixel_job import PixelJob

LABEL_BYTES = 8
"""A label as stored, as read, and while it is checked."""
_WIDEST = MAX_CHUNKS * CHUNK_PIXELS
"""Pixels on a side of the widest windows that labels are read in."""


@dataclass(frozen=True)
class Shares:
    """Images that are measured in memory, `threads` at once, and those that are in blocks.

    Nothing of them is held: an open image may keep much of itself, and a descriptor.
    """

    small: list[Item]
    large: list[Item]
    threads: int


def share_out(items: Sequence[Item], model: Model | PixelModel, options: SegmentOptions) -> Shares:
    """Take to memory what fits the budget while every thread has such an image.

    With `options.block`, all go in blocks. Raises `MemoryBudgetError` where even the smallest
    blocks of an image do not fit, before any work.
    """
    threads = min(options.workers, len(items))
    share = (options.memory - rss() - RUNTIME_BYTES) / (threads * SAFETY)
    size = _sizes(model, options)
    small: list[Item] = []
    large: list[Item] = []
    for item in items:
        image, labels = item.open_pair()
        held = labels.resident_bytes + labels.read_bytes(labels.shape)
        fits = options.block is None and size(image) + held <= share
        (small if fits else large).append(item)
    if large and isinstance(model, Model):
        load_count_loops(refine=options.refine)
    for item in large:
        open_large(item, model, options)
    return Shares(small, large, threads)


def open_large(
    item: Item, model: Model | PixelModel, options: SegmentOptions
) -> tuple[Job | PixelJob, LabelSource]:
    """A plan for an image in blocks, and its labels."""
    image, labels = item.open_pair()
    label_bytes = labels.read_bytes((_WIDEST, _WIDEST))
    options = replace(options, held=labels.resident_bytes, label_bytes=label_bytes)
    return prepare_any(image, model, options), labels


def _sizes(model: Model | PixelModel, options: SegmentOptions) -> Callable[[ImageSource], int]:
    """What tells the bytes that measuring an image in memory takes on one thread."""
    if isinstance(model, Model):
        scaling = replace(model.scaling, by_image=False)  # no image is read for its own
        return lambda image: region_image_bytes(
            PixelReader(image, scaling, model.settings), model, refine=options.refine
        )
    from gnnseg.baselines.cost import activation_bytes
    from gnnseg.pipeline.pixel_plan import band_bytes

    channels, known = model.scaling.num_channels, dict[tuple[int, int], int]()

    def size(image: ImageSource) -> int:
        shape = min(model.tile, image.height), min(model.tile, image.width)
        if shape not in known:
            known[shape] = activation_bytes(model.network, channels, *shape)
        chunks = -(-image.width // CHUNK_PIXELS)
        band = band_bytes([image], model, options, chunks=chunks, network=known[shape])
        return band + image.height * image.width * LABEL_BYTES + image.resident_bytes

    return size


def region_image_bytes(reader: PixelReader, model: Model, *, refine: bool) -> int:
    """Peak of measuring a model of regions on a whole image in memory, on one thread."""
    lattice, image = reader.lattice, reader.image
    grid, settings = Grid(lattice), reader.settings
    side = grid.chunk * settings.step
    most = -(-max(lattice.shape) // grid.chunk)
    # Blocks have `AT_ONCE` pixels, or are the image; their halos are those of a square.
    square = Grid(Lattice(AT_ONCE, AT_ONCE, settings.step))
    regions = min(
        region_bytes(reader, grid, most),
        region_bytes(reader, square, -(-isqrt(AT_ONCE) // side)),
    )
    features = len(feature_names(reader.scaling.num_channels, rgb=reader.scaling.rgb))
    held = lattice.bounds.size * (1 + LABEL_BYTES)
    held += lattice.num_cells * (features * 4 + 24 + 25 * 8)
    # Edges of all levels and the states of all groups are held at once.
    network = 2 * max(group_bytes(model, group, grid, most) for group in model.network.groups)
    counted = count_bytes(reader, grid, model.classes.num_classes, refine=refine)
    at_once = max(regions, network, stem_bytes(reader, model, grid), counted)
    return held + at_once + image.resident_bytes
