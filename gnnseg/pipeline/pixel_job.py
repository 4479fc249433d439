"""Everything that is settled before a convolutional network sees the first tile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnnseg.baselines.file import fingerprint
from gnnseg.baselines.inference import tile_logits
from gnnseg.baselines.tiles import stretches
from gnnseg.blocks import CHUNK_PIXELS, Window
from gnnseg.errors import UsageError
from gnnseg.execution import default_workers, one_torch_thread
from gnnseg.io import open_image, require_memory
from gnnseg.memory import rss
from gnnseg.pipeline.job import check_roi, run_settings
from gnnseg.pipeline.pixel_plan import PixelPlan, plan_bands
from gnnseg.pipeline.plan import check_block
from gnnseg.superpixels import check_mask

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.options import SegmentOptions

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Sources:
    """An image and its optional mask."""

    image: ImageSource
    mask: ImageSource | None


@dataclass(frozen=True)
class PixelJob:
    """Everything that is settled before the first tile."""

    reader: Sources
    model: PixelModel
    roi: Window
    options: SegmentOptions
    plan: PixelPlan

    chunk = CHUNK_PIXELS
    """Pixels on a side of a chunk of the output."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output: (Y, X), or (Z, Y, X) for a stack."""
        image = self.reader.image
        return (*((image.num_planes,) if image.is_stack else ()), *self.roi.shape)

    def resumed(self, _run: Run) -> PixelJob:
        """The same: bands of another width are done anew, to the same labels."""
        return self

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
    sources = Sources(image, None if mask is None else open_image(mask))
    check_mask(image, sources.mask)
    for wanted, name in ((options.refine, "--refine"), (options.keep, "--keep")):
        if wanted:
            raise UsageError(f"{name} is about regions, and a convolutional network has none")
    check_block(options.block)
    roi = check_roi(options.roi, Window(0, image.height, 0, image.width))
    _load(model)
    plan = plan_bands(image, sources.mask, model, options, rss() + options.held)
    return PixelJob(sources, model, roi, options, plan)


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
    model, image, roi = job.model, job.reader.image, job.roi
    side = job.plan.band_chunks * job.chunk
    rows = touching(stretches(image.height, model.tile, model.overlap), roi.y0, roi.y1)
    columns = stretches(image.width, model.tile, model.overlap)
    across = sum(
        len(touching(columns, x, min(x + side, roi.x1))) for x in range(roi.x0, roi.x1, side)
    )
    return len(rows) * across * image.num_planes


def touching(parts: Any, start: int, stop: int) -> list[Any]:
    """The stretches of an axis that share pixels with `start` to `stop`."""
    return [part for part in parts if part.start < stop and part.stop > start]
