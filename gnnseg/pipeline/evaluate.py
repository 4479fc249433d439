"""Measure a model on labelled images, on pixels after painting."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.blocks import CHUNK_PIXELS
from gnnseg.datasets import ArrayDataset, open_dataset
from gnnseg.datasets.folder import fit_classes
from gnnseg.datasets.item import Item
from gnnseg.errors import UsageError
from gnnseg.execution import default_workers, one_torch_thread, run_tasks
from gnnseg.memory import default_budget, parse_size, reused_memory
from gnnseg.models import Model
from gnnseg.pipeline.count_blocks import check_labels
from gnnseg.pipeline.count_plan import Shares, open_large, share_out
from gnnseg.pipeline.counts import Counts
from gnnseg.pipeline.job import Job
from gnnseg.pipeline.load import load_model
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.plan import check_block
from gnnseg.progress import progress_bar

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.datasets.label_source import LabelSource
    from gnnseg.pipeline.pixel_job import PixelJob


def evaluate(
    images: Any,
    model: Model | PixelModel | str | Path,
    labels: Any = None,
    *,
    split: str = "test",
    refine: bool = False,
    workers: int | None = None,
    memory: int | str | None = None,
    block: int | None = None,
    scratch: str | Path | None = None,
) -> dict[str, Any]:
    """Measure a model on one split of a dataset, with one confusion matrix for all its images.

    Images are measured in memory, one a thread, where that fits the budget, and larger ones block
    by block on all threads. The figures do not depend on `memory`, `block` or `workers`.

    Parameters
    ----------
    images : path, Dataset or sequence of images
        A dataset, of which `split` is taken; or images, together with `labels`.
    model : Model, PixelModel or path
    labels : sequence of (H, W) integer arrays, optional
    split : "train", "val" or "test"
    refine : bool
        Refine the pixels along borders, as `segment` does.
    workers : int, optional
        Threads; default: one a processor.
    memory : int or str, optional
        Upper bound for the whole process, such as `"1GiB"`; default: half of what is available.
    block : int, optional
        Measure every image in blocks of so many pixels on a side.
    scratch : path, optional
        Folder for what a model of regions keeps on disk while it works in blocks; default: that of
        the system for temporary files.

    Returns
    -------
    dict
        miou, pixel_accuracy, dice, per_class_iou by name (None for a class that is absent),
        ceiling_miou (every region labelled with its commonest class; None for a convolutional
        network), ece and error_auroc
        (as in `gnnseg.metrics.Calibration`), ece_uncalibrated (without the model's temperature),
        num_images, seconds. With `refine` also miou_unrefined, boundary_f1 and
        boundary_f1_unrefined (within 2 pixels, mean over the images).

    Raises
    ------
    InputError
        The split is empty, or classes or channels do not fit the model.
    UsageError
        `scratch` is no folder, or an argument does not fit.
    MemoryBudgetError
        The budget is too small, before any work starts.
    """
    started = time.monotonic()
    net = load_model(model) if isinstance(model, (str, Path)) else model
    items, name = _items(images, labels, net, split)
    options = _options(net, memory, workers, block, refine=refine)
    folder = None if scratch is None else _folder(scratch)
    shares = share_out(items, net, options)
    for item in shares.large:
        check_labels(item.open_labels(), CHUNK_PIXELS, options)
    total = _measure_small(shares, net, options) + _measure_large(shares, net, options, folder)
    matrix = total.prediction
    return {
        "dataset": Path(name).name,
        "split": split if labels is None else None,
        "miou": matrix.miou,
        "pixel_accuracy": matrix.pixel_accuracy,
        "dice": matrix.dice,
        "per_class_iou": matrix.as_dict(net.classes.names)["per_class_iou"],
        "ceiling_miou": None if total.ceiling is None else total.ceiling.miou,
        "ece": total.calibrated.ece,
        "ece_uncalibrated": total.uncalibrated.ece,
        "error_auroc": total.calibrated.auroc,
        "num_images": len(items),
        "seconds": time.monotonic() - started,
        **(total.refinement() if refine else {}),
    }


def _items(
    images: Any, labels: Any, model: Model | PixelModel, split: str
) -> tuple[list[Item], str]:
    if labels is not None:
        given = ArrayDataset(images, labels, model.classes, val=0.0)
        return given.split("train"), given.name
    dataset = fit_classes(open_dataset(images), model.classes)
    return dataset.filled_split(split), dataset.name


def _options(
    model: Model | PixelModel,
    memory: int | str | None,
    workers: int | None,
    block: int | None,
    *,
    refine: bool,
) -> SegmentOptions:
    is_pixels = not isinstance(model, Model)
    if is_pixels and refine:
        raise UsageError("borders are refined between regions: a convolutional network has none")
    check_block(block)
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, got {workers}")
    return SegmentOptions(
        memory=default_budget() if memory is None else parse_size(memory),
        workers=workers or default_workers(),
        block=block,
        refine=refine,
        measured=True,
        # What a network on pixels is measured by takes as much as these.
        probabilities=is_pixels,
        uncertainty=is_pixels,
    )


def _folder(scratch: str | Path) -> Path:
    folder = Path(scratch)
    if not folder.is_dir():
        raise UsageError(f"--scratch {folder}: is no folder; make it, or name another one")
    return folder


def _measure_small(shares: Shares, model: Model | PixelModel, options: SegmentOptions) -> Counts:
    """Figures of the images that fit in memory."""
    total = Counts.zeros(model.classes.num_classes)
    if not shares.small:
        return total

    def done(_item: Item, counts: Counts) -> None:
        nonlocal total
        total += counts
        bar.advance()

    work = _in_memory(model, options)
    with progress_bar("evaluate", len(shares.small)) as bar, one_torch_thread():
        run_tasks(work, shares.small, workers=shares.threads, done=done)
    return total


def _in_memory(model: Model | PixelModel, options: SegmentOptions) -> Callable[[Item], Counts]:
    """What measures a model on one image in memory."""
    if isinstance(model, Model):
        from gnnseg.pipeline.measure_regions import measure_regions

        return partial(measure_regions, model=model, width=options.band)
    from gnnseg.pipeline.measure_pixels import measure_pixels

    return partial(measure_pixels, model=model)


@reused_memory()
def _measure_large(
    shares: Shares, model: Model | PixelModel, options: SegmentOptions, folder: Path | None
) -> Counts:
    """Figures of the images that do not fit, one after the other."""
    total = Counts.zeros(model.classes.num_classes)
    for item in shares.large:
        total += _in_blocks(*open_large(item, model, options), folder)
    return total


def _in_blocks(job: Job | PixelJob, labels: LabelSource, folder: Path | None) -> Counts:
    if isinstance(job, Job):
        from gnnseg.pipeline.measure_regions import stream_regions

        return stream_regions(job, labels, folder)
    from gnnseg.pipeline.measure_pixels import stream_pixels

    return stream_pixels(job, labels)
