"""Time superpixels and paint over image sizes and threads, and draw it.

    python experiments/scaling.py

Every point is the least of three runs after one that warms up, in a process of its own; the picture
is that of `bench_kernels.py`, from 1 to 256 megapixels, at step 16. Expected: a flat line for each
(time is linear in pixels), and more with two threads than with one. Writes
`experiments/results/scaling.json` and `docs/images/scaling.png`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench_kernels import STEP, Work, least_seconds, picture
from machine import machine_record

HERE = Path(__file__).parent
RESULT = HERE / "results" / "scaling.json"
PLOT = HERE.parent / "docs" / "images" / "scaling.png"
SIDES = (1024, 2048, 4096, 8192, 16384)
LINES = (
    ("superpixels, one round", 1),
    ("superpixels, one round", 2),
    ("superpixels", 1),
    ("superpixels", 2),
    ("paint", 1),
    ("paint", 2),
)
"""Stage and threads."""


def prepare(stage: str, threads: int, side: int) -> Work:
    """What is timed."""
    import numpy as np

    import gnnseg

    image = picture(side)
    if stage == "paint":
        regions = gnnseg.superpixels(image, step=STEP)
        labels = np.arange(regions.lattice.num_cells).astype(np.uint8)
        return lambda: gnnseg.paint(regions, labels, workers=threads)
    rounds = {"n_iter": 1} if stage.endswith("one round") else {}
    return lambda: gnnseg.superpixels(image, step=STEP, workers=threads, **rounds)


def measure(stage: str, threads: int, side: int) -> dict[str, Any]:
    """One point, by a process of its own."""
    command = [sys.executable, __file__, stage, str(threads), str(side)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = float(done.stdout.splitlines()[-1])
    rate = side**2 / seconds / 1e6
    print(f"{stage}, {threads} thread(s), {side} x {side}: {rate:.1f} Mpx/s", flush=True)
    return {
        "stage": stage,
        "threads": threads,
        "megapixels": side**2 / 1e6,
        "seconds": seconds,
        "mpx_per_second": rate,
    }


def draw(rows: list[dict[str, Any]]) -> None:
    """Mpx/s against megapixels, a line for each stage and number of threads."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    colours = {"superpixels, one round": "#0072b2", "superpixels": "#d55e00", "paint": "#009e73"}
    for stage, threads in LINES:
        line = [row for row in rows if (row["stage"], row["threads"]) == (stage, threads)]
        axes.plot(
            [row["megapixels"] for row in line],
            [row["mpx_per_second"] for row in line],
            marker="o",
            color=colours[stage],
            linestyle="-" if threads > 1 else "--",
            label=f"{stage}, {threads} thread{'s' * (threads > 1)}",
        )
    axes.set(xscale="log", yscale="log", xlabel="megapixels", ylabel="megapixels a second")
    axes.set_title(f"Step {STEP}, three 8-bit colours")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.savefig(PLOT, dpi=110)


def main() -> None:
    """Measure every point, write and draw them."""
    rows = [measure(stage, threads, side) for stage, threads in LINES for side in SIDES]
    text = json.dumps({"step": STEP, "rows": rows, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")
    draw(rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(least_seconds(prepare(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
