"""How wide the bands of a convolutional network may be for a memory budget."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gnnseg.baselines.cost import activation_bytes
from gnnseg.blocks import CHUNK_PIXELS
from gnnseg.errors import MemoryBudgetError
from gnnseg.memory import format_size
from gnnseg.pipeline.plan import KEPT, MAX_CHUNKS, RUNTIME_BYTES, SAFETY, SPREAD_BYTES

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.options import SegmentOptions

AT_ONCE = 2**16
"""Pixels whose classes are decided at a time."""


@dataclass(frozen=True)
class PixelPlan:
    """Threads, chunks across a band, and what to expect."""

    budget_bytes: int
    workers: int
    band_chunks: int
    projected_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def most_kept(self) -> int:
        """Bytes held, freed ones included, that still leave room for what a tile adds."""
        return int(KEPT * self.budget_bytes)


def band_bytes(image: ImageSource, model: PixelModel, options: SegmentOptions, chunks: int) -> int:
    """Peak of a band: logits of the rows that are not final, and a tile on its way to its own."""
    height, width = image.height, image.width
    side, classes = min(model.tile, height), model.classes.num_classes
    across = min(chunks * CHUNK_PIXELS, width)
    rows = min(side + CHUNK_PIXELS, height)
    maps = options.uncertainty + classes * options.probabilities
    held = across * (rows * (4 * classes + 1) + min(CHUNK_PIXELS, height) * (3 + maps))
    pieces = min(AT_ONCE + across, across * rows) * (16 + 40 * classes * (maps > 0))
    channels = model.scaling.num_channels
    tile = side * min(model.tile, width)
    read = tile * channels * (2 * image.dtype.itemsize + 8)
    network = activation_bytes(model.network, channels, side, min(model.tile, width))
    blended = 2 * 4 * classes * tile
    weights = 2 * 4 * model.num_parameters  # once more in the order that convolutions want
    return held + max(pieces, read + network + blended + weights)


def plan_bands(
    image: ImageSource,
    mask: ImageSource | None,
    model: PixelModel,
    options: SegmentOptions,
    base: int,
) -> PixelPlan:
    """The widest bands on the most threads that keep the process below its budget.

    Raises
    ------
    MemoryBudgetError
        Even the narrowest band on one thread does not fit; the message says what would.
    """  # fmt: skip
    base += RUNTIME_BYTES + sum(s.resident_bytes for s in (image, mask) if s is not None)
    budget = options.memory
    fixed = None if options.block is None else max(1, round(options.block / CHUNK_PIXELS))
    choices = [fixed] if fixed else list(range(MAX_CHUNKS, 0, -1))
    sizes = {n: int(SAFETY * band_bytes(image, model, options, n)) for n in choices}
    for workers in range(options.workers, 0, -1):
        for chunks, size in sizes.items():
            if base + workers * size <= budget:
                return PixelPlan(budget, workers, chunks, base + workers * size)
    need = base + sizes[choices[-1]]
    raise MemoryBudgetError(
        f"tiles of {model.tile} pixels through {model.title} need about {format_size(need)} and "
        f"the budget is {format_size(budget)}: use --memory "
        f"{-(-(need + SPREAD_BYTES) // 2**20)}MiB or more"
    )
