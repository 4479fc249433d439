"""How large blocks may be for a memory budget, decided before any work starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gnnseg.errors import MemoryBudgetError, UsageError
from gnnseg.features import feature_names, planes
from gnnseg.graph.stage import SUM_HALO
from gnnseg.memory import format_size

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.models.group import Group
    from gnnseg.pipeline.windows import Grid
    from gnnseg.superpixels import PixelReader

MAX_CHUNKS = 4
"""Chunks on a side of a block: beyond, the halo saves little more."""
SAFETY = 1.15
"""Margin on every estimate, for the allocator and the readers."""
RUNTIME_BYTES = 48 * 2**20
"""What threads, compiled loops and chunk decoders take once work starts."""
EDGES_PER_REGION = 6
"""A planar graph has fewer than six directed edges a node."""


@dataclass(frozen=True)
class Plan:
    """Block sizes in chunks, by phase, and what they are expected to take."""

    workers: int
    region_chunks: int
    group_chunks: dict[str, int]
    paint_chunks: int
    projected_bytes: int
    scratch_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def region_bytes(reader: PixelReader, grid: Grid, chunks: int) -> int:
    """Peak of one block of pixels on its way to slots and tables."""
    settings, scaling = reader.settings, reader.scaling
    step, channels = settings.step, scaling.num_channels
    inner = chunks * grid.chunk
    read = inner + 2 * (settings.slot_halo + SUM_HALO)
    near = inner + 2 * SUM_HALO
    pixels = min(read * step, reader.lattice.height) * min(read * step, reader.lattice.width)
    native = channels * reader.image.dtype.itemsize
    per_pixel = native + 4 * channels + (2 * channels if settings.sigma > 0 else 0) + 20
    num_planes = len(planes(channels, lab=scaling.lab))
    num_features = len(feature_names(channels, lab=scaling.lab))
    tables = (6 + 2 * num_planes) * 8 + 32 * 12 + 25 * 16
    derived = (2 * num_planes + num_features * 2.5) * 8 + 300
    clusters = (2 * channels + 6) * 8
    cells = read**2 * clusters + near**2 * tables + inner**2 * derived
    return int(pixels * per_pixel + near**2 * step**2 * (2 * channels + 3) + cells)


def group_bytes(model: Model, group: Group, grid: Grid, chunks: int) -> int:
    """Peak of one block of nodes on its way through a group of layers."""
    side = chunks * grid.chunk + 2 * group.halo
    bounds = grid.cells(group.level).shape
    nodes = min(side, bounds[0]) * min(side, bounds[1])
    width = max(_widths(model))
    features = len(feature_names(model.scaling.num_channels, lab=model.scaling.lab))
    width = max(group.channels, features if group.level == 0 else 0, width if group.halo else 0)
    table = 25 * 8 * 2 + 600 if group.level == 0 else 9 * 8 * 2 + 600
    edge = (16 * 4 + 14 * 8) + 5 * 4 * min(width, max(group.channels, 32))
    return int(nodes * (table + 12 * 4 * width + EDGES_PER_REGION * edge))


def paint_bytes(grid: Grid, num_classes: int, *, probabilities: bool) -> int:
    """Peak of painting one chunk of the output."""
    side = grid.chunk * grid.lattice.step
    nodes = (grid.chunk + 6) ** 2
    layers = 8 + (3 if probabilities else 0)
    return int(2.3 * side**2 * layers + nodes * num_classes * 40)


def make_plan(
    reader: PixelReader,
    grid: Grid,
    *,
    budget: int,
    base: int,
    workers: int,
    model: Model | None = None,
    probabilities: bool = False,
    block: int | None = None,
) -> Plan:
    """The largest blocks that keep the process below `budget`, given `base` bytes before work.

    Raises
    ------
    MemoryBudgetError
        Even the smallest blocks on one thread do not fit; the message says what would.
    """
    base = int(base + RUNTIME_BYTES + reader.image.resident_bytes)
    floor = None
    for threads in range(workers, 0, -1):
        share = int((budget - base) / (threads * SAFETY))
        plan = _fit(reader, grid, share, base, threads, model, probabilities, block)
        if isinstance(plan, Plan):
            return plan
        floor = plan
    need = base + int((floor or 0) * SAFETY)
    side = grid.chunk * grid.lattice.step
    raise MemoryBudgetError(
        f"blocks of {block or side} pixels at step {grid.lattice.step} need about "
        f"{format_size(need)} and the budget is {format_size(budget)}: "
        f"use --memory {-(-need // 2**20)}MiB or more"
    )


def _fit(  # noqa: PLR0913
    reader: PixelReader,
    grid: Grid,
    share: int,
    base: int,
    workers: int,
    model: Model | None,
    probabilities: bool,  # noqa: FBT001
    block: int | None,
) -> Plan | int:
    """A plan within `share` bytes a thread, or the bytes that the smallest blocks would need."""
    side = grid.chunk * grid.lattice.step
    fixed = None if block is None else max(1, round(block / side))
    sizes = {"regions": lambda chunks: region_bytes(reader, grid, chunks)}
    groups = model.network.groups if model is not None else ()
    for group in groups:
        sizes[group.name] = lambda chunks, g=group: group_bytes(model, g, grid, chunks)  # type: ignore[misc,arg-type]
    classes = model.classes.num_classes if model is not None else 1
    painting = paint_bytes(grid, classes, probabilities=probabilities)
    chosen = {}
    smallest = max([size(fixed or 1) if name == "regions" else size(1) for name, size in sizes.items()] + [painting])
    if smallest > share:
        return smallest
    for name, size in sizes.items():
        candidates = [fixed] if fixed and name == "regions" else range(1, MAX_CHUNKS + 1)
        chosen[name] = max(chunks for chunks in candidates if size(chunks) <= share)
    peak = max(max(sizes[name](chunks) for name, chunks in chosen.items()), painting)
    return Plan(
        workers=workers,
        region_chunks=chosen.pop("regions"),
        group_chunks=chosen,
        paint_chunks=1,
        projected_bytes=base + int(peak * workers * SAFETY),
        scratch_bytes=scratch_bytes(reader, grid, model),
    )


def scratch_bytes(reader: PixelReader, grid: Grid, model: Model | None) -> int:
    """Disk that slots, tables and states take beside the output, at most."""
    features = len(feature_names(reader.scaling.num_channels, lab=reader.scaling.lab))
    cells = grid.cells(0).size
    total = reader.lattice.bounds.size + cells * (features * 4 + 24 + 25 * 8)
    groups = model.network.groups if model is not None else ()
    for group in groups:
        total += grid.cells(group.level).size * (group.channels * 4 + (100 if group.level else 0))
    return total * reader.image.num_planes


def _widths(model: Model) -> list[int]:
    return [group.channels for group in model.network.groups] + [32]


def check_block(block: int | None, grid: Grid) -> None:
    """Raise for a block size that cannot be."""
    if block is not None and block < 1:
        raise UsageError(f"--block must be a positive number of pixels, got {block}")
    if grid.lattice.num_cells < 1:
        raise UsageError("the image has no cells")
