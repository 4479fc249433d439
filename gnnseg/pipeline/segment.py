"""Segment an image of any size: superpixels, graph, network and paint as streams of blocks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.blocks import Block, Window
from gnnseg.errors import StateError, UsageError
from gnnseg.execution import default_workers
from gnnseg.io import (
    create_label_zarr,
    create_probability_zarr,
    downsample_labels,
    export_png,
    export_tiff,
    is_complete,
    label_dtype,
    mark_complete,
    open_image,
    open_output,
    output_kind,
    remove_output,
)
from gnnseg.io.attributes import gnnseg_attributes
from gnnseg.ledger import Ledger
from gnnseg.memory import default_budget, limit_arenas, parse_size, peak_rss, rss
from gnnseg.models import Model, load_model
from gnnseg.models.group import LOGITS
from gnnseg.pipeline.manifest import Run, Task, remove_run
from gnnseg.pipeline.phases import (
    GroupPhase,
    PaintPhase,
    coarsen_phase,
    output_blocks,
    regions_phase,
)
from gnnseg.pipeline.plan import Plan, check_block, make_plan
from gnnseg.pipeline.scratch import Scratch, open_scratch
from gnnseg.pipeline.summary import class_table, write_class_table
from gnnseg.pipeline.windows import Grid, required
from gnnseg.superpixels import PixelReader

if TYPE_CHECKING:
    from gnnseg.io import ImageSource


@dataclass(frozen=True)
class SegmentOptions:
    """What a caller may ask of `segment`, beside the image, the model and the output."""

    memory: int
    workers: int
    block: int | None = None
    roi: tuple[tuple[int, int], tuple[int, int]] | None = None
    probabilities: bool = False
    keep: bool = False
    overwrite: bool = False
    label_offset: int = 0


@dataclass(frozen=True)
class Job:
    """Everything that is settled before the first block."""

    reader: PixelReader
    model: Model
    grid: Grid
    roi: Window
    options: SegmentOptions
    plan: Plan


def prepare(
    image: ImageSource, model: Model, options: SegmentOptions, mask: Any = None
) -> Job:
    """Check everything that can be checked, and plan; touches no output."""
    reader = PixelReader(
        image, model.scaling, model.settings, None if mask is None else open_image(mask)
    )
    grid = Grid(reader.lattice)
    check_block(options.block, grid)
    roi = _roi(options.roi, grid.lattice.bounds)
    plan = make_plan(
        reader,
        grid,
        budget=options.memory,
        base=rss(),
        workers=options.workers,
        model=model,
        probabilities=options.probabilities,
        block=options.block,
    )
    return Job(reader, model, grid, roi, options, plan)


def _roi(roi: tuple[tuple[int, int], tuple[int, int]] | None, bounds: Window) -> Window:
    if roi is None:
        return bounds
    (y0, y1), (x0, x1) = roi
    inside = 0 <= y0 < y1 <= bounds.y1 and 0 <= x0 < x1 <= bounds.x1
    if not inside:
        raise UsageError(
            f"the roi {y0}:{y1},{x0}:{x1} must lie within the image, 0:{bounds.y1},0:{bounds.x1}"
        )
    return Window(y0, y1, x0, x1)


def segment(
    image: Any,
    model: Model | str | Path,
    out: str | Path,
    *,
    memory: int | str | None = None,
    block: int | None = None,
    workers: int | None = None,
    roi: tuple[tuple[int, int], tuple[int, int]] | None = None,
    probabilities: bool = False,
    mask: Any = None,
    keep: bool = False,
    overwrite: bool = False,
    label_offset: int = 0,
) -> dict[str, Any]:
    """Segment an image and write its labels.

    The labels do not depend on `memory`, `block` or `workers`. The same call again goes on where
    an interrupted one stopped.

    Parameters
    ----------
    image : path, array or ImageSource
    model : Model or path
    out : path
        `*.zarr` (OME-Zarr 0.5 labels), `*.tif` (tiled pyramid) or `*.png` (palette).
    memory : int or str, optional
        Upper bound for the whole process, such as `"1GiB"`; default: half of what is available.
    block : int, optional
        Pixels on a side of a block; default: as large as the budget allows.
    workers : int, optional
        Threads; default: one a processor.
    roi : ((y0, y1), (x0, x1)), optional
        Segment this part only; the result is the crop of the whole image's.
    probabilities : bool
        Also write `<out>.probabilities.zarr`, uint8, one channel a class.
    mask : path, array or ImageSource, optional
        Zero where pixels take no part; these become unlabelled.
    keep : bool
        Keep slots, graph and node states in `<out>.gnnseg/scratch.zarr`.
    overwrite : bool
        Replace an output of gnnseg that exists.
    label_offset : int
        Added to every class index in the output.

    Returns
    -------
    dict
        pixels, nodes, edges, seconds, peak_rss_bytes, leftover_pixels, classes, stages, output.

    Raises
    ------
    InputError, UsageError
        The image, the model or an argument cannot be used.
    MemoryBudgetError
        The budget is too small, before any work starts.
    StateError
        The output exists, or an unfinished run of other settings does.
    """
    limit_arenas()
    net = model if isinstance(model, Model) else load_model(model)
    source = open_image(image)
    options = SegmentOptions(
        memory=default_budget() if memory is None else parse_size(memory),
        workers=workers or default_workers(),
        block=block,
        roi=roi,
        probabilities=probabilities,
        keep=keep,
        overwrite=overwrite,
        label_offset=label_offset,
    )
    return run(prepare(source, net, options, mask), Path(out))


def run(job: Job, out: Path) -> dict[str, Any]:
    """Carry out a prepared job."""
    import time

    started = time.monotonic()
    kind = output_kind(out)
    folder = out.with_name(out.name + ".gnnseg")
    if job.options.overwrite:
        _remove_previous(out, folder)
    else:
        _check_output(out, folder)
    progress = Run.start(folder, _settings(job))
    labels_path = out if kind == "zarr" else folder / "labels.zarr"
    ledger = Ledger()
    scratch = open_scratch(
        progress.scratch, job.grid, job.reader.image.num_planes, job.reader.scaling, job.model
    )
    painted = _stream(job, progress, ledger, scratch, labels_path, out)
    with ledger.stage("finish"):
        table = class_table(painted.values(), job.model.classes, job.reader.image)
        write_class_table(table, out)
        mark_complete(labels_path)
        if job.options.probabilities:
            mark_complete(_probability_path(out))
        if kind == "tiff":
            export_tiff(labels_path, out)
        elif kind == "png":
            export_png(labels_path, out)
        if kind != "zarr":
            remove_output(labels_path)
        regions = progress.results("regions").values()
        checksums = {key: result["crc32"] for key, result in painted.items()}
        progress.finish(checksums, keep=job.options.keep)
    return {
        "output": str(out),
        "pixels": job.roi.size * job.reader.image.num_planes,
        "nodes": sum(result["regions"] for result in regions),
        "edges": sum(result["edges"] for result in regions),
        "leftover_pixels": sum(result["leftover"] for result in regions),
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
        "resumed": progress.resumed,
        "classes": table,
        "plan": job.plan.as_dict(),
        "stages": ledger.as_dict(),
    }


def _stream(  # noqa: PLR0913
    job: Job, progress: Run, ledger: Ledger, scratch: Scratch, labels_path: Path, out: Path
) -> dict[str, Any]:
    """All phases up to the pyramid; the results of painting."""
    import torch

    grid, plan, workers = job.grid, job.plan, job.plan.workers
    need = required(job.model.network.groups, grid, job.roi)
    planes = range(job.reader.image.num_planes)

    def tasks(blocks: list[Block]) -> list[Task]:
        return [Task(plane, block) for plane in planes for block in blocks]

    with ledger.stage("regions"):
        halo = job.reader.settings.slot_halo + _sum_halo()
        blocks = grid.blocks(need.tables[0], 0, plan.region_chunks, halo)
        work = partial(regions_phase, job.reader, scratch)
        found = progress.phase("regions", tasks(blocks), work, workers=workers)
        density = max(result["density"] for result in found.values())
    with ledger.stage("levels"):
        for level in range(1, job.model.num_levels):
            blocks = grid.blocks(need.tables[level], level, 1, 0)
            work = partial(coarsen_phase, level, grid, scratch)
            progress.phase(f"level_{level}", tasks(blocks), work, workers=workers)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for group in job.model.network.groups:
            with ledger.stage(f"network {group.name}"):
                chunks = plan.group_chunks(job.model, group, grid, density)
                window = need.states[group.output]
                blocks = grid.blocks(window, group.level, chunks, group.halo)
                phase = GroupPhase(job.model, group, grid, scratch)
                progress.phase(f"network_{group.name}", tasks(blocks), phase, workers=workers)
    finally:
        torch.set_num_threads(threads)
    with ledger.stage("paint"):
        output = _open_labels(job, labels_path)
        painted = _paint(job, progress, scratch, output, out, tasks)
    with ledger.stage("pyramid"):
        for level in range(1, len(output.levels)):
            source, target = output.levels[level - 1 : level + 1]
            blocks = output_blocks(*target.shape[-2:], output.chunk, 1)
            work = partial(_downsample, source, target)
            halves = [Task(0, block) for block in blocks]
            progress.phase(f"pyramid_{level}", halves, work, workers=workers)
    return painted


def _sum_halo() -> int:
    from gnnseg.graph.stage import SUM_HALO

    return SUM_HALO


def _paint(  # noqa: PLR0913
    job: Job, progress: Run, scratch: Scratch, output: Any, out: Path, tasks: Any
) -> dict[str, Any]:
    chances = None
    if job.options.probabilities:
        chances = _open_probabilities(job, _probability_path(out)).levels[0]
    phase = PaintPhase(
        grid=job.grid,
        scratch=scratch,
        logits=LOGITS,
        num_classes=job.model.classes.num_classes,
        label_offset=job.options.label_offset,
        origin=(job.roi.y0, job.roi.x0),
        labels=output.levels[0],
        probabilities=chances,
    )
    blocks = output_blocks(*job.roi.shape, output.chunk, job.plan.paint_chunks)
    return progress.phase("paint", tasks(blocks), phase, workers=job.plan.workers)


def _downsample(source: Any, target: Any, task: Task) -> dict[str, Any]:
    downsample_labels(source, target, task.block.write)
    return {}


def _open_labels(job: Job, path: Path) -> Any:
    if path.exists():
        return open_output(path)
    image = job.reader.image
    create_label_zarr(
        path,
        shape=(*((image.num_planes,) if image.is_stack else ()), *job.roi.shape),
        chunk=job.grid.chunk * job.grid.lattice.step,
        dtype=label_dtype(job.model.classes.num_classes, job.options.label_offset),
        classes=job.model.classes,
        pixel_size=image.pixel_size,
        plane_spacing=image.plane_spacing,
        unit=image.unit,
        label_offset=job.options.label_offset,
    )
    return open_output(path)


def _open_probabilities(job: Job, path: Path) -> Any:
    if path.exists():
        return open_output(path)
    image = job.reader.image
    return create_probability_zarr(
        path,
        shape=(*((image.num_planes,) if image.is_stack else ()), *job.roi.shape),
        chunk=job.grid.chunk * job.grid.lattice.step,
        classes=job.model.classes,
        pixel_size=image.pixel_size,
        plane_spacing=image.plane_spacing,
        unit=image.unit,
    )


def _probability_path(out: Path) -> Path:
    return out.with_name(out.name + ".probabilities.zarr")


def _check_output(out: Path, folder: Path) -> None:
    """Raise unless the output is absent, or is one that this run's folder goes on with."""
    if is_complete(out):
        raise StateError(f"{out}: exists and is complete; use --overwrite to make it anew")
    if out.exists() and (gnnseg_attributes(out) is None or not folder.exists()):
        raise StateError(f"{out}: exists and is no unfinished output of this command; move it away")


def _remove_previous(out: Path, folder: Path) -> None:
    if out.is_dir():
        remove_output(out)
    remove_output(_probability_path(out))
    remove_run(folder)


def _settings(job: Job) -> dict[str, Any]:
    """What decides the bytes of the output: a resumed run must agree in all of it."""
    from gnnseg import __version__
    from gnnseg.models.file import fingerprint

    mask = job.reader.mask
    return {
        "gnnseg": __version__,
        "input": job.reader.image.fingerprint(),
        "mask": None if mask is None else mask.fingerprint(),
        "model": fingerprint(job.model),
        "superpixels": asdict(job.reader.settings),
        "roi": [job.roi.y0, job.roi.y1, job.roi.x0, job.roi.x1],
        "probabilities": job.options.probabilities,
        "label_offset": job.options.label_offset,
    }
