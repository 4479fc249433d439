"""Time superpixels, region features and region graphs beside scikit-image, in turn.

    python experiments/peers.py

Each measurement is a fresh process on one thread with its compiled loops warm; ours and the
peer's alternate, and medians are compared. The picture is scikit-image's `ihc.png`, repeated to
2048 x 2048 pixels, step 16. Expected on one core: superpixels at least 50 times faster than `slic`
with its default of 10 iterations. Writes `experiments/results/peers.json`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine_record

RESULT = Path(__file__).parent / "results" / "peers.json"
SIDE, STEP, REPEATS = 2048, 16, 5


def picture() -> np.ndarray:
    """Stained tissue, (SIDE, SIDE, 3) uint8, mirrored where it repeats."""
    from skimage.data import immunohistochemistry

    image = immunohistochemistry()
    row = np.concatenate([image, image[:, ::-1]], axis=1)
    tile = np.concatenate([row, row[::-1]], axis=0)
    return np.tile(tile, (2, 2, 1))[:SIDE, :SIDE].copy()


def ours_superpixels(image: np.ndarray) -> None:
    """Slots and their connectivity."""
    import gnnseg

    gnnseg.superpixels(image, step=STEP, workers=1)


def peer_superpixels(image: np.ndarray) -> None:
    """As many superpixels by scikit-image, with its settings otherwise."""
    from skimage.segmentation import slic

    slic(image, n_segments=(SIDE // STEP) ** 2, start_label=0)


def ours_graph(image: np.ndarray) -> None:
    """Superpixels, all features, and the graph with contact and contrast."""
    import gnnseg

    gnnseg.region_graph(image, workers=1)


def peer_graph(image: np.ndarray) -> None:
    """Superpixels, colour mean and deviation of each, and the graph of mean colours."""
    from skimage.graph import rag_mean_color
    from skimage.measure import regionprops_table
    from skimage.segmentation import slic

    labels = slic(image, n_segments=(SIDE // STEP) ** 2, start_label=1)
    names = ("label", "area", "centroid", "intensity_mean", "intensity_std")
    regionprops_table(labels, image, properties=names)
    rag_mean_color(image, labels)


PAIRS: dict[str, tuple[Callable[[np.ndarray], None], Callable[[np.ndarray], None]]] = {
    "superpixels": (ours_superpixels, peer_superpixels),
    "superpixels, features and graph": (ours_graph, peer_graph),
}


def main() -> None:
    """Run every pair in turn and write medians and their ratio."""
    rows = []
    for name, pair in PAIRS.items():
        for function in pair:  # compile, fill caches
            seconds_of(function.__name__)
        times: list[list[float]] = [[], []]
        for _ in range(REPEATS):
            for kept, function in zip(times, pair, strict=True):
                kept.append(seconds_of(function.__name__))
        ours, peer = (statistics.median(kept) for kept in times)
        rows.append(row := record(name, ours, peer))
        print(
            f"{name}: {row['ours_mpx_per_second']:.1f} Mpx/s, {row['ratio']:.0f} times", flush=True
        )
    result = {"side": SIDE, "step": STEP, "repeats": REPEATS, "rows": rows}
    text = json.dumps({**result, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


def record(name: str, ours: float, peer: float) -> dict[str, Any]:
    """One line of the result."""
    return {
        "name": name,
        "ours_seconds": ours,
        "scikit_image_seconds": peer,
        "ours_mpx_per_second": SIDE**2 / ours / 1e6,
        "ratio": peer / ours,
    }


def seconds_of(name: str) -> float:
    """Seconds of the second call of a function in a process of its own."""
    command = [sys.executable, __file__, name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(name: str) -> None:
    """Print the seconds of a function's second call."""
    function: Callable[[np.ndarray], None] = globals()[name]
    image = picture()
    function(image[: SIDE // 4])
    started = time.perf_counter()
    function(image)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
