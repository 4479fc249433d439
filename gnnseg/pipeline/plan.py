"""How large blocks may be for a memory budget, decided before any work starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gnnseg.errors import MemoryBudgetError, UsageError
from gnnseg.features import NUM_BINS, feature_names, planes
from gnnseg.graph.stage import SUM_HALO
from gnnseg.memory import format_size
from gnnseg.models.group import stored_states
from gnnseg.pipeline.read_cost import decoding_bytes, native_bytes
from gnnseg.pipeline.refine import AT_ONCE, LEARNT_AT_ONCE

if TYPE_CHECKING:
    from gnnseg.blocks import Window
    from gnnseg.models import Model
    from gnnseg.models.group import Group
    from gnnseg.pipeline.options import PaintOptions
    from gnnseg.pipeline.tiling import Tiles, Tiling
    from gnnseg.pipeline.windows import Grid
    from gnnseg.superpixels import PixelReader, SlicSettings

MAX_CHUNKS = 4
"""Chunks on a side of a block: beyond, the halo saves little more."""
MAX_GROUP_CELLS = 256
"""Cells on a side of a block of nodes, likewise."""
SAFETY = 1.4
"""Margin on every estimate, for the readers and for what the allocator keeps between arrays."""
KEPT = 0.88
"""Share of the budget beyond which freed memory goes back to the system after a block."""
RUNTIME_BYTES = 128 * 2**20
"""What threads, compiled loops and chunk decoders take once work starts."""
SPREAD_BYTES = 48 * 2**20
"""By how much what a process holds before work differs from one to the next."""
SCRATCH_BYTES = 6 * 2**20
"""Strips of rows and columns and the regions described at once, whatever the block."""
CHANNEL_BYTES = 64 * 2**10
"""What strips take for each channel."""
NODE_BYTES = 200
"""Area, moment, position and indices of a node, as tables and as tensors."""
EDGE_BYTES = 60
"""Indices and attributes of an edge, with some room."""
COARSE_EDGES = 8
"""Directed edges that a node of a coarse level can have at most."""
COUNTED_BYTES = 120
"""A pixel while it is measured: labels, confidence and entropy, and the bins of these."""
BORDER_BYTES = 160
"""A pixel besides where borders are refined and measured, if all are on a border."""
MOST_EDGES = 24
"""Directed edges that a region can have at most, whatever the image."""


@dataclass(frozen=True)
class Plan:
    """Threads, the bytes each may take, block sizes in chunks, and what to expect of it all.

    A learned stem runs on `stem_workers` of the threads: as many as its chunks leave room for.
    """

    budget_bytes: int
    workers: int
    stem_workers: int
    share_bytes: int
    region_chunks: int
    projected_bytes: int
    scratch_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def most_kept(self) -> int:
        """Bytes held, freed ones included, that still leave room for what a block adds."""
        return int(KEPT * self.budget_bytes)

    def chunks_for(
        self,
        size: Callable[[int], int],
        tiling: Callable[[int], Tiles[Any]],
        most: int,
        kept: int | None = None,
    ) -> int:
        """Chunks on a side, up to `most`, of the blocks that are done soonest of those that fit.

        `size` and `tiling` are bytes of a thread and blocks for so many chunks. Those `kept` from
        an earlier run if they fit.
        """
        if kept is not None and size(kept) <= self.share_bytes:
            return kept
        return min(
            fitting(size, self.share_bytes, most),
            key=lambda chunks: (tiling(chunks).busiest(self.workers), -chunks),
        )


def region_bytes(reader: PixelReader, grid: Grid, chunks: int) -> int:
    """Peak of one block of pixels on its way to slots and tables: the largest of its moments."""
    settings, scaling = reader.settings, reader.scaling
    channels, area, thin = scaling.num_channels, settings.step**2, sampled_pixels(settings)
    halos = (settings.slot_halo + SUM_HALO, settings.slot_halo - settings.slic_halo + SUM_HALO)
    read, pieces, near, write = (
        _cells(grid, chunks * grid.chunk + 2 * halo) for halo in (*halos, SUM_HALO, 0)
    )
    num_planes = len(planes(channels, rgb=scaling.rgb))
    num_features = len(feature_names(channels, rgb=scaling.rgb))
    smoothed = 2 * channels if settings.sigma > 0 else 0
    mean = 0 if scaling.rgb or channels == 1 else 2
    held = read * area * (2 * channels + smoothed + mean + 1)  # channels, grey, slots
    tables = near * ((6 + 2 * num_planes) * 8 + NUM_BINS * 4 + 2 * 25 * 4 + 4)
    moments = (
        read * area * native_bytes(reader) + decoding_bytes(reader, chunks * grid.chunk, halos[0]),
        # The channels once more without the filter's margin, and what makes grey of them.
        read * area * (2 * channels + 2 * smoothed + 4 * mean + 1),
        held + read * (area + thin * (2 * channels + 1) + 16 * channels + 48),
        held + pieces * area * 6,  # slots, runs
        held + pieces * area + near * area + tables,
        (pieces + near) * area + tables + write * (4 * num_features + 200),
    )
    return int(max(moments) + SCRATCH_BYTES + channels * CHANNEL_BYTES)


def sampled_pixels(settings: SlicSettings) -> int:
    """Pixels of a cell that the rounds look at."""
    return (-(-settings.step // settings.looked_at)) ** 2


def _cells(grid: Grid, side: int) -> int:
    """Cells of a square block, cut at the lattice."""
    height, width = grid.cells(0).shape
    return min(side, height) * min(side, width)


def group_bytes(
    model: Model, group: Group, grid: Grid, chunks: int, density: float = MOST_EDGES
) -> int:
    """Peak of one block of nodes, with `density` edges each, on its way through some layers."""
    side = chunks * grid.chunk_at(group.level) + 2 * group.halo
    bounds = grid.cells(group.level).shape
    nodes = min(side, bounds[0]) * min(side, bounds[1])
    fine = group.level == 0
    reads = len(feature_names(model.scaling.num_channels, rgb=model.scaling.rgb)) if fine else 0
    tables = (25 if fine else 9) * 8 * 2 + NODE_BYTES
    states = 4 * (2 * reads + 10 * max(group.width, group.channels)) + _input_bytes(model, group)
    edges = group.edges or (min(density, MOST_EDGES) if fine else COARSE_EDGES)
    edges = edges if group.halo else 0
    return int(nodes * (tables + states + edges * (EDGE_BYTES + group.edge_bytes)))


def _input_bytes(model: Model, group: Group) -> int:
    """What the states that a group reads take for each of its nodes: as read, and once more."""
    channels = {state.name: state.channels for state in stored_states(model.network)}
    return sum(
        8 * channels.get(name, 0) * max(1, 4 ** (group.level - level))
        for name, level in group.inputs
    )


def stem_bytes(reader: PixelReader, model: Model, grid: Grid) -> int:
    """Peak of a learned stem on one chunk: while pixels are read, or maps made; 0 without one."""
    stem = model.network.stem
    if stem is None:
        return 0
    step = grid.lattice.step
    halo = stem.margin(step)
    pixels = _cells(grid, grid.chunk + 2 * halo) * step**2
    read = pixels * native_bytes(reader) + decoding_bytes(reader, grid.chunk, halo)
    return max(read, pixels * stem.pixel_bytes)


def paint_bytes(
    reader: PixelReader, grid: Grid, num_classes: int, paint: PaintOptions | None
) -> int:
    """Peak of painting one chunk of the output, or of measuring what is painted there."""
    if paint is not None and paint.measured:
        return count_bytes(reader, grid, num_classes, refine=paint.refine) + paint.label_bytes
    side = grid.chunk * grid.lattice.step
    nodes = (grid.chunk + 6) ** 2
    layers, each, more = 8, 40, 0
    if paint is not None:
        maps = paint.uncertainty + num_classes * paint.probabilities
        layers += 3 * (maps > 0)
        each += 8 * paint.uncertainty
        more = _refine_bytes(reader, grid.chunk, num_classes, maps) if paint.refine else 0
        more += paint.label_bytes
    return int(2.3 * side**2 * layers + nodes * num_classes * each + more)


def counted_cells(grid: Grid) -> int:
    """Cells on a side of what is measured at once: less than a chunk, since a pixel takes more."""
    return grid.chunk // 2


def count_bytes(reader: PixelReader, grid: Grid, num_classes: int, *, refine: bool) -> int:
    """Peak of painting some cells and of comparing them with their true labels."""
    side = counted_cells(grid)
    pixels, nodes = _cells(grid, side + 4) * grid.lattice.step**2, (side + 6) ** 2
    each, more = COUNTED_BYTES, 0
    if refine:
        each += BORDER_BYTES + 4 * num_classes
        more = _refine_bytes(reader, side, num_classes, 0)
    return int(pixels * each + nodes * num_classes * 64 + more)


def _refine_bytes(reader: PixelReader, side: int, num_classes: int, maps: int) -> int:
    """What painting `side` x `side` cells takes besides if borders are refined, and everywhere."""
    from gnnseg.models.borders import border_bytes

    scaling = reader.scaling
    channels, cells = scaling.num_channels, (side + 6) ** 2
    features = len(feature_names(channels, rgb=scaling.rgb))
    smoothed = 2 * channels if reader.settings.sigma > 0 else 0
    read = native_bytes(reader) + 2 * channels + smoothed + 12  # channels, grey, slots, flags
    found = 2 * (10 + maps)  # places, labels and maps in parts, then in one piece
    regions = 8 * features + 60 * channels + 8 * num_classes
    pixels = ((side + 2) * reader.settings.step) ** 2
    learnt = LEARNT_AT_ONCE * border_bytes(num_classes, channels)
    mixed = pixels * found + AT_ONCE * 40 * (num_classes + 1) + learnt
    decoding = decoding_bytes(reader, side, halo=3)
    return pixels * read + cells * regions + max(mixed, decoding)


def make_plan(
    reader: PixelReader,
    grid: Grid,
    *,
    budget: int,
    base: int,
    workers: int,
    model: Model | None = None,
    paint: PaintOptions | None = None,
    block: int | None = None,
    window: Window | None = None,
    planes: int = 1,
) -> Plan:
    """The blocks that are done soonest below `budget`, given `base` bytes before work.

    They cover a window of cells, or all, in every plane.

    Raises
    ------
    MemoryBudgetError
        Even the smallest blocks on one thread do not fit; the message says what would.
    """

    def busiest(chunks: int, threads: int) -> float:
        return region_tiling(reader, grid, chunks, window, planes).busiest(threads)

    costs = Costs(
        size=lambda chunks: region_bytes(reader, grid, chunks),
        busiest=busiest,
        least=lambda chunks: _least(reader, grid, model, chunks, paint),
        scratch=scratch_bytes(reader, grid, model),
        chunk=grid.chunk,
        stem=0 if model is None else stem_bytes(reader, model, grid),
    )
    return plan_blocks(reader, costs, budget=budget, base=base, workers=workers, block=block)


@dataclass(frozen=True)
class Costs:
    """What blocks of so many chunks on a side take, and how much the busiest thread has to do.

    `size` and `least` are bytes of a thread, `least` those of the smallest blocks of all phases
    where that is the size of the first ones; `busiest` is for so many chunks and threads; `chunk`
    is in cells, and `stem` what a learned stem takes for a chunk.
    """

    size: Callable[[int], int]
    busiest: Callable[[int, int], float]
    least: Callable[[int], int]
    scratch: int
    chunk: int
    stem: int = 0
    most: int = MAX_CHUNKS


def plan_blocks(
    reader: PixelReader,
    costs: Costs,
    *,
    budget: int,
    base: int,
    workers: int,
    block: int | None = None,
) -> Plan:
    """As `make_plan`, for work of any kind."""
    sources = [source for source in (reader.image, reader.mask) if source is not None]
    base = int(base + RUNTIME_BYTES + sum(source.resident_bytes for source in sources))
    side = costs.chunk * reader.settings.step
    fixed = None if block is None else max(1, round(block / side))
    least, stem = costs.least(fixed or 1), costs.stem
    if max(least, stem) > (budget - base) / SAFETY:
        need = base + int(max(least, stem) * SAFETY)
        raise _too_small(need, budget, reader.settings.step, block or side)
    plans = []
    for threads in range(1, workers + 1):
        share = int((budget - base) / (threads * SAFETY))
        if least > share:
            break
        stem_workers = max(1, min(threads, threads * share // max(1, stem)))
        for chunks in [fixed] if fixed else fitting(costs.size, share, costs.most):
            held = max(stem_workers * stem, threads * max(least, costs.size(chunks)))
            plan = Plan(
                budget_bytes=budget,
                workers=threads,
                stem_workers=stem_workers,
                share_bytes=share,
                region_chunks=chunks,
                projected_bytes=base + int(held * SAFETY),
                scratch_bytes=costs.scratch,
            )
            plans.append(plan)
    return min(plans, key=lambda plan: _done_soonest(plan, costs))


def _done_soonest(plan: Plan, costs: Costs) -> tuple[float, int, int]:
    """Sorts plans; of equal ones that of most threads is first, then that of largest blocks."""
    chunks, threads = plan.region_chunks, plan.workers
    return costs.busiest(chunks, threads), -threads, -chunks


def _too_small(need: int, budget: int, step: int, side: int) -> MemoryBudgetError:
    return MemoryBudgetError(
        f"blocks of {side} pixels at step {step} need about "
        f"{format_size(need)} and the budget is {format_size(budget)}: {advice(need)}"
    )


def advice(need: int) -> str:
    """What to ask for where so many bytes are needed: more, since processes differ.

    >>> advice(100 * 2**20)
    'use --memory 148MiB or more'
    """
    return f"use --memory {-(-(need + SPREAD_BYTES) // 2**20)}MiB or more"


def reuse(plan: Plan, chunks: int | None, make: Callable[[int], Plan]) -> Plan:
    """The plan that `make` gives for the `chunks` of an earlier run, or this one if none fits."""
    if chunks is None or chunks == plan.region_chunks:
        return plan
    try:
        return make(chunks)
    except MemoryBudgetError:
        return plan


def _least(
    reader: PixelReader, grid: Grid, model: Model | None, chunks: int, paint: PaintOptions | None
) -> int:
    """Bytes that the smallest blocks of every phase need on one thread."""
    if model is None:
        return region_bytes(reader, grid, chunks)
    return max(
        region_bytes(reader, grid, chunks),
        paint_bytes(reader, grid, model.classes.num_classes, paint),
        *(group_bytes(model, group, grid, 1) for group in model.network.groups),
    )


def fitting(size: Callable[[int], int], share: int, most: int) -> list[int]:
    """The chunks on a side, up to `most`, whose size is within the share; at least one."""
    return [chunks for chunks in range(1, most + 1) if size(chunks) <= share] or [1]


def region_tiling(
    reader: PixelReader, grid: Grid, chunks: int, window: Window | None, planes: int
) -> Tiling:
    """Blocks of pixels that become slots and tables, of a window of cells or of all."""
    halo = reader.settings.slot_halo + SUM_HALO
    window = grid.cells(0) if window is None else window
    return grid.tiling(window, 0, chunks=chunks, halo=halo, planes=planes)


def scratch_bytes(reader: PixelReader, grid: Grid, model: Model | None) -> int:
    """Disk that slots, tables and states take beside the output, at most."""
    features = len(feature_names(reader.scaling.num_channels, rgb=reader.scaling.rgb))
    cells = grid.cells(0).size
    total = reader.lattice.bounds.size + cells * (features * 4 + 24 + 25 * 8)
    for state in stored_states(model.network) if model is not None else ():
        total += grid.cells(state.level).size * (state.channels * 4 + (100 if state.level else 0))
    return total * reader.image.num_planes


def check_block(block: int | None) -> None:
    """Raise for a block size that cannot be."""
    if block is not None and block < 1:
        raise UsageError(f"--block must be a positive number of pixels, got {block}")
