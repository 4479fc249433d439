"""Supervoxels and their graph, from file to file in blocks of all three axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.errors import UsageError
from gnnseg.graph.store import VOLUME_KIND as GRAPH_KIND
from gnnseg.graph.store import VolumeStore
from gnnseg.graph.volume import sum_up_volume, volume_features
from gnnseg.io import open_image
from gnnseg.kernels.adjacency_volume import CODES
from gnnseg.kernels.homes_volume import count_homes
from gnnseg.memory import reused_memory, rss
from gnnseg.pipeline.centre_phases import VolumePlan, centre_bytes, stream_centres
from gnnseg.pipeline.plan import Costs, Plan, plan_blocks
from gnnseg.pipeline.sample import made_up
from gnnseg.pipeline.scratch import open_arrays
from gnnseg.pipeline.single import VOLUME_SLOT_KIND
from gnnseg.pipeline.slot_map import create_slots, open_slots
from gnnseg.pipeline.volume_grid import VolumeGrid
from gnnseg.superpixels import BoxBlock, VolumeLattice, VolumeReader
from gnnseg.superpixels.groups import Group
from gnnseg.superpixels.volume import write_centres, write_slots

if TYPE_CHECKING:
    from gnnseg.ledger import Ledger
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.tiling import BoxTask
    from gnnseg.superpixels import PixelReader

_GRAPH = "graph_0"


@dataclass(frozen=True)
class VolumeArrays:
    """Slots (Z, Y, X), and the table of the regions where a graph is made."""

    slots: Any
    table: VolumeStore | None


@dataclass(frozen=True)
class VolumeStage:
    """Makes the slot map of a volume, or its region graph."""

    volume: VolumeReader
    graph: bool
    first_phase = "slots"

    def __post_init__(self) -> None:
        if self.reader.image.num_planes == 1:
            raise UsageError(
                f"{self.reader.image.name} has one plane, and a volume needs a stack: "
                "leave --volume out"
            )

    @property
    def reader(self) -> PixelReader:
        return self.volume.planes

    @property
    def kind(self) -> str:
        return GRAPH_KIND if self.graph else VOLUME_SLOT_KIND

    @property
    def side(self) -> int:
        """Pixels on a side of a chunk within a plane."""
        return self.grid.side * self.volume.lattice.step

    @cached_property
    def grid(self) -> VolumeGrid:
        return VolumeGrid(self.volume)

    def settings(self) -> dict[str, Any]:
        """What decides the bytes of the output, beside the image and the superpixels."""
        return {
            "steps": list(self.volume.lattice.steps),
            "ratio": self.volume.ratio,
            "chunk": list(self.grid.chunk),
        }

    @reused_memory()
    def load_loops(self) -> None:
        """Load, or compile, the loops from voxels to slots or to region tables.

        On two planes of a few cells, of which one is masked.
        """
        few = made_up(self.reader)
        pixels = few.image.read(few.image.bounds)
        mask = np.ones((2, *pixels.shape[1:]), np.uint8)
        mask[:, : few.settings.step, : few.settings.step] = 0
        source = open_image(np.stack([pixels, pixels]), axes="ZCYX", rgb=few.image.is_rgb)
        few = replace(few, image=source, mask=open_image(mask, axes="ZYX"))
        volume = VolumeReader(few, VolumeLattice(2, 1, few.lattice), 1.0)
        cells, slots = volume.lattice.cells, np.empty(mask.shape, np.uint8)
        centres = np.empty(volume.centre_shape, np.uint16)
        group = Group(few.settings.n_iter)
        write_centres(volume, BoxBlock(cells, cells), group=group, before=None, out=centres)
        write_slots(volume, BoxBlock(cells, cells), centres, slots)
        if self.graph:
            sum_up_volume(volume, slots, BoxBlock(cells, cells))
        else:
            count_homes(slots, volume.lattice.steps[:2], (0, 0, 0), cells.shape)

    def planner(self, budget: int, workers: int) -> Callable[[int | None], Plan]:
        """What plans for blocks of some size in pixels, or for the best."""
        base, grid = rss(), self.grid
        voxel_cost = cache(grid.voxel_cost)

        @cache
        def size(chunks: int) -> int:
            return max(grid.least_bytes(chunks), 0 if self.graph else grid.count_bytes(chunks))

        def least(chunks: int) -> int:
            return max(size(chunks), grid.sum_bytes(1) if self.graph else 0)

        costs = Costs(
            size=size,
            busiest=lambda chunks, threads: grid.share(chunks, threads) * voxel_cost(chunks),
            least=least,
            scratch=self._scratch_bytes(),
            chunk=grid.side,
            most=grid.most,
        )
        about = {"budget": budget, "base": base, "workers": workers}

        def make(block: int | None) -> VolumePlan:
            plan = plan_blocks(self.reader, costs, **about, block=block)
            groups = grid.groups(plan.region_chunks, plan.share_bytes)
            return VolumePlan(**vars(plan), centres=tuple(group.after for group in groups))

        return make

    def _scratch_bytes(self) -> int:
        lattice = self.volume.lattice
        node = 4 * len(volume_features(self.volume)) + 32 + 8 * CODES if self.graph else 0
        slots = prod(lattice.voxels(lattice.cells).shape)
        return slots + node * lattice.num_cells + centre_bytes(self.grid)

    def work(self, plan: Plan, run: Run, ledger: Ledger) -> None:
        """Run the phases: centres, slots, and then sums of regions or their number."""
        assert isinstance(plan, VolumePlan)
        arrays = open_arrays(run, self._create, self._open)
        grid = self.grid
        options: dict[str, Any] = {"workers": plan.workers, "most_kept": plan.most_kept}
        run.remember("slots", plan.region_chunks)
        centres = stream_centres(grid, plan, run, ledger)
        with ledger.stage("slots"):
            tiling = grid.slot_tiling(plan.region_chunks)
            work = partial(_slots_phase, self.volume, centres, arrays.slots)
            run.phase("slots", tiling, work, **options)
        with ledger.stage("sums"):
            if arrays.table is None:
                tiling = grid.count_tiling(plan.region_chunks)
                work = partial(_count_phase, self.volume, arrays)
            else:
                most = max(1, plan.region_chunks * grid.side // grid.table_side)
                kept = run.plan.get("sums")
                chunks = plan.chunks_for(grid.sum_bytes, grid.sum_tiling, most, kept)
                run.remember("sums", chunks)
                tiling = grid.sum_tiling(chunks)
                work = partial(_sums_phase, self.volume, arrays)
            run.phase("sums", tiling, work, **options)

    def _create(self, root: Any) -> None:
        grid, lattice, scaling = self.grid, self.volume.lattice, self.reader.scaling
        create_slots(root, lattice.voxels(lattice.cells).shape, grid.chunk_voxels)
        if self.graph:
            VolumeStore.create(
                root.create_group(_GRAPH),
                lattice,
                chunk=grid.table_chunk,
                contrast_top=scaling.top,
                names=volume_features(self.volume),
            )

    def _open(self, root: Any) -> VolumeArrays:
        steps = self.volume.lattice.steps
        return VolumeArrays(
            open_slots(root), VolumeStore.open(root[_GRAPH], steps) if self.graph else None
        )

    def about(self) -> dict[str, Any]:
        """What a slot map says of itself."""
        return {
            "step": self.volume.lattice.step,
            "step_z": self.volume.lattice.step_z,
            "ratio": self.volume.ratio,
            "settings": asdict(self.reader.settings),
        }

    def figures(self, run: Run) -> dict[str, Any]:
        """What the run counted."""
        lattice, sums = self.volume.lattice, run.totals("sums")
        edges = {"num_edges": sums["edges"]} if self.graph else {}
        return {
            "pixels": prod(lattice.voxels(lattice.cells).shape),
            "num_superpixels": sums["regions"],
            **edges,
            "leftover_pixels": run.totals("slots")["leftover"],
            "lattice": list(lattice.shape),
            "cell": list(lattice.steps),
            "settings": asdict(self.reader.settings),
        }


def _slots_phase(volume: VolumeReader, centres: Any, slots: Any, task: BoxTask) -> dict[str, Any]:
    return {"leftover": write_slots(volume, task.block, centres, slots)}


def _sums_phase(volume: VolumeReader, arrays: VolumeArrays, task: BoxTask) -> dict[str, Any]:
    """Tables of a block of cells, from the slots around them."""
    assert arrays.table is not None
    table = sum_up_volume(volume, arrays.slots, task.block)
    arrays.table.write(table)
    return {"regions": int((table.area > 0).sum()), "edges": int((table.contact > 0).sum())}


def _count_phase(volume: VolumeReader, arrays: VolumeArrays, task: BoxTask) -> dict[str, Any]:
    """How many regions of a block have voxels."""
    lattice, block = volume.lattice, task.block
    slots = np.ascontiguousarray(arrays.slots[lattice.voxels(block.read).slices])
    first = block.write.relative_to(block.read).corner
    return {"regions": count_homes(slots, lattice.steps[:2], first, block.write.shape)}
