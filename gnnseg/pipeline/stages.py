"""Single stages as streams from file to file: superpixels, region graph, paint."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.blocks import Lattice
from gnnseg.errors import InputError, StateError, UsageError
from gnnseg.execution import default_workers
from gnnseg.graph.stage import SUM_HALO
from gnnseg.io import open_image, remove_output, unlabelled_value
from gnnseg.memory import default_budget, limit_arenas, parse_size, peak_rss, rss
from gnnseg.paint import homes_around, paint_window
from gnnseg.pipeline.manifest import Run, Task, check_run, remove_run
from gnnseg.pipeline.phases import output_blocks, regions_phase
from gnnseg.pipeline.plan import Plan, check_block, make_plan
from gnnseg.pipeline.scratch import SLOTS, open_scratch
from gnnseg.pipeline.windows import Grid
from gnnseg.superpixels import PixelReader, SlicSettings, make_reader

SLOT_KIND = "slot_map"
FORMAT_VERSION = 1


def write_superpixels(image: Any, out: str | Path, **settings: Any) -> dict[str, Any]:
    """Write the slot map of an image as a zarr group with the array `slots`, (Z, Y, X) uint8.

    Takes `step` or `n_segments`, `compactness`, `n_iter`, `sigma`, `mask`, `memory`, `block`,
    `workers` and `overwrite`; the bytes do not depend on the last four. Returns figures. Raises
    as `segment` does.
    """
    return _write(image, Path(out), SLOT_KIND, **settings)


def write_graph(image: Any, out: str | Path, **settings: Any) -> dict[str, Any]:
    """Write the region graph of an image as a zarr group that `RegionGraph.open` reads.

    Takes the same settings as `write_superpixels`.
    """
    return _write(image, Path(out), "region_graph", **settings)


def _write(
    image: Any,
    out: Path,
    kind: str,
    *,
    step: int | None = None,
    n_segments: int | None = None,
    compactness: float = 10.0,
    n_iter: int = 5,
    sigma: float = 0.0,
    mask: Any = None,
    memory: int | str | None = None,
    block: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    started = time.monotonic()
    limit_arenas()
    source = open_image(image)
    settings = SlicSettings.for_image(
        source.height,
        source.width,
        step=step,
        n_segments=n_segments,
        compactness=compactness,
        n_iter=n_iter,
        sigma=sigma,
    )
    reader = make_reader(source, settings=settings, mask=mask)
    grid = Grid(reader.lattice)
    check_block(block)
    budget = default_budget() if memory is None else parse_size(memory)
    threads = workers or default_workers()
    plan = make_plan(reader, grid, budget=budget, base=rss(), workers=threads, block=block)
    run = _start(reader, out, kind, overwrite=overwrite)
    try:
        results = _regions(reader, grid, plan, run)
        _publish(run, out, kind, reader)
        run.tidy(keep=False)
    finally:
        run.close()
    return {
        "output": str(out),
        "pixels": reader.lattice.bounds.size * source.num_planes,
        "num_superpixels": sum(result["regions"] for result in results),
        "num_edges": sum(result["edges"] for result in results),
        "leftover_pixels": sum(result["leftover"] for result in results),
        "lattice": list(reader.lattice.shape),
        "settings": asdict(settings),
        "resumed": run.resumed,
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
        "plan": plan.as_dict(),
    }


def _start(reader: PixelReader, out: Path, kind: str, *, overwrite: bool) -> Run:
    from gnnseg import __version__

    if out.suffix != ".zarr":
        raise UsageError(f"{out}: this is written as zarr; name it *.zarr")
    folder = out.with_name(out.name + ".gnnseg")
    if out.exists() and out.resolve() == Path(reader.image.name).resolve():
        raise UsageError(f"{out}: is the input of this run; choose another output")
    if overwrite:
        check_run(folder)
        remove_output(out)
        remove_run(folder)
    elif out.exists():
        raise StateError(f"{out}: exists; use --overwrite to make it anew")
    mask = reader.mask
    return Run.start(
        folder,
        {
            "gnnseg": __version__,
            "kind": kind,
            "input": reader.image.fingerprint(),
            "mask": None if mask is None else mask.fingerprint(),
            "superpixels": asdict(reader.settings),
            "scaling": asdict(reader.scaling),
        },
    )


def _regions(reader: PixelReader, grid: Grid, plan: Plan, run: Run) -> list[dict[str, Any]]:
    planes = reader.image.num_planes
    scratch = open_scratch(run, grid, planes, reader.scaling)
    halo = reader.settings.slot_halo + SUM_HALO
    blocks = grid.blocks(grid.cells(0), 0, plan.region_chunks, halo)
    tasks = [Task(plane, block) for plane in range(planes) for block in blocks]
    work = partial(regions_phase, reader, scratch)
    return list(run.phase("regions", tasks, work, workers=plan.workers).values())


def _publish(run: Run, out: Path, kind: str, reader: PixelReader) -> None:
    """Turn the scratch into the output: the part that was asked for, moved in one rename."""
    import zarr

    source = run.scratch / "graph_0"
    if kind == SLOT_KIND:
        source = run.folder / "slot_map.zarr"
        group = zarr.open_group(source, mode="a")
        if SLOTS not in group:
            (run.scratch / SLOTS).rename(source / SLOTS)
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
    group.attrs["gnnseg"] = {**about, "complete": True}
    source.rename(out)


def paint_file(
    slots: str | Path, values: str | Path, out: str | Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Paint one value per superpixel, from a `.npy`, through a slot map, into a zarr array.

    Parameters
    ----------
    slots : path
        Written by `write_superpixels`.
    values : path
        `.npy` with (planes *) cells_y * cells_x values of an integer or float type.
    out : path
        A zarr array (Y, X), or (Z, Y, X) for a stack; masked pixels hold the type's highest value,
        or NaN.

    Raises
    ------
    InputError
        A file cannot be read, or there are more or fewer values than superpixels.
    StateError
        The output exists.
    """
    started = time.monotonic()
    array, about = _open_slots(Path(slots))
    planes, height, width = array.shape
    lattice = Lattice(height, width, int(about["step"]))
    given = _read_values(Path(values))
    if given.size != planes * lattice.num_cells:
        raise InputError(
            f"{values}: {planes * lattice.num_cells} superpixels need as many values, "
            f"got {given.size}"
        )
    table = given.reshape(planes, *lattice.shape)
    fill = np.nan if table.dtype.kind == "f" else unlabelled_value(table.dtype)
    target = _create_array(Path(out), array, table.dtype, fill, overwrite=overwrite)
    for plane in range(planes):
        for block in output_blocks(array.shape, array.chunks[-1]):
            cells, homes, first = homes_around(lattice, block.write)
            part = np.asarray(array[(plane, *lattice.pixels(cells).slices)])
            near = table[(plane, *homes.slices)]
            target[(plane, *block.write.slices)] = paint_window(
                part, lattice.step, near, first, fill
            )
    target.attrs["gnnseg"] = {**dict(target.attrs["gnnseg"]), "complete": True}
    return {
        "output": str(out),
        "pixels": planes * height * width,
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
    }


