"""Single stages as streams from file to file: superpixels and the region graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.execution import default_workers
from gnnseg.graph.stage import SUM_HALO
from gnnseg.graph.store import KIND as GRAPH_KIND
from gnnseg.io import open_image
from gnnseg.ledger import Ledger
from gnnseg.memory import default_budget, parse_size, peak_rss, reused_memory, rss
from gnnseg.pipeline.phases import regions_phase
from gnnseg.pipeline.plan import Plan, check_block, make_plan, reuse
from gnnseg.pipeline.sample import load_region_loops
from gnnseg.pipeline.scratch import SLOTS, open_scratch
from gnnseg.pipeline.single import SLOT_KIND, start_single
from gnnseg.pipeline.windows import Grid
from gnnseg.superpixels import PixelReader, SlicSettings, make_reader

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.manifest import Run

FORMAT_VERSION = 1


@dataclass(frozen=True)
class StageOptions:
    """Options of the single stages; the bytes of the output do not depend on the last four.

    `step` or `n_segments`, `compactness`, `n_iter`, `sigma` and `mask` are those of
    `gnnseg.superpixels`, `memory`, `block`, `workers` and `overwrite` those of `gnnseg.segment`.
    """

    step: int | None = None
    n_segments: int | None = None
    compactness: float = SlicSettings.compactness
    n_iter: int = SlicSettings.n_iter
    sigma: float = SlicSettings.sigma
    mask: Any = None
    memory: int | str | None = None
    block: int | None = None
    workers: int | None = None
    overwrite: bool = False

    def slic(self, image: ImageSource) -> SlicSettings:
        """The settings of the superpixels of an image."""
        names = ("step", "n_segments", "compactness", "n_iter", "sigma")
        given = {name: getattr(self, name) for name in names}
        return SlicSettings.for_image(image.height, image.width, **given)


def write_superpixels(image: Any, out: str | Path, **options: Any) -> dict[str, Any]:
    """Write the slot map of an image as a zarr group with the array `slots`, (Z, Y, X) uint8.

    Takes the fields of `StageOptions`. Returns figures. Raises as `segment` does.
    """
    return _write(image, Path(out), SLOT_KIND, StageOptions(**options))


def write_graph(image: Any, out: str | Path, **options: Any) -> dict[str, Any]:
    """Write the region graph of an image as a zarr group that `RegionGraph.open` reads.

    Takes the fields of `StageOptions`. Returns figures. Raises as `segment` does.
    """
    return _write(image, Path(out), GRAPH_KIND, StageOptions(**options))


@reused_memory()
def _write(image: Any, out: Path, kind: str, options: StageOptions) -> dict[str, Any]:
    started = time.monotonic()
    source = open_image(image)
    reader = make_reader(source, settings=options.slic(source), mask=options.mask)
    check_block(options.block)
    budget = default_budget() if options.memory is None else parse_size(options.memory)
    load_region_loops(reader)
    make = _planner(reader, budget, options.workers or default_workers())
    plan = make(options.block)
    run = start_single(
        out, kind, _settings(reader), inputs=_inputs(reader), overwrite=options.overwrite
    )
    ledger = Ledger()
    try:
        if options.block is None:
            side = Grid(reader.lattice).chunk * reader.settings.step
            plan = reuse(plan, run.plan.get("regions"), lambda chunks: make(chunks * side))
        if not out.exists():
            with ledger.stage("regions"):
                _regions(reader, plan, run)
            _publish(run, out, kind, reader)
        totals = run.totals("regions")
        run.tidy(keep=False)
    finally:
        run.close()
    return {
        "output": str(out),
        **_figures(reader, totals),
        "resumed": run.resumed,
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
        "plan": plan.as_dict(),
        "stages": ledger.as_dict(),
    }


def _figures(reader: PixelReader, totals: dict[str, Any]) -> dict[str, Any]:
    return {
        "pixels": reader.lattice.bounds.size * reader.image.num_planes,
        "num_superpixels": totals["regions"],
        "num_edges": totals["edges"],
        "leftover_pixels": totals["leftover"],
        "lattice": list(reader.lattice.shape),
        "settings": asdict(reader.settings),
    }


def _planner(reader: PixelReader, budget: int, workers: int) -> Callable[[int | None], Plan]:
    """What plans for blocks of some size in pixels, or for the best."""
    base, grid = rss(), Grid(reader.lattice)
    return lambda block: make_plan(
        reader, grid, budget=budget, base=base, workers=workers, block=block
    )


def _settings(reader: PixelReader) -> dict[str, Any]:
    """What decides the bytes of the output."""
    mask = reader.mask
    return {
        "input": reader.image.fingerprint(),
        "mask": None if mask is None else mask.fingerprint(),
        "superpixels": asdict(reader.settings),
        "scaling": asdict(reader.scaling),
    }


def _inputs(reader: PixelReader) -> list[str]:
    return [source.name for source in (reader.image, reader.mask) if source is not None]


def _regions(reader: PixelReader, plan: Plan, run: Run) -> None:
    if (_slot_map(run) / SLOTS).exists():
        return  # all of it was done, and the slots have left the scratch
    grid, planes = Grid(reader.lattice), reader.image.num_planes
    scratch = open_scratch(run, grid, planes, reader.scaling)
    run.remember("regions", plan.region_chunks)
    tiling = grid.tiling(
        grid.cells(0),
        0,
        chunks=plan.region_chunks,
        halo=reader.settings.slot_halo + SUM_HALO,
        planes=planes,
    )
    work = partial(regions_phase, reader, scratch)
    run.phase("regions", tiling, work, workers=plan.workers, most_kept=plan.most_kept)


def _slot_map(run: Run) -> Path:
    return run.folder / "slot_map.zarr"


def _publish(run: Run, out: Path, kind: str, reader: PixelReader) -> None:
    """Turn the scratch into the output: the part that was asked for, moved in one rename."""
    import zarr

    source = _slot_map(run) if kind == SLOT_KIND else run.scratch / "graph_0"
    group = zarr.open_group(source, mode="a")
    about: Any = group.attrs.get("gnnseg", {})
    if kind == SLOT_KIND:
        about = {
            "kind": SLOT_KIND,
            "format_version": FORMAT_VERSION,
            "step": reader.settings.step,
            "settings": asdict(reader.settings),
            "is_stack": reader.image.is_stack,
        }
        if not (source / SLOTS).exists():
            (run.scratch / SLOTS).rename(source / SLOTS)
    group.attrs["gnnseg"] = {**about, "complete": True}
    source.rename(out)
