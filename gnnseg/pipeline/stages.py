"""Single stages as streams from file to file: superpixels and the region graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gnnseg.errors import UsageError
from gnnseg.execution import default_workers
from gnnseg.graph.store import KIND as GRAPH_KIND
from gnnseg.io import open_image, require_memory
from gnnseg.ledger import Ledger
from gnnseg.memory import default_budget, parse_size, peak_rss, reused_memory, rss
from gnnseg.pipeline.phases import regions_phase
from gnnseg.pipeline.plan import Plan, check_block, make_plan, region_tiling, reuse
from gnnseg.pipeline.sample import load_region_loops
from gnnseg.pipeline.scratch import open_scratch
from gnnseg.pipeline.single import SLOT_KIND, VOLUME_SLOT_KIND, start_single
from gnnseg.pipeline.slot_map import SLOTS
from gnnseg.pipeline.volume_stage import VolumeStage
from gnnseg.pipeline.windows import Grid
from gnnseg.superpixels import PixelReader, SlicSettings, make_reader
from gnnseg.superpixels.volume import read_volume

if TYPE_CHECKING:
    from gnnseg.pipeline.manifest import Run

FORMAT_VERSION = 1


@dataclass(frozen=True)
class StageOptions:
    """Options of the single stages; the bytes of the output do not depend on the last four.

    `step` or `n_segments`, `compactness`, `n_iter`, `sigma` and `mask` are those of
    `gnnseg.superpixels`, `memory`, `block`, `workers` and `overwrite` those of `gnnseg.segment`.
    With `volume`, a stack is one volume, whose voxels have the size `spacing` (z, y, x) as for
    `gnnseg.supervoxels`; else planes are treated one by one.
    """

    step: int | None = None
    n_segments: int | None = None
    compactness: float = SlicSettings.compactness
    n_iter: int = SlicSettings.n_iter
    sigma: float = SlicSettings.sigma
    mask: Any = None
    volume: bool = False
    spacing: tuple[float, float, float] | None = None
    memory: int | str | None = None
    block: int | None = None
    workers: int | None = None
    overwrite: bool = False

    def open(self, image: Any, *, graph: bool) -> Stage:
        """What makes the slot map, or the graph, of an image."""
        names = ("step", "n_segments", "compactness", "n_iter", "sigma")
        given = {name: getattr(self, name) for name in names}
        source = open_image(image)
        if self.volume:
            require_memory(source)
            volume = read_volume(source, spacing=self.spacing, mask=self.mask, **given)
            return VolumeStage(volume, graph)
        if self.spacing is not None:
            raise UsageError("spacing is that of a volume: give --volume too")
        settings = SlicSettings.for_image(source.height, source.width, **given)
        reader = make_reader(source, settings=settings, mask=self.mask)
        return PlaneStage(reader, GRAPH_KIND if graph else SLOT_KIND)


def write_superpixels(image: Any, out: str | Path, **options: Any) -> dict[str, Any]:
    """Write the slot map of an image as a zarr group with the array `slots`, (Z, Y, X) uint8.

    Takes the fields of `StageOptions`. Returns figures. Raises as `segment` does.
    """
    return _write(Path(out), graph=False, image=image, options=StageOptions(**options))


def write_graph(image: Any, out: str | Path, **options: Any) -> dict[str, Any]:
    """Write the region graph of an image as a zarr group that `RegionGraph.open` reads.

    Takes the fields of `StageOptions`. Returns figures. Raises as `segment` does.
    """
    return _write(Path(out), graph=True, image=image, options=StageOptions(**options))


class Stage(Protocol):
    """How the same is made of planes and of volumes."""

    first_phase: str
    """The phase whose blocks the plan is about."""

    @property
    def reader(self) -> PixelReader: ...

    @property
    def kind(self) -> str:
        """Of the output."""

    @property
    def side(self) -> int:
        """Pixels on a side of a chunk."""

    def settings(self) -> dict[str, Any]:
        """What decides the bytes of the output, beside image, mask, superpixels and scaling."""

    def load_loops(self) -> None:
        """Load, or compile, the loops: before the plan, which counts what that takes."""

    def planner(self, budget: int, workers: int) -> Callable[[int | None], Plan]:
        """What plans for blocks of some size in pixels, or for the best."""

    def work(self, plan: Plan, run: Run, ledger: Ledger) -> None:
        """Run all phases."""

    def about(self) -> dict[str, Any]:
        """What a slot map says of itself."""

    def figures(self, run: Run) -> dict[str, Any]:
        """What the run counted."""


@reused_memory()
def _write(out: Path, *, graph: bool, image: Any, options: StageOptions) -> dict[str, Any]:
    started = time.monotonic()
    stage = options.open(image, graph=graph)
    check_block(options.block)
    budget = default_budget() if options.memory is None else parse_size(options.memory)
    stage.load_loops()
    make = stage.planner(budget, options.workers or default_workers())
    plan = make(options.block)
    run = start_single(
        out, stage.kind, _settings(stage), inputs=_inputs(stage.reader), overwrite=options.overwrite
    )
    ledger = Ledger()
    try:
        if options.block is None:
            before = run.plan.get(stage.first_phase)
            plan = reuse(plan, before, lambda chunks: make(chunks * stage.side))
        if not out.exists():
            if not (_slot_map(run) / SLOTS).exists():  # else all was done, and it left the scratch
                stage.work(plan, run, ledger)
            _publish(run, out, stage)
        figures = stage.figures(run)
        run.tidy(keep=False)
    finally:
        run.close()
    return {
        "output": str(out),
        **figures,
        "resumed": run.resumed,
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
        "plan": plan.as_dict(),
        "stages": ledger.as_dict(),
    }


@dataclass(frozen=True)
class PlaneStage:
    """Makes the slot map of every plane, or their region graphs."""

    reader: PixelReader
    kind: str
    first_phase = "regions"

    @property
    def grid(self) -> Grid:
        return Grid(self.reader.lattice)

    @property
    def side(self) -> int:
        return self.grid.chunk * self.reader.settings.step

    def settings(self) -> dict[str, Any]:
        """None but those of all stages."""
        return {}

    def load_loops(self) -> None:
        """Load, or compile, the loops from pixels to region tables."""
        load_region_loops(self.reader)

    def planner(self, budget: int, workers: int) -> Callable[[int | None], Plan]:
        """What plans for blocks of some size in pixels, or for the best."""
        base, reader, grid = rss(), self.reader, self.grid

        def make(block: int | None) -> Plan:
            return make_plan(
                reader,
                grid,
                budget=budget,
                base=base,
                workers=workers,
                block=block,
                planes=reader.image.num_planes,
            )

        return make

    def work(self, plan: Plan, run: Run, ledger: Ledger) -> None:
        """Slots and tables of every plane, in one phase."""
        reader, grid = self.reader, self.grid
        planes = reader.image.num_planes
        scratch = open_scratch(run, grid, planes, reader.scaling)
        run.remember("regions", plan.region_chunks)
        tiling = region_tiling(reader, grid, plan.region_chunks, None, planes)
        work = partial(regions_phase, reader, scratch)
        with ledger.stage("regions"):
            run.phase("regions", tiling, work, workers=plan.workers, most_kept=plan.most_kept)

    def about(self) -> dict[str, Any]:
        """What a slot map says of itself."""
        return {
            "step": self.reader.settings.step,
            "settings": asdict(self.reader.settings),
            "is_stack": self.reader.image.is_stack,
        }

    def figures(self, run: Run) -> dict[str, Any]:
        """What the run counted."""
        reader, totals = self.reader, run.totals("regions")
        return {
            "pixels": reader.lattice.bounds.size * reader.image.num_planes,
            "num_superpixels": totals["regions"],
            "num_edges": totals["edges"],
            "leftover_pixels": totals["leftover"],
            "lattice": list(reader.lattice.shape),
            "settings": asdict(reader.settings),
        }


def _settings(stage: Stage) -> dict[str, Any]:
    """What decides the bytes of the output."""
    reader, mask = stage.reader, stage.reader.mask
    return {
        "input": reader.image.fingerprint(),
        "mask": None if mask is None else mask.fingerprint(),
        "superpixels": asdict(reader.settings),
        "scaling": asdict(reader.scaling),
        **stage.settings(),
    }


def _inputs(reader: PixelReader) -> list[str]:
    return [source.name for source in (reader.image, reader.mask) if source is not None]


def _slot_map(run: Run) -> Path:
    return run.folder / "slot_map.zarr"


def _publish(run: Run, out: Path, stage: Stage) -> None:
    """Turn the scratch into the output: the part that was asked for, moved in one rename."""
    import zarr

    slots = stage.kind in (SLOT_KIND, VOLUME_SLOT_KIND)
    source = _slot_map(run) if slots else run.scratch / "graph_0"
    group = zarr.open_group(source, mode="a")
    about: Any = group.attrs.get("gnnseg", {})
    if slots:
        about = {"kind": stage.kind, "format_version": FORMAT_VERSION, **stage.about()}
        if not (source / SLOTS).exists():
            (run.scratch / SLOTS).rename(source / SLOTS)
    group.attrs["gnnseg"] = {**about, "complete": True}
    source.rename(out)
