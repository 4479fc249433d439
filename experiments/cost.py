"""What each preset costs: parameters, operations and time a pixel, and memory.

    python experiments/cost.py

A synthetic street of 2048 x 2048 pixels at steps 8 and 16, 11 classes, random weights, one thread.
Operations are those of the network in floating point, a multiply-add being two: products and
convolutions as PyTorch counts them, halos and padding included, and those of the messages. Those of
superpixels and features are integers: what follows from the bounds of loops is counted, and their
time tells the rest. Times are the least of three in one process; the peak is that of a fresh
process, beyond its imports and loaded loops. Expected: `default` below 3,000 operations a pixel at
step 8, `large` below 20,000. Writes `experiments/results/cost.json`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from untrained import CLASSES, untrained_model

RESULT = Path(__file__).parent / "results" / "cost.json"
SIDE, REPEATS = 2048, 3
HOMES = {8: 10.1, 16: 4.8}
"""Superpixels in a tile of 16 x 16 pixels, by step (`docs/design/kernels.md`)."""


def main() -> None:
    """Measure every preset, each in a fresh process."""
    from machine import machine_record

    rows = []
    for preset in ("mlp", "jain2023", "small", "default", "large"):
        for step in (8, 16):
            command = [sys.executable, __file__, preset, str(step)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    text = json.dumps({"side": SIDE, "presets": rows, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


def measure(preset: str, step: int) -> dict[str, Any]:
    """One row of the result."""
    import torch

    from gnnseg.datasets.synthetic import synthetic_dataset
    from gnnseg.graph import whole_table
    from gnnseg.memory import peak_rss, reused_memory, rss
    from gnnseg.models.stem_window import plane_logits
    from gnnseg.superpixels import make_reader

    torch.set_num_threads(1)
    (item,) = synthetic_dataset(1, height=SIDE, width=SIDE, num_classes=CLASSES).split("train")
    source = item.open_image()
    image = np.ascontiguousarray(source.read(source.bounds).transpose(1, 2, 0))
    model = untrained_model(image, step, preset)

    def regions(pixels: np.ndarray) -> tuple[Any, np.ndarray, Any]:
        reader = make_reader(pixels, settings=model.settings, scaling=model.scaling)
        return reader, *whole_table(reader, workers=1)

    few = np.ascontiguousarray(image[: 16 * step, : 16 * step])
    plane_logits(model, *regions(few))  # loads the loops
    before = rss()
    with reused_memory():
        found = regions(image)
        plane_logits(model, *found)
    peak = peak_rss() - before
    pixels = SIDE * SIDE
    return {
        "preset": preset,
        "step": step,
        "parameters": model.num_parameters,
        "operations_per_pixel": count_operations(model, *found) / pixels,
        "integer_operations_per_pixel": count_integers(model),
        "regions_ns_per_pixel": least(lambda: regions(image)) / pixels * 1e9,
        "network_ns_per_pixel": least(lambda: plane_logits(model, *found)) / pixels * 1e9,
        "peak_bytes": peak,
    }


def count_operations(model: Any, reader: Any, slots: np.ndarray, table: Any) -> float:
    """In floating point, of the network on a whole image."""
    from gnnseg.models.operations import counted_operations
    from gnnseg.models.stem_window import plane_logits

    with counted_operations() as operations:
        plane_logits(model, reader, slots, table)
    return float(operations.total)


def count_integers(model: Any) -> float:
    """Operations a pixel of superpixels and of sums over regions, most in lanes of 16 bits; about.

    Of colours 20, of the filter 14 a channel, 11 for each of nine homes (in a round of one pixel in
    `stride` squared), 3 for a plane of texture; then two products and two sums a plane for each
    superpixel of a tile. Runs, orphans, counts and sides come on top and depend on the image.
    """
    from gnnseg.features import planes

    settings, channels = model.settings, model.scaling.num_channels
    looked = 1 + settings.n_iter / settings.stride**2
    textures = len(planes(channels, rgb=model.scaling.rgb))
    sums = 4 * textures * HOMES[settings.step]
    return 20 + 14 * channels + 9 * 11 * looked + 3 * textures + sums


def least(work: Callable[[], Any]) -> float:
    """Least seconds of the processor of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main()
