"""How wide the bands of a convolutional network may be for a memory budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gnnseg.baselines.cost import activation_bytes
from gnnseg.baselines.strips import touching
from gnnseg.baselines.tiles import stretches
from gnnseg.blocks import CHUNK_PIXELS, Window
from gnnseg.errors import MemoryBudgetError
from gnnseg.memory import format_size
from gnnseg.pipeline.plan import KEPT, MAX_CHUNKS, RUNTIME_BYTES, SAFETY, advice

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.options import SegmentOptions

AT_ONCE = 2**16
"""Pixels whose classes are decided at a time."""
TALL = 8
"""Chunks above each other in a band: what a kill loses, against tiles that two bands compute."""


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


@dataclass(frozen=True)
class Bands:
    """What decides how bands are cut: the image, the part that is wanted, and the tiles.

    `shape` is that of a plane; a chunk has `chunk` pixels on a side.
    """

    shape: tuple[int, int]
    roi: Window
    planes: int
    chunk: int
    tile: int
    overlap: int

    @property
    def rows(self) -> int:
        """Bands above each other."""
        return -(-self.roi.shape[0] // (TALL * self.chunk))

    def number(self, chunks: int) -> int:
        """Bands of so many chunks in all planes."""
        return self.rows * -(-self.roi.shape[1] // (chunks * self.chunk)) * self.planes

    def part(self, row: int, chunks: slice) -> Window:
        """The pixels of some columns of chunks, in a row of bands."""
        y0, x0 = self.roi.y0 + row * TALL * self.chunk, self.roi.x0
        whole = Window(
            y0,
            y0 + TALL * self.chunk,
            x0 + chunks.start * self.chunk,
            x0 + chunks.stop * self.chunk,
        )
        return whole.clip(self.roi)

    def tiles(self, chunks: int) -> int:
        """Tiles of all bands of so many chunks, those that two bands need twice."""
        down, across = (stretches(size, self.tile, self.overlap) for size in self.shape)
        high, wide = TALL * self.chunk, chunks * self.chunk
        roi = self.roi
        rows = sum(
            len(touching(down, y, min(y + high, roi.y1))) for y in range(roi.y0, roi.y1, high)
        )
        columns = sum(
            len(touching(across, x, min(x + wide, roi.x1))) for x in range(roi.x0, roi.x1, wide)
        )
        return rows * columns * self.planes


def band_bytes(
    sources: Sequence[ImageSource],
    model: PixelModel,
    options: SegmentOptions,
    *,
    chunks: int,
    network: int,
) -> int:
    """Peak of a band: logits of the rows that are not final, and a tile on its way to its own.

    The first of `sources` is the image, others are read along the rows that are final. `network`
    are the bytes that a tile takes inside the network.
    """
    image = sources[0]
    height, width = image.height, image.width
    side, classes = min(model.tile, height), model.classes.num_classes
    across = min(chunks * CHUNK_PIXELS, width)
    rows, slab = min(side + CHUNK_PIXELS, height), min(CHUNK_PIXELS, height)
    maps = options.uncertainty + classes * options.probabilities
    mask = 16  # of any type, read and compared
    held = across * (rows * (4 * classes + 1) + slab * (3 + mask + maps))
    beside = options.label_bytes + sum(source.read_bytes((slab, across)) for source in sources[1:])
    pieces = min(AT_ONCE + across, across * rows) * (16 + 40 * classes * (maps > 0))
    tile = side * min(model.tile, width)
    read = tile * model.scaling.num_channels * (2 * image.dtype.itemsize + 8)
    blended = 2 * 4 * classes * tile
    weights = 2 * 4 * model.num_parameters  # once more in the order that convolutions want
    axes = 24 * (height + width)  # the weights of all tiles
    on_its_way = read + max(network, image.read_bytes((side, min(model.tile, width))))
    return held + axes + max(pieces, beside, on_its_way + blended + weights)


def plan_bands(
    sources: Sequence[ImageSource],
    model: PixelModel,
    options: SegmentOptions,
    bands: Bands,
    base: int,
) -> PixelPlan:
    """The bands that are done soonest within the budget, and of equal ones the widest.

    The first of `sources` is the image, the second its mask. Raises `MemoryBudgetError` where even
    the narrowest band on one thread does not fit; the message says what would.
    """
    image = sources[0]
    base += RUNTIME_BYTES + sum(source.resident_bytes for source in sources)
    shape = min(model.tile, image.height), min(model.tile, image.width)
    network = activation_bytes(model.network, model.scaling.num_channels, *shape)
    fixed = None if options.block is None else max(1, round(options.block / CHUNK_PIXELS))
    sizes = {
        n: int(SAFETY * band_bytes(sources, model, options, chunks=n, network=network))
        for n in ([fixed] if fixed else range(1, MAX_CHUNKS + 1))
    }
    plans = [
        PixelPlan(options.memory, workers, chunks, base + workers * size)
        for chunks, size in sizes.items()
        for workers in range(1, min(options.workers, bands.number(chunks)) + 1)
        if base + workers * size <= options.memory
    ]
    if plans:
        return min(plans, key=lambda plan: (_tiles_in_turn(bands, plan), -plan.band_chunks))
    need = base + min(sizes.values())
    raise MemoryBudgetError(
        f"tiles of {max(shape)} pixels through {model.title} need about {format_size(need)} and "
        f"the budget is {format_size(options.memory)}: {advice(need)}"
    )


def _tiles_in_turn(bands: Bands, plan: PixelPlan) -> float:
    """About how many tiles the busiest thread computes."""
    number = bands.number(plan.band_chunks)
    return -(-number // plan.workers) * bands.tiles(plan.band_chunks) / number
