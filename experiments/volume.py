"""Measure supervoxels of a stack of tissue sections, beside superpixels of its planes.

    GNNSEG_DATA=../shared/data python experiments/volume.py

On the 12 training sections of sstem_vnc (1024 x 1024, 47 nm thick, pixels of 4.6 nm), with the
voxels' size and as if sections were thinner, which makes cells of several of them. Superpixels of
the planes are as many in all. A crop of 512 x 512 is measured beside scikit-image's slic in three
dimensions, at two compactnesses (it makes fewer than it is asked for: mind the numbers). Seconds
are on one thread, of supervoxels also on all cores, the least of `REPEATS`, but those of
scikit-image and of graphs. Expected of the whole: at step 8, where cells are one section deep,
superpixels of the planes carry labels better (0.935 of the pixels, supervoxels 0.930); at step 16,
with cells of two, supervoxels do (0.876, as many superpixels of planes 0.846). Writes
`experiments/results/volume.json`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine_record
from skimage.segmentation import slic

import gnnseg
from gnnseg.datasets import open_dataset
from gnnseg.metrics import (
    ConfusionMatrix,
    achievable_accuracy,
    ceiling_labels,
    undersegmentation_error,
)

DATA = Path(os.environ.get("GNNSEG_DATA", "../shared/data"))
RESULT = Path(__file__).parent / "results" / "volume.json"
SPACING = (47.0, 4.6, 4.6)
CASES = [(8, SPACING), (16, SPACING), (8, (18.4, 4.6, 4.6)), (8, (4.6, 4.6, 4.6))]
"""Step, and the size of a voxel that cells are made for."""
CROP = 512
COMPACTNESS = (0.1, 0.3)
REPEATS = 3


def timed(make: Callable[[], Any], repeats: int = REPEATS) -> tuple[Any, float]:
    """What a call gives, and the least seconds that it took."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        made = make()
        seconds.append(time.perf_counter() - start)
    return made, min(seconds)


def quality(truth: np.ndarray, ids: np.ndarray, num_classes: int, ignore: int) -> dict[str, Any]:
    """How well regions can carry the labels."""
    best = ceiling_labels(truth, ids, ignore_index=ignore)
    return {
        "regions": len(np.unique(ids)),
        "achievable_accuracy": achievable_accuracy(truth, ids, ignore_index=ignore),
        "ceiling_miou": ConfusionMatrix.of(truth, best, num_classes, ignore).miou,
        "undersegmentation_error": undersegmentation_error(truth, ids, ignore_index=ignore),
    }


def supervoxel_row(pixels: np.ndarray, step: int, spacing: tuple[float, ...]) -> tuple[Any, Any]:
    """Ids of supervoxels, and what they and their graph took."""
    stack = gnnseg.open_image(pixels, axes="ZYX")
    made = {"step": step, "spacing": spacing}
    regions, seconds = timed(lambda: gnnseg.supervoxels(stack, **made, workers=1))
    _, at_once = timed(lambda: gnnseg.supervoxels(stack, **made))
    graph, more = timed(lambda: gnnseg.supervoxel_graph(stack, **made, workers=1), 1)
    about = {
        "step_z": regions.lattice.step_z,
        "seconds": seconds,
        "seconds_on_all_cores": at_once,
        "graph_seconds": more,
        "edges": graph.num_edges,
        "leftover_share": regions.num_leftover / pixels.size,
    }
    return regions.ids(), about


def plane_row(pixels: np.ndarray, wanted: int) -> tuple[Any, Any]:
    """Ids of superpixels of the planes, about so many in all."""
    stack = gnnseg.open_image(pixels, axes="ZYX")
    each = -(-wanted // len(pixels))
    regions, seconds = timed(lambda: gnnseg.superpixels(stack, n_segments=each, workers=1))
    return regions.ids(), {"step": regions.settings.step, "seconds": seconds}


def scikit_image_row(
    pixels: np.ndarray, wanted: int, spacing: tuple[float, ...], compactness: float
) -> tuple[Any, Any]:
    """Ids of scikit-image's supervoxels."""
    size = tuple(length / spacing[-1] for length in spacing)
    made = {"compactness": compactness, "spacing": size, "channel_axis": None, "start_label": 0}
    ids, seconds = timed(lambda: slic(pixels, wanted, **made), 1)
    return ids, {"compactness": compactness, "seconds": seconds}


def measure(pixels: np.ndarray, truth: np.ndarray, about: tuple[int, int], peer: bool) -> list[Any]:
    """The rows of a volume."""
    rows = []
    for step, spacing in CASES:
        ids, cost = supervoxel_row(pixels, step, spacing)
        wanted = len(np.unique(ids))
        tried = [("gnnseg supervoxels", ids, cost)]
        tried.append(("gnnseg superpixels of planes", *plane_row(pixels, wanted)))
        for compactness in COMPACTNESS if peer else ():
            found = scikit_image_row(pixels, wanted, spacing, compactness)
            tried.append(("scikit-image slic", *found))
        for tool, regions, seconds in tried:
            row = {"shape": pixels.shape, "cells_for": {"step": step, "spacing": spacing}}
            rows.append({"tool": tool, **row, **seconds, **quality(truth, regions, *about)})
            print(rows[-1])
    return rows


def main() -> None:
    """Measure a crop of the stack, then the whole, and write the rows."""
    data = open_dataset(DATA / "sstem_vnc")
    items = sorted(data.split("train"), key=lambda item: item.stem)
    pixels = np.stack([item.open_image().read(item.open_image().bounds)[0] for item in items])
    truth = np.stack([item.read_labels() for item in items])
    about = data.num_classes, items[0].classes.ignore_index
    crop = np.s_[:, :CROP, :CROP]
    rows = measure(np.ascontiguousarray(pixels[crop]), truth[crop], about, peer=True)
    rows += measure(pixels, truth, about, peer=False)
    text = json.dumps({"rows": rows, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
