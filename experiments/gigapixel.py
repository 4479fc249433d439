"""Segment a gigapixel under a memory budget, for several sizes, block sizes and numbers of workers.

    python experiments/gigapixel.py MODEL SMALL.zarr LARGE.zarr WORKDIR

Expected on 2 cores with `--memory 1GiB`: the peak (VmHWM, read from outside, summed over
processes) below 1 GiB, that of the small image within 10 % of the large one's, every variant the
same labels, and one gigapixel in under 150 s. Writes `experiments/results/gigapixel.json`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
from machine import machine_record

RESULT = Path(__file__).parent / "results" / "gigapixel.json"
MEMORY = "1GiB"
POLL_SECONDS = 0.05


def main(model: str, small: str, large: str, workdir: str) -> None:
    """Run every variant, compare the labels, write the result."""
    work = Path(workdir)
    work.mkdir(parents=True, exist_ok=True)
    variants = [
        ("small", small, []),
        ("large", large, []),
        ("large, block 1024", large, ["--block", "1024"]),
        ("large, block 3072, 2 GiB", large, ["--block", "3072", "--memory", "2GiB"]),
        ("large, 1 worker", large, ["--workers", "1"]),
    ]
    runs = [measure(name, image, model, work, extra) for name, image, extra in variants]
    same = len({run["labels_sha256"] for run in runs[1:]}) == 1
    a, b = runs[:2]
    slope = (b["seconds"] - a["seconds"]) / (b["pixels"] - a["pixels"])
    result = {
        "memory": MEMORY,
        "machine": machine_record(),
        "runs": runs,
        "labels_equal": same,
        "seconds_per_gigapixel": slope * 1e9,
        "peak_ratio": a["peak_bytes"] / b["peak_bytes"],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(name: str, image: str, model: str, work: Path, extra: list[str]) -> dict[str, object]:
    """One run of the command line, its peak memory polled from outside."""
    out = work / "labels.zarr"
    for path in (out, work / "labels.zarr.gnnseg"):
        shutil.rmtree(path, ignore_errors=True)
    command = [sys.executable, "-m", "gnnseg", "segment", image, "-m", model, "-o", str(out)]
    command += ["--memory", MEMORY, "--json", *extra]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, peak_of_tree(process.pid))
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}")
    report = json.loads(process.stdout.read())
    run = {
        "name": name,
        "options": extra,
        "pixels": report["pixels"],
        "nodes": report["nodes"],
        "leftover_pixels": report["leftover_pixels"],
        "seconds": seconds,
        "peak_bytes": peak,
        "plan": report["plan"],
        "stages": report["stages"],
        "labels_sha256": hash_of(out / "0"),
    }
    print(f"{name}: {seconds:.1f} s, {peak / 2**20:.0f} MiB", file=sys.stderr)
    return run


def peak_of_tree(pid: int) -> int:
    """VmHWM of a process and its children, in bytes."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            line = next((row for row in status.splitlines() if row.startswith("VmHWM")), None)
            total += int(line.split()[1]) * 1024 if line else 0
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        pass
    return total


def hash_of(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:5])
