"""From one value a superpixel to one a pixel, file to file, in blocks."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.blocks import Lattice
from gnnseg.errors import MemoryBudgetError
from gnnseg.execution import default_workers
from gnnseg.io import ImageSource, open_image, unlabelled_value
from gnnseg.io.slabs import in_slabs
from gnnseg.io.values import open_values
from gnnseg.kernels.slic_volume import OWN as VOLUME_OWN
from gnnseg.kernels.slots import OWN
from gnnseg.ledger import Ledger
from gnnseg.memory import default_budget, format_size, parse_size, peak_rss, reused_memory, rss
from gnnseg.paint import PAINT_HALO, homes_around, paint_box, paint_window
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.plan import RUNTIME_BYTES, SAFETY, advice
from gnnseg.pipeline.single import start_single
from gnnseg.pipeline.slot_map import SlotArray, open_slot_map
from gnnseg.pipeline.tiling import BoxTask, BoxTiling, Task, chunk_tiling
from gnnseg.superpixels import VolumeLattice

KIND = "painted"
FORMAT_VERSION = 1


@reused_memory()
def paint_file(
    slots: str | Path,
    values: str | Path,
    out: str | Path,
    *,
    memory: int | str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Paint one value per superpixel through a slot map into a zarr array.

    Parameters
    ----------
    slots : path
        Written by `write_superpixels`, of planes or of a volume.
    values : path
        `.npy` with (planes *) cells_y * cells_x values of an integer or float type, of a volume
        cells_z * cells_y * cells_x, or a zarr array of that shape.
    out : path
        A zarr array (Z, Y, X) of the same type; masked pixels hold the type's highest value, or
        NaN. The same call again goes on where an interrupted one stopped.
    memory : int or str, optional
        Upper bound for the whole process; default: half of what is available.
    workers : int, optional
        Threads.
    overwrite : bool
        Replace an output of gnnseg that exists.

    Raises
    ------
    InputError
        A file cannot be read, or there are more or fewer values than superpixels.
    MemoryBudgetError
        The budget is too small, before any work starts.
    StateError
        The output exists.
    """
    started = time.monotonic()
    slot_map, lattice = open_slot_map(Path(slots))
    if isinstance(lattice, VolumeLattice):
        table = in_slabs(open_values(values, lattice.shape))
    else:
        table = open_values(values, (slot_map.shape[0], *lattice.shape))
    _load_loops(lattice, table.dtype)
    budget = default_budget() if memory is None else parse_size(memory)
    threads = _fitting(slot_map, table, lattice, budget, workers or default_workers())
    settings = {
        "slots": open_image(slot_map.array, axes="ZYX").fingerprint(),
        **_steps(slot_map, lattice),
        "values": table.fingerprint(),
    }
    inputs = (str(slots), str(values))
    run = start_single(Path(out), KIND, settings, inputs=inputs, overwrite=overwrite)
    ledger = Ledger()
    try:
        if not Path(out).exists():
            with ledger.stage("paint"):
                _paint(run, slot_map, table, lattice, threads)
            (run.folder / "painted.zarr").rename(out)
        run.tidy(keep=False)
    finally:
        run.close()
    return {
        "output": str(out),
        "pixels": prod(slot_map.shape),
        "resumed": run.resumed,
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
        "stages": ledger.as_dict(),
    }


@dataclass(frozen=True)
class _Painter:
    """Paints a block; a pure function of the slots and the values around it."""

    slots: SlotArray
    table: ImageSource
    lattice: Lattice
    target: Any

    def __call__(self, task: Task) -> dict[str, Any]:
        write = task.block.write
        cells, homes, first = homes_around(self.lattice, write)
        covered = self.lattice.pixels(cells)
        part = self.slots[(task.plane, *covered.slices)]
        near = self.table.read(homes, task.plane)[0]
        painted = paint_window(part, self.lattice.step, near, first, self.target.fill_value)
        crop = write.relative_to(covered).slices
        self.target[(task.plane, *write.slices)] = painted[crop]
        return {}


@dataclass(frozen=True)
class _BoxPainter:
    """The same of a volume."""

    slots: SlotArray
    table: ImageSource
    lattice: VolumeLattice
    target: Any

    def __call__(self, task: BoxTask) -> dict[str, Any]:
        write, homes = task.block.write, task.block.read
        part = self.lattice.voxels(write).slices
        near = [self.table.read(homes.window, z)[0] for z in range(homes.z0, homes.z1)]
        steps, first = self.lattice.steps[:2], write.relative_to(homes).corner
        slots, fill = self.slots[part], self.target.fill_value
        self.target[part] = paint_box(slots, steps, np.stack(near), first, fill)
        return {}


