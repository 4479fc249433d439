"""Everything that is settled before a convolutional network sees the first tile."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.baselines.file import fingerprint
from gnnseg.baselines.inference import CPU, tile_logits
from gnnseg.blocks import CHUNK_PIXELS, Window
from gnnseg.errors import MemoryBudgetError, UsageError
from gnnseg.execution import default_workers, one_torch_thread
from gnnseg.io import open_image, require_memory
from gnnseg.memory import rss
from gnnseg.pipeline.job import check_roi, run_settings
from gnnseg.pipeline.pixel_plan import Bands, PixelPlan, plan_bands
from gnnseg.pipeline.plan import check_block
from gnnseg.pipeline.tiling import Task, Tiling
from gnnseg.superpixels import check_mask

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.options import SegmentOptions
    from gnnseg.superpixels import Scaling


@dataclass(frozen=True)
class Sources:
    """An image, the ends of its brightness, and its optional mask."""

    image: ImageSource
    scaling: Scaling
    mask: ImageSource | None

    @property
    def all(self) -> tuple[ImageSource, ...]:
        """Those that there are, the image first."""
        return (self.image,) if self.mask is None else (self.image, self.mask)


@dataclass(frozen=True)
class PixelJob:
    """Everything that is settled before the first tile; `base` is the memory held before."""

    reader: Sources
    model: PixelModel
    roi: Window
    options: SegmentOptions
    plan: PixelPlan
    base: int

    chunk = CHUNK_PIXELS
    """Pixels on a side of a chunk of the output."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output: (Y, X), or (Z, Y, X) for a stack."""
        image = self.reader.image
        return (*((image.num_planes,) if image.is_stack else ()), *self.roi.shape)

    @property
    def bands(self) -> Bands:
        """How the image may be cut."""
        return _bands(self.reader.image, self.roi, self.model, self.chunk)

    @property
    def tiling(self) -> Tiling:
        """The bands of all planes: those above each other count as further planes."""
        columns = -(-self.roi.shape[1] // self.chunk)
        planes = self.bands.rows * self.reader.image.num_planes
        return Tiling(Window(0, 1, 0, columns), self.plan.band_chunks, planes=planes)

    def band(self, task: Task) -> tuple[int, Window]:
        """The plane and the pixels of a band."""
        plane, row = divmod(task.plane, self.bands.rows)
        return plane, self.bands.part(row, task.block.write.slices[1])

    def resumed(self, run: Run) -> PixelJob:
        """The same in the bands of an earlier run, where they fit and no others are asked for."""
        chunks = run.plan.get("paint")
        if self.options.block is not None or chunks in (None, self.plan.band_chunks):
            return self
        options = replace(self.options, block=chunks * CHUNK_PIXELS)
        try:
            plan = plan_bands(self.reader.all, self.model, options, self.bands, self.base)
        except MemoryBudgetError:
            return self
        return replace(self, plan=plan)

    def figures(self, _run: Run) -> dict[str, int]:
        """There is nothing to count but pixels."""
        return {}

    def settings(self) -> dict[str, Any]:
        """What decides the bytes of the output: a resumed run must agree in all of it."""
        return run_settings(self) | {"model": fingerprint(self.model)}


def prepare_pixels(
    image: ImageSource, model: PixelModel, options: SegmentOptions, mask: Any = None
) -> PixelJob:
    """Check everything that can be checked, and plan; touches no output."""
    require_memory(image)
    model.scaling.check(image)
    sources = Sources(image, model.scaling, None if mask is None else open_image(mask))
    check_mask(image, sources.mask)
    for wanted, name in ((options.refine, "--refine"), (options.keep, "--keep")):
        if wanted:
            raise UsageError(f"{name} is about regions, and a convolutional network has none")
    check_block(options.block)
    roi = check_roi(options.roi, Window(0, image.height, 0, image.width))
    _load(model)
    base = rss() + options.held
    bands = _bands(image, roi, model, PixelJob.chunk)
    plan = plan_bands(sources.all, model, options, bands, base)
    # The image is read after the plan, which counts what decoding it takes.
    sources = replace(sources, scaling=model.scaling.of(image))
    return PixelJob(sources, model, roi, options, plan, base)


def _bands(image: ImageSource, roi: Window, model: PixelModel, chunk: int) -> Bands:
    shape = image.height, image.width
    return Bands(shape, roi, image.num_planes, chunk, model.tile, model.overlap)


def _load(model: PixelModel) -> None:
    """Run the network once, on little: before the plan, which counts what that loads."""
    with one_torch_thread():
        channels = model.scaling.num_channels
        tile_logits(model.network, np.zeros((channels, 64, 64), np.float32), CPU)


def estimate_pixel_seconds(job: PixelJob) -> float:
    """Seconds that a job will take, about, from two tiles of zeros."""
    model, image = job.model, job.reader.image
    shape = min(model.tile, image.height), min(model.tile, image.width)
    zeros = np.zeros((model.scaling.num_channels, *shape), np.float32)
    with one_torch_thread():
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            tile_logits(model.network, zeros, CPU)
            seconds.append(time.perf_counter() - started)
    return min(seconds) * num_tiles(job) / min(job.plan.workers, default_workers())


def num_tiles(job: PixelJob) -> int:
    """Tiles that go through the network, those of two bands twice."""
    return job.bands.tiles(job.plan.band_chunks)
