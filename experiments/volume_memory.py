"""Measure what a voxel of a block takes, from files to slots and to region tables.

    python experiments/volume_memory.py

Of noise, which has the most orphans, and of noise smoothed, as Zarr of 16 x 128 x 128 voxels a
chunk. For each row the largest block of one chunk is worked on in each phase (`centres_n`: a group
of rounds of the clustering, after which n are done; slots; tables): the resident memory beyond that
before the block, by the voxels that it reads, beside what the plan expects (before its margin of
1.4). Expected: 2 to 6 bytes a voxel for centres, 7 to 11 for slots; for tables 2.5 kB a cell and
more where cells are large, which is much for each voxel where they are small.
Writes `experiments/results/volume_memory.json`.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from machine import machine_record
from scipy import ndimage

from gnnseg.graph.store import VolumeStore
from gnnseg.graph.volume import sum_up_volume, volume_features
from gnnseg.memory import peak_rss, reset_peak_rss, reused_memory, rss, trim
from gnnseg.pipeline.tiling import BoxTiling
from gnnseg.pipeline.volume_grid import VolumeGrid
from gnnseg.pipeline.volume_stage import VolumeStage
from gnnseg.superpixels import BoxBlock, VolumeReader
from gnnseg.superpixels.groups import Group
from gnnseg.superpixels.volume import read_volume, write_centres, write_slots

RESULT = Path(__file__).parent / "results" / "volume_memory.json"
CUBES, FLAT = (1.0, 1.0, 1.0), (8.0, 1.0, 1.0)
ROWS: list[dict[str, Any]] = [
    {"shape": (280, 300, 300), "smooth": 1, "made": {"step": 8, "compactness": 0.01}},
    {"shape": (280, 300, 300), "smooth": 9, "made": {"step": 8}},
    {"shape": (280, 3, 280, 280), "smooth": 9, "made": {"step": 8}},
    {"shape": (60, 500, 500), "smooth": 1, "made": {"step": 8, "spacing": FLAT}},
    {"shape": (200, 280, 280), "smooth": 1, "dtype": "float32", "made": {"step": 8, "sigma": 2.0}},
    {"shape": (200, 200, 200), "smooth": 1, "made": {"step": 4, "compactness": 0.3}},
]


def write_image(path: Path, shape: tuple[int, ...], smooth: int, dtype: str) -> None:
    """Noise as a Zarr array, averaged over so many voxels on a side."""
    noise = np.random.default_rng(0).random(shape, np.float32)
    if smooth > 1:
        noise = ndimage.uniform_filter(noise, smooth, axes=(0, -2, -1))
    noise = (noise - noise.min()) / (noise.max() - noise.min()) * 255
    names = ["z", "c", "y", "x"] if len(shape) == 4 else ["z", "y", "x"]
    chunks = (16, *shape[1:-2], 128, 128)
    zarr.create_array(str(path), data=noise.astype(dtype), chunks=chunks, dimension_names=names)


def largest(tiling: BoxTiling) -> BoxBlock:
    """The block that reads most."""
    return max((task.block for task in tiling.tasks()), key=lambda block: block.read.size)


def measured(work: Callable[[], Any]) -> dict[str, float]:
    """Bytes beyond those held before, and processor seconds."""
    with reused_memory():
        trim()
        before, started = rss(), time.process_time()
        reset_peak_rss()
        work()
        return {"bytes": peak_rss() - before, "cpu_seconds": time.process_time() - started}


Phase = tuple[BoxBlock, int, Callable[[], Any]]
"""A block, the bytes that are planned for it, and what works on it."""


def stored_centres(volume: VolumeReader, grid: VolumeGrid, path: Path, rounds: int | None) -> Any:
    """The centres of all cells after so many rounds; of none, an array for them."""
    cells, found = volume.lattice.cells, np.zeros(volume.centre_shape, np.uint16)
    if rounds is not None:
        block = BoxBlock(cells, cells)
        write_centres(volume, block, group=Group(rounds), before=None, out=found)
    return zarr.create_array(str(path), data=found, chunks=(*grid.chunk, found.shape[-1]))


def centre_phases(volume: VolumeReader, grid: VolumeGrid, folder: Path) -> dict[str, Phase]:
    """One block of each group of rounds."""
    phases = {}
    for group in grid.groups(1):
        name, block = f"centres_{group.after}", largest(grid.centre_tiling(1, group))
        before = stored_centres(volume, grid, folder / f"before_{name}", group.before)
        made = {"before": before, "out": stored_centres(volume, grid, folder / name, None)}
        work = partial(write_centres, volume, block, group=group, **made)
        phases[name] = block, grid.centre_bytes(1, group), work
    return phases


def region_phases(volume: VolumeReader, grid: VolumeGrid, folder: Path) -> dict[str, Phase]:
    """One block of slots, and one of tables."""
    lattice, rounds = volume.lattice, volume.planes.settings.n_iter
    shape = lattice.voxels(lattice.cells).shape
    slots = zarr.create_array(
        str(folder / "slots.zarr"), shape=shape, chunks=grid.chunk_voxels, dtype=np.uint8
    )
    centres = stored_centres(volume, grid, folder / "centres", rounds)
    group = zarr.open_group(folder / "graph.zarr", mode="w")
    made = {"contrast_top": 1, "names": volume_features(volume)}
    store = VolumeStore.create(group, lattice, chunk=grid.table_chunk, **made)
    block, near = largest(grid.slot_tiling(1)), largest(grid.sum_tiling(1))
    return {
        "slots": (block, grid.slot_bytes(1), partial(write_slots, volume, block, centres, slots)),
        "sums": (near, grid.sum_bytes(1), lambda: store.write(sum_up_volume(volume, slots, near))),
    }


def measure(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One block of each phase."""
    write_image(folder / "in.zarr", row["shape"], row["smooth"], row.get("dtype", "uint8"))
    volume = read_volume(folder / "in.zarr", **{"spacing": CUBES, **row["made"]})
    stage = VolumeStage(volume, graph=True)
    stage.load_loops()
    grid, lattice = stage.grid, volume.lattice
    phases = centre_phases(volume, grid, folder) | region_phases(volume, grid, folder)
    result: dict[str, Any] = {**row, "cell": lattice.steps, "chunk_cells": grid.chunk}
    for name, (part, planned, work) in phases.items():
        found = measured(work)
        voxels = prod(lattice.voxels(part.read).shape)
        result[name] = {
            **found,
            "planned_bytes": planned,
            "voxels_read": voxels,
            "voxels_written": prod(lattice.voxels(part.write).shape),
            "bytes_per_voxel_read": found["bytes"] / voxels,
            "bytes_per_cell_read": found["bytes"] / part.read.size,
        }
    return result


def main() -> None:
    """Measure each row in a folder of its own."""
    rows = []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(row, Path(folder)))
        print(rows[-1])
    text = json.dumps({"rows": rows, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