def _paint(
    run: Run, slots: SlotArray, table: ImageSource, lattice: Lattice | VolumeLattice, workers: int
) -> None:
    if isinstance(lattice, VolumeLattice):
        target = _open_target(run, slots.shape, slots.chunks, table.dtype)
        boxes = BoxTiling(lattice, _chunk_cells(slots, lattice), (PAINT_HALO, PAINT_HALO))
        box_painter = _BoxPainter(slots, table, lattice, target)
        run.phase("paint", boxes, box_painter, workers=workers)
    else:
        # Squares whatever the chunks of the slots are: two blocks must not write one chunk.
        side = slots.chunks[-1]
        target = _open_target(run, slots.shape, (1, side, side), table.dtype)
        tiling = chunk_tiling(slots.shape, target.chunks[-1], planes=slots.shape[0])
        run.phase("paint", tiling, _Painter(slots, table, lattice, target), workers=workers)
    target.attrs["gnnseg"] = {**dict(target.attrs["gnnseg"]), "complete": True}


def _open_target(
    run: Run, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    """The unfinished array; if it is not there, it is created and its marks are dropped."""
    import zarr
    from zarr.codecs import ZstdCodec

    path = run.folder / "painted.zarr"
    if not path.exists():
        run.forget("")
        partial_path = run.folder / "painted.partial"
        shutil.rmtree(partial_path, ignore_errors=True)
        zarr.create_array(
            str(partial_path),
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            fill_value=np.nan if dtype.kind == "f" else unlabelled_value(dtype),
            compressors=ZstdCodec(checksum=True),
            attributes={
                "gnnseg": {"kind": KIND, "format_version": FORMAT_VERSION, "complete": False}
            },
        )
        partial_path.rename(path)
    array: Any = zarr.open_array(str(path), mode="r+")
    return array.with_config({"write_empty_chunks": True})


def _load_loops(lattice: Lattice | VolumeLattice, dtype: Any) -> None:
    """Load, or compile, the loops for values of a type: before the plan, which counts them."""
    if isinstance(lattice, VolumeLattice):
        own_cell = np.full((2, 2, 2), VOLUME_OWN, np.uint8)
        paint_box(own_cell, (2, 2), np.zeros((1, 1, 1), dtype), (0, 0, 0), 0)
    else:
        own_cell = np.full((2, 2), OWN, np.uint8)
        paint_window(own_cell, 2, np.zeros((1, 1), dtype), (0, 0), 0)


def _fitting(
    slots: Any, table: ImageSource, lattice: Lattice | VolumeLattice, budget: int, workers: int
) -> int:
    """As many threads as fit the budget."""
    side, itemsize = slots.chunks[-1], table.dtype.itemsize
    if isinstance(lattice, VolumeLattice):
        sizes = zip(_chunk_cells(slots, lattice), lattice.shape, strict=True)
        _, rows, columns = around = [min(n + 2 * PAINT_HALO, cells) for n, cells in sizes]
        pixels, homes = prod(slots.chunks), prod(around)
    else:
        rows = columns = side // lattice.step + 6
        pixels, homes = (side + 2 * lattice.step) ** 2, rows * columns
    decoding = table.read_bytes((rows, columns))
    each = 2.3 * pixels * (1 + itemsize) + 2 * homes * itemsize + decoding
    base = rss() + RUNTIME_BYTES
    need = int((each + table.resident_bytes) * SAFETY)
    if base + need > budget:
        raise MemoryBudgetError(
            f"painting chunks of {side} pixels needs about {format_size(base + need)} and the "
            f"budget is {format_size(budget)}: {advice(base + need)}"
        )
    return min(workers, (budget - base) // need)


def _steps(slots: SlotArray, lattice: Lattice | VolumeLattice) -> dict[str, Any]:
    """What a slot map tells of its cells, and the chunks that the blocks of a volume are."""
    if not isinstance(lattice, VolumeLattice):
        return {"step": lattice.step}
    return {"step": lattice.step, "step_z": lattice.step_z, "chunks": list(slots.chunks)}


def _chunk_cells(slots: SlotArray, lattice: VolumeLattice) -> tuple[int, int, int]:
    """Cells (z, y, x) of a chunk of slots."""
    depth, height, width = slots.chunks
    return depth // lattice.step_z, height // lattice.step, width // lattice.step
