"""Time the kernels on a GPU, against its bandwidth, and compare their bits with the processor's.

    python experiments/bench_cuda.py [SIDE]

Needs an NVIDIA GPU, and a CUDA toolkit that Numba finds (CUDA_HOME). The picture is that of
`bench_kernels.py`, SIDE x SIDE pixels (16384), about one superpixel to 16 x 16; the volume has
planes of it, each moved against the one before, and cells of 8 x 8 x 8 voxels. A stage runs once
to warm up and then five times, timed by the clock around work that is waited for; the median
counts. Memory is the most that the driver gave away while a stage ran, above the image, sampled
every millisecond. Expected of an H200: superpixels at 3 Gpx/s or more, paint at half of the
bandwidth of a plain copy or more, and equal bits everywhere. Nothing has been measured yet. Writes
`experiments/results/bench_cuda.json`.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from bench_kernels import STEP, picture
from machine import machine_record
from numba import config, cuda

import gnnseg

RESULT = Path(__file__).parent / "results" / "bench_cuda.json"
SIDE, REPEATS = 16384, 5
PLANES, STEP_IN_VOLUME = 64, 8

Stage = Callable[[Any], dict[str, Any]]
"""What a stage makes of an image, here or on the GPU, by name."""


def main(side: int) -> None:
    """Every stage on the GPU and, once, on the processor."""
    if not cuda.is_available():
        raise SystemExit("no GPU that Numba can use: nothing was measured")
    image, volume = picture(side), volume_of(picture(max(side // 8, 1)))
    number = image[..., 0].size
    copied = copy_bandwidth(image.nbytes)
    rows = [
        *measure(stages(image), image, number),
        *measure(volume_stages(volume), volume, volume.size),
    ]
    paint = next(row for row in rows if row["stage"] == "paint")
    found = {
        "machine": machine_record(),
        "pixels": number,
        "voxels": volume.size,
        "step": STEP,
        "step_in_volume": STEP_IN_VOLUME,
        "copy_gb_per_second": copied,
        "paint_share_of_copy": 2 * paint["gpx_per_second"] / copied,
        "rows": rows,
    }
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def stages(image: np.ndarray) -> dict[str, Stage]:
    """What is timed. All but the last take an image that lies where they work."""
    regions = gnnseg.superpixels(image, step=STEP)
    labels = np.arange(regions.lattice.num_cells).astype(np.uint8)
    slots = {"here": regions, "there": gnnseg.superpixels(cuda.to_device(image), step=STEP)}

    def superpixels(n_iter: int) -> Stage:
        return lambda pixels: {"slots": gnnseg.superpixels(pixels, step=STEP, n_iter=n_iter).slots}

    def graph(pixels: Any) -> dict[str, Any]:
        return arrays_of(gnnseg.region_graph(pixels))

    def paint(pixels: Any) -> dict[str, Any]:
        where = "here" if isinstance(pixels, np.ndarray) else "there"
        return {"labels": gnnseg.paint(slots[where], labels)}

    def end_to_end(pixels: Any) -> dict[str, Any]:
        moved = cuda.to_device(image) if not isinstance(pixels, np.ndarray) else image
        return {"labels": on_host(gnnseg.paint(gnnseg.superpixels(moved, step=STEP), labels))}

    return {
        "superpixels, one round": superpixels(1),
        "superpixels": superpixels(2),
        "superpixels, features and graph": graph,
        "paint": paint,
        "superpixels and paint, from and to host memory": end_to_end,
    }


def volume_of(plane: np.ndarray) -> np.ndarray:
    """A volume (Z, Y, X) of one channel of a picture, moved by a pixel from plane to plane."""
    return np.stack([np.roll(plane[..., 0], z, axis=(0, 1)) for z in range(PLANES)])


def volume_stages(volume: np.ndarray) -> dict[str, Stage]:
    """The same for a volume."""

    def supervoxels(voxels: Any) -> Any:
        stack = gnnseg.open_image(voxels, axes="ZYX")
        return gnnseg.supervoxels(stack, step=STEP_IN_VOLUME)

    def graph(voxels: Any) -> dict[str, Any]:
        stack = gnnseg.open_image(voxels, axes="ZYX")
        return arrays_of(gnnseg.supervoxel_graph(stack, step=STEP_IN_VOLUME))

    here, there = supervoxels(volume), supervoxels(cuda.to_device(volume))
    labels = np.arange(here.lattice.num_cells).astype(np.uint8)

    def paint(voxels: Any) -> dict[str, Any]:
        regions = here if isinstance(voxels, np.ndarray) else there
        return {"labels": gnnseg.paint(regions, labels)}

    return {
        "supervoxels": lambda voxels: {"slots": supervoxels(voxels).slots},
        "supervoxels, features and graph": graph,
        "paint of a volume": paint,
    }


def arrays_of(graph: Any) -> dict[str, Any]:
    """What a region graph is made of."""
    return {name: getattr(graph, name) for name in ("x", "edge_index", "edge_attr")}


def measure(stages: dict[str, Stage], image: np.ndarray, number: int) -> Iterator[dict[str, Any]]:
    """The seconds and memory of each stage, and whether its bits are those of the processor.

    `number` is that of pixels or voxels.
    """
    there = cuda.to_device(image)
    for name, stage in stages.items():
        expected = stage(image)
        made = {key: on_host(value) for key, value in stage(there).items()}
        equal = all(np.array_equal(made[key], on_host(value)) for key, value in expected.items())
        seconds = [seconds_of(lambda stage=stage: stage(there)) for _ in range(REPEATS)]
        with most_taken() as taken:
            stage(there)
            cuda.synchronize()
        rate = number / statistics.median(seconds) / 1e9
        print(f"{name}: {rate:.3f} Gpx/s, bits {'equal' if equal else 'DIFFER'}", flush=True)
        yield {
            "stage": name,
            "seconds": seconds,
            "gpx_per_second": rate,
            "equal_bits": equal,
            "peak_device_bytes": taken[0],
        }


def on_host(array: Any) -> np.ndarray:
    """An array in memory, wherever it was."""
    return array.copy_to_host() if hasattr(array, "copy_to_host") else np.asarray(array)


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds until work is done, not only queued."""
    cuda.synchronize()
    started = time.perf_counter()
    work()
    cuda.synchronize()
    return time.perf_counter() - started


@contextmanager
def most_taken() -> Iterator[list[int]]:
    """The most bytes of the GPU that are taken inside, above those before; in a list of one."""
    cuda.synchronize()
    context = cuda.current_context()
    if not config.ENABLE_CUDASIM:
        context.deallocations.clear()  # what was freed so far goes back to the driver
    before, taken, ended = context.get_memory_info().free, [0], threading.Event()

    def watch() -> None:
        own = cuda.current_context()  # a thread has a context of its own
        while not ended.wait(0.001):
            taken[0] = max(taken[0], before - own.get_memory_info().free)

    with ThreadPoolExecutor(1) as pool:
        watched = pool.submit(watch)
        try:
            yield taken
        finally:
            ended.set()
        watched.result()  # raises what went wrong there


def copy_bandwidth(num_bytes: int) -> float:
    """GB/s that a copy inside the GPU's memory moves, read and written."""
    source = cuda.to_device(np.zeros(num_bytes, np.uint8))
    target = cuda.device_array_like(source)
    target.copy_to_device(source)
    seconds = [seconds_of(lambda: target.copy_to_device(source)) for _ in range(REPEATS)]
    return 2 * num_bytes / statistics.median(seconds) / 1e9


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SIDE)