def _open_slots(path: Path) -> tuple[Any, dict[str, Any]]:
    import zarr

    try:
        group = zarr.open_group(path, mode="r")
        about: Any = group.attrs["gnnseg"]
        if about.get("kind") != SLOT_KIND or not about.get("complete"):
            raise InputError(f"{path}: is no complete slot map; `gnnseg superpixels` makes one")
        return group[SLOTS], about
    except (KeyError, OSError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no readable slot map of gnnseg: {error}") from error


def _read_values(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no readable .npy of numbers: {error}") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        raise InputError(f"{path}: holds no integers or floats")
    return values


def _create_array(out: Path, slots: Any, dtype: Any, fill: Any, *, overwrite: bool) -> Any:
    import zarr
    from zarr.codecs import ZstdCodec

    if out.suffix != ".zarr":
        raise UsageError(f"{out}: painted values are written as zarr; name it *.zarr")
    if out.exists():
        if not overwrite:
            raise StateError(f"{out}: exists; use --overwrite to make it anew")
        remove_output(out)
    return zarr.create_array(
        str(out),
        shape=slots.shape,
        chunks=slots.chunks,
        dtype=dtype,
        fill_value=fill,
        compressors=ZstdCodec(checksum=True),
        attributes={"gnnseg": {"kind": "painted", "format_version": 1, "complete": False}},
        config={"write_empty_chunks": True},
    )
