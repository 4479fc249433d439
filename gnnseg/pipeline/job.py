"""Everything that is settled before the first block of a segmentation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from gnnseg.blocks import Window
from gnnseg.errors import UsageError
from gnnseg.io import open_image, require_memory
from gnnseg.memory import rss
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.plan import Plan, check_block, make_plan, reuse
from gnnseg.pipeline.rates import load_loops
from gnnseg.pipeline.windows import Grid
from gnnseg.superpixels import PixelReader

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.models import Model
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.pixel_job import PixelJob


@dataclass(frozen=True)
class Job:
    """Everything that is settled before the first block; `base` is the memory held before."""

    reader: PixelReader
    model: Model
    grid: Grid
    roi: Window
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
        """Planes of a stack that are segmented; its first one, where it is measured."""
        return 1 if self.options.measured else self.reader.image.num_planes

    @property
    def sight(self) -> Window:
        """The pixels whose regions are painted or looked at."""
        return self.roi.grow(self.options.band).clip(self.grid.lattice.bounds)

    def resumed(self, run: Run) -> Job:
        """The same in the blocks of an earlier run, where they fit and no others are asked for."""
        if self.options.block is not None:
            return self
        return replace(self, plan=reuse(self.plan, run.plan.get("regions"), self._plan))

    def _plan(self, chunks: int) -> Plan:
        options = replace(self.options, block=chunks * self.chunk)
        return _plan(self.reader, self.model, options, self.base)

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
    load_loops(reader, model, options)
    base = rss() + options.held
    plan = _plan(reader, model, options, base)
    reader = replace(reader, scaling=model.scaling)
    return Job(reader, model, grid, roi, options, plan, base)


def _plan(reader: PixelReader, model: Model, options: SegmentOptions, base: int) -> Plan:
    return make_plan(
        reader,
        Grid(reader.lattice),
        budget=options.memory,
        base=base,
        workers=options.workers,
        model=model,
        paint=options,
        block=options.block,
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
