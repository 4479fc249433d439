"""One setting of the training at a time, against the defaults, on val of CamVid.

    python experiments/training_options.py experiments/configs/training_options.toml CACHE

A few epochs each, the same number for all, so that the machine's load does not matter; region
graphs come from the cache. Val only: nothing is chosen on test. Runs that have a row in
`experiments/results/training_options.json` are skipped.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from machine import machine_record

from gnnseg.datasets import find
from gnnseg.training import make_config, train

RESULTS = Path(__file__).parent / "results" / "training_options.json"


def main(config_path: str, cache: Path) -> None:
    """Carry out the runs of a configuration, one after the other."""
    given = tomllib.loads(Path(config_path).read_text(encoding="utf-8"))
    found = {"machine": machine_record(), "shared": given["shared"], "runs": []}
    if RESULTS.exists():
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
    done = [row["settings"] for row in found["runs"]]
    for settings in given["runs"]:
        if settings not in done:
            found["runs"].append(carry_out(given["dataset"], given["shared"], settings, cache))
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def carry_out(
    dataset: str, shared: dict[str, Any], settings: dict[str, Any], cache: Path
) -> dict[str, Any]:
    """Train once; the best val mIoU, and how it came about."""
    model = train(find(dataset), config=make_config(cache=cache, **shared, **settings))
    history = model.training["history"]
    print(f"{settings}: val mIoU {model.training['val_miou']:.4f}", file=sys.stderr)
    return {
        "settings": settings,
        "val_miou": model.training["val_miou"],
        "best_epoch": model.training["best_epoch"],
        "shift": model.training["shift"],
        "seconds": model.training["seconds"],
        "val_miou_by_epoch": history["val_miou"],
        "loss_by_epoch": history["loss"],
    }


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
