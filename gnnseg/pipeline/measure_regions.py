"""Measure a model of regions on one labelled image, in memory or in blocks."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gnnseg.errors import InputError
from gnnseg.graph import TableStore, whole_table
from gnnseg.ledger import Ledger
from gnnseg.models.group import LOGITS
from gnnseg.models.stem_window import plane_logits
from gnnseg.pipeline.count_blocks import count_blocks
from gnnseg.pipeline.count_phase import CountPhase
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.paint_source import PaintSource
from gnnseg.pipeline.plan import counted_cells
from gnnseg.pipeline.scratch import Scratch
from gnnseg.pipeline.stream import stream_logits
from gnnseg.pipeline.tiling import Tiling, chunk_tiling
from gnnseg.pipeline.windows import Grid
from gnnseg.superpixels import PixelReader

if TYPE_CHECKING:
    from gnnseg.datasets.item import Item
    from gnnseg.datasets.label_source import LabelSource
    from gnnseg.io import ImageSource
    from gnnseg.models import Model
    from gnnseg.pipeline.counts import Counts
    from gnnseg.pipeline.job import Job


def measure_regions(item: Item, model: Model, width: int) -> Counts:
    """Counts of the prediction, and of the commonest class of every region, in memory.

    Borders are refined `width` pixels to each side, with 0 not at all.
    """
    image, truth = item.load()
    source = label_regions(image, model, width)
    ignore = item.classes.ignore_index
    phase = CountPhase(source, model, ignore, lambda window: truth[window.slices])
    total = None
    for task in pixel_tiling(source.reader).tasks():
        counts = phase(task)
        total = counts if total is None else total + counts
    assert total is not None  # an image has at least one pixel
    return total.of_image()


def label_regions(image: ImageSource, model: Model, width: int) -> PaintSource:
    """What the pixels of an image are painted from, in memory."""
    reader = PixelReader(image, model.scaling, model.settings)
    slots, table = whole_table(reader)
    logits = plane_logits(model, reader, slots, table)
    arrays = {name: array[None] for name, array in table.arrays().items()}
    states = {LOGITS: logits.reshape(1, *table.window.shape, -1)}
    scratch = Scratch(slots[None], [TableStore(arrays, model.settings.step)], states)
    return PaintSource(reader, scratch, width, model.borders)


def stream_regions(job: Job, labels: LabelSource, folder: Path | None) -> Counts:
    """The same of an image of any size, in the blocks of a job.

    Slots, tables and states lie in `folder` meanwhile, or in that of the system.
    """
    with _scratch_folder(folder) as scratch:
        run = Run.start(Path(scratch) / "run", {})
        try:
            source = stream_logits(job, run, Ledger()).source
            phase = CountPhase(source, job.model, labels.classes.ignore_index, labels.read)
            return count_blocks(phase, pixel_tiling(job.reader), job.plan)
        finally:
            run.close()


def _scratch_folder(folder: Path | None) -> TemporaryDirectory[str]:
    """A folder in `folder`; `InputError` where none can be made."""
    try:
        return TemporaryDirectory(prefix="gnnseg-evaluate-", dir=folder)
    except OSError as error:
        raise InputError(
            f"--scratch {folder or 'folder of the system'}: cannot be written to: {error}"
        ) from error


def pixel_tiling(reader: PixelReader) -> Tiling:
    """What is looked at together: the pixels of whole cells."""
    lattice = reader.lattice
    return chunk_tiling(lattice.bounds.shape, counted_cells(Grid(lattice)) * lattice.step)
