"""Time the first calls of a new process, with loops compiled before and without.

    python experiments/first_call.py

Each figure comes from a fresh process on one thread: a 480 x 360 image, step 16, one call that is
its first and one that is its second; imports are counted apart. Cold: Numba's cache is an empty
folder. Warm: what the cold process left there, the least of three processes. Seconds of the
processor stand beside those of the clock, since compiling shares a busy machine. Expected: a first
call within 20 s cold for superpixels, 25 for `region_graph`, 27 for labels, and 1 s warm.
`compiling` has the loops that took longest to compile, what they call not counted. Writes
`experiments/results/first_call.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "first_call.json"
CALLS = ("superpixels", "region_graph", "labels")
STEP, REPEATS, LISTED = 16, 3, 30


def main() -> None:
    """Measure every call, cold and warm."""
    from machine import machine_record

    rows = []
    for call in CALLS:
        with tempfile.TemporaryDirectory() as cache:
            cold = run(call, cache)
            warm = [run(call, cache) for _ in range(REPEATS)]
        compiling = cold.pop("compiling")
        least = {key: min(found[key] for found in warm) for key in cold}
        rows.append({"call": call, "cold": cold, "warm": least, "compiling": compiling})
        print(
            f"{call}: imports {least['imports']:.2f} s, first call cold {cold['first']:.2f} s "
            f"({cold['first_cpu']:.2f} s of the processor), warm {least['first']:.3f} s, "
            f"then {least['second'] * 1e3:.1f} ms",
            flush=True,
        )
    text = json.dumps({"step": STEP, "calls": rows, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


def run(call: str, cache: str) -> dict[str, Any]:
    """What a fresh process measures with that folder for a cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, __file__, call]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def measure(call: str) -> None:
    """Print the seconds of the imports, of the first call, and of the second."""
    clocks = [(time.perf_counter(), time.process_time())]

    def lap() -> None:
        clocks.append((time.perf_counter(), time.process_time()))

    work = prepare(call)
    compiling = listen()
    lap()
    work()
    lap()
    work()
    lap()
    found: dict[str, Any] = {"compiling": dict(compiling.most_common(LISTED))}
    for name, before, after in zip(
        ("imports", "first", "second"), clocks, clocks[1:], strict=False
    ):
        found[name], found[f"{name}_cpu"] = (b - a for a, b in zip(before, after, strict=True))
    print(json.dumps(found))


def prepare(call: str) -> Any:
    """Import what a call needs, and give the call."""
    import numpy as np

    image = np.random.default_rng(0).integers(0, 256, (360, 480, 3)).astype(np.uint8)
    if call == "labels":
        import torch
        from untrained import label, untrained_model

        import gnnseg.graph
        import gnnseg.paint

        torch.set_num_threads(1)
        model = untrained_model(image, STEP)
        return lambda: label(image, model)
    import gnnseg
    from gnnseg.superpixels import SlicSettings

    settings = SlicSettings(step=STEP)
    if call == "region_graph":
        region_graph = gnnseg.region_graph
        return lambda: region_graph(image, settings=settings, workers=1)
    superpixels = gnnseg.superpixels
    return lambda: superpixels(image, step=STEP, workers=1)


def listen() -> Counter[str]:
    """Seconds of the processor that compiling each loop takes from now on, callees not counted."""
    from numba.core import event

    seconds: Counter[str] = Counter()
    running: list[list[float]] = []

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            running.append([time.process_time(), 0.0])

        def on_end(self, event: Any) -> None:
            started, inner = running.pop()
            took = time.process_time() - started
            if running:
                running[-1][1] += took
            function = event.data["dispatcher"].py_func
            seconds[f"{function.__module__}.{function.__qualname__}"] += took - inner

    event.register("numba:compile", Listener())
    return seconds


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
