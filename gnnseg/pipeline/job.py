"""Everything that is settled before the first block of a segmentation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gnnseg.blocks import Window
from gnnseg.errors import UsageError
from gnnseg.io import open_image, require_memory
from gnnseg.memory import rss
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.plan import (
    MAX_GROUP_CELLS,
    Plan,
    check_block,
    group_bytes,
    make_plan,
    region_tiling,
    reuse,
)
from gnnseg.pipeline.rates import load_loops
from gnnseg.pipeline.windows import Grid, Required, required
from gnnseg.superpixels import PixelReader

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.models import Model
    from gnnseg.models.group import Group
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.pixel_job import PixelJob
    from gnnseg.pipeline.tiling import Tiling


@dataclass(frozen=True)
class Job:
    """Everything that is settled before the first block.

    `need` is what must be computed, and `base` the memory held before.
    """

    reader: PixelReader
    model: Model
    grid: Grid
    roi: Window
    need: Required
    options: SegmentOptions
    plan: Plan
    base: int

    @property
    def chunk(self) -> int:
        """Pixels on a side of a chunk of the output."""
        return self.grid.chunk * self.grid.lattice.step

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output: (Y, X), or (Z, Y, X) for a stack."""
        image = self.reader.image
        return (*((image.num_planes,) if image.is_stack else ()), *self.roi.shape)

    @property
    def planes(self) -> int:
        return _planes(self.reader, self.options)

    @property
    def region_tiling(self) -> Tiling:
        """The blocks whose pixels become slots and tables."""
        chunks, window = self.plan.region_chunks, self.need.tables[0]
        return region_tiling(self.reader, self.grid, chunks, window, self.planes)

    def group_chunks(self, group: Group, density: float, kept: int | None = None) -> int:
        """Chunks on a side of the blocks of some layers, for `density` edges a region at most.

        Those that are `kept` from an earlier run, if they fit.
        """

        def size(chunks: int) -> int:
            return group_bytes(self.model, group, self.grid, chunks, density)

        most = MAX_GROUP_CELLS // self.grid.chunk_at(group.level)
        return self.plan.chunks_for(size, partial(self.group_tiling, group), most, kept)

    def group_tiling(self, group: Group, chunks: int) -> Tiling:
        """The blocks of a group of layers."""
        window, level = self.need.states[group.output], group.level
        return self.grid.tiling(window, level, chunks=chunks, halo=group.halo, planes=self.planes)

    def resumed(self, run: Run) -> Job:
        """The same in the blocks of an earlier run, where they fit and no others are asked for."""
        if self.options.block is not None:
            return self
        return replace(self, plan=reuse(self.plan, run.plan.get("regions"), self._plan))

    def _plan(self, chunks: int) -> Plan:
        options = replace(self.options, block=chunks * self.chunk)
        return _plan(self.reader, self.model, options, self.base, self.need)

    def figures(self, run: Run) -> dict[str, int]:
        """What a run counted of its regions."""
        regions = run.totals("regions")
        return {
            "nodes": regions["regions"],
            "edges": regions["edges"],
            "leftover_pixels": regions["leftover"],
        }

    def settings(self) -> dict[str, Any]:
        """What decides the bytes of the output: a resumed run must agree in all of it."""
        from gnnseg.models.file import fingerprint

        return run_settings(self) | {
            "model": fingerprint(self.model),
            "superpixels": asdict(self.reader.settings),
            "refine": self.options.band,
        }


def run_settings(job: Job | PixelJob) -> dict[str, Any]:
    """What decides the bytes of the output, whatever the model."""
    from gnnseg import __version__

    image, mask, roi, options = job.reader.image, job.reader.mask, job.roi, job.options
    return {
        "gnnseg": __version__,
        "input": image.fingerprint(),
        "mask": None if mask is None else mask.fingerprint(),
        "roi": [roi.y0, roi.y1, roi.x0, roi.x1],
        "probabilities": options.probabilities,
        "uncertainty": options.uncertainty,
        "label_offset": options.label_offset,
        "ome_version": options.ome_version,
    }


def prepare(image: ImageSource, model: Model, options: SegmentOptions, mask: Any = None) -> Job:
    """Check everything that can be checked, and plan; touches no output.

    The image is read after the plan, which counts what decoding it takes.
    """
    require_memory(image)
    common = replace(model.scaling, by_image=False)
    masked = None if mask is None else open_image(mask)
    reader = PixelReader(image, common, model.settings, masked)
    grid = Grid(reader.lattice)
    check_block(options.block)
    roi = check_roi(options.roi, grid.lattice.bounds)
    sight = roi.grow(options.band).clip(grid.lattice.bounds)
    need = required(model.network, grid, sight)
    load_loops(reader, model, options)
    base = rss() + options.held
    plan = _plan(reader, model, options, base, need)
    reader = replace(reader, scaling=model.scaling)
    return Job(reader, model, grid, roi, need, options, plan, base)


def _planes(reader: PixelReader, options: SegmentOptions) -> int:
    """Planes of a stack that are segmented; its first one, where it is measured."""
    return 1 if options.measured else reader.image.num_planes


def _plan(
    reader: PixelReader, model: Model, options: SegmentOptions, base: int, need: Required
) -> Plan:
    return make_plan(
        reader,
        Grid(reader.lattice),
        budget=options.memory,
        base=base,
        workers=options.workers,
        model=model,
        paint=options,
        block=options.block,
        window=need.tables[0],
        planes=_planes(reader, options),
    )


def check_roi(roi: tuple[tuple[int, int], tuple[int, int]] | None, bounds: Window) -> Window:
    """The part of an image that is asked for; raises `UsageError` where it is none."""
    if roi is None:
        return bounds
    (y0, y1), (x0, x1) = roi
    inside = 0 <= y0 < y1 <= bounds.y1 and 0 <= x0 < x1 <= bounds.x1
    if not inside:
        raise UsageError(
            f"the roi {y0}:{y1},{x0}:{x1} must lie within the image, 0:{bounds.y1},0:{bounds.x1}"
        )
    return Window(y0, y1, x0, x1)
