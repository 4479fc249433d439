"""The three assumptions that everything else stands on, measured.

    python experiments/risks.py

1. One edge-gated layer of width 32 on 1,048,576 regions: predicted 1.4 GB for 250,000 nodes in one
   piece, so 5.6 GB; below 400 MB in blocks of 64 x 64 cells.
2. Seconds of one CamVid epoch at step 8, predicted below 30: `training` in
   `experiments/results/accuracy_camvid_default.json`.
3. The halo on noise is a test (`tests/graph/test_halo.py`, `tests/superpixels/test_halo.py`); here
   the share of pixels that need it: orphans left over on noise and on a photograph.

Writes `experiments/results/risks.json`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from machine import machine_record

from gnnseg.blocks import Window
from gnnseg.memory import peak_rss, rss

RESULT = Path(__file__).parent / "results" / "risks.json"
SIDE = 1024
WIDTH = 32


def main() -> None:
    """Run every part in a process of its own and write the figures."""
    parts = {name: run_part(name) for name in ("layer_whole", "layer_blocks", "noise")}
    RESULT.write_text(json.dumps({"machine": machine_record(), **parts}, indent=1) + "\n")


def run_part(name: str) -> dict[str, object]:
    """One part in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, name], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def layer_whole() -> dict[str, object]:
    """The layer on all regions at once."""
    return layer(SIDE)


def layer_blocks() -> dict[str, object]:
    """The layer on blocks of 64 cells with a halo of 2."""
    return layer(68)


def layer(side: int) -> dict[str, object]:
    """Time and memory of one layer on `side` x `side` regions, scaled to all of them."""
    import torch

    from gnnseg.graph import RegionGraph, RegionTable
    from gnnseg.models.layers import EdgeGatedConv

    torch.set_num_threads(1)  # as in a segmentation
    table = RegionTable.empty(Window(0, side, 0, side), 16, 0, 2)
    table.area[:] = 256
    table.contact[..., [7, 11, 13, 17, 6, 18]] = 16
    graph = RegionGraph.from_table(table)
    edge_index, edge_attr = torch.from_numpy(graph.edge_index), torch.from_numpy(graph.edge_attr)
    conv = EdgeGatedConv(WIDTH, edge_attr.shape[1]).eval()
    x = torch.randn(side * side, WIDTH)
    before = rss()
    times = []
    with torch.inference_mode():
        for _ in range(3):
            started = time.perf_counter()
            conv(x, edge_index, edge_attr)
            times.append(time.perf_counter() - started)
    scale = SIDE**2 / (side if side == SIDE else side - 4) ** 2
    return {
        "nodes": side * side,
        "edges": graph.num_edges,
        "seconds_for_all": sorted(times)[1] * scale,
        "peak_bytes_above_inputs": peak_rss() - before,
    }


def noise() -> dict[str, object]:
    """Orphans left over, as a share of the pixels, at the default settings."""
    from skimage import data

    from gnnseg.superpixels import superpixels

    rng = np.random.default_rng(0)
    images = {
        "noise": rng.integers(0, 256, (1024, 1024, 3), dtype=np.uint8),
        "photograph": data.immunohistochemistry(),
    }
    return {
        name: superpixels(image, step=16).num_leftover / (image.shape[0] * image.shape[1])
        for name, image in images.items()
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        part = {f.__name__: f for f in (layer_whole, layer_blocks, noise)}[sys.argv[1]]
        print(json.dumps(part()))
    else:
        main()
