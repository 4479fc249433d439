"""What borders that are learnt bring over the mixture of regions: figures of test, measured once.

    python experiments/borders.py MODEL...

lets each model learn borders on the public set that it was trained on, and measures test without
refinement, with the mixture, and with what was learnt, where val keeps it. Models of camvid are of
`experiments/configs/accuracy.toml`, of dsb2018, sstem_vnc and cfd_cracks of `compare_nuclei.toml`,
`compare_tissue.toml` and `compare_cracks.toml` there. Expected in minutes a model: one or two
points of mIoU over the mixture on nuclei and tissue, half of one on streets and cracks.
Adds to `experiments/results/borders.json`; a row of the same set and seed is replaced.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from machine import machine_record

import gnnseg
from gnnseg.compare.operations import count_operations
from gnnseg.datasets import find
from gnnseg.models import Model

RESULT = Path(__file__).parent / "results" / "borders.json"
FIGURES = "miou", "boundary_f1", "per_class_iou"


def main(*models: str) -> None:
    """Rows for each data set, one a seed."""
    for path in models:
        model = gnnseg.load_model(path)
        name, row = model.training["dataset"], measure(model)
        print(name, row["seed"], {key: round(row[key]["miou"], 4) for key in ("mixed", "learnt")})
        kept = json.loads(RESULT.read_text())["datasets"] if RESULT.exists() else {}
        rows = [other for other in kept.get(name, []) if other["seed"] != row["seed"]]
        kept[name] = sorted([*rows, row], key=lambda row: row["seed"])
        text = json.dumps({"datasets": kept, "machine": machine_record()}, indent=1)
        RESULT.write_text(text + "\n", encoding="utf-8")


def measure(plain: Model) -> dict[str, Any]:
    """Figures of one model."""
    dataset = find(plain.training["dataset"])
    learnt = gnnseg.learn_borders(dataset, plain)
    mixed, own = (
        gnnseg.evaluate(dataset, model, split="test", refine=True)
        for model in (replace(learnt, borders=None), learnt)
    )
    pixels, operations = count_operations(plain, dataset.split("test"))
    return {
        "seed": plain.training["config"]["seed"],
        "epochs": plain.training["epochs"],
        "step": plain.settings.step,
        "operations_per_pixel": operations / pixels,
        "val": learnt.training["borders"],
        "unrefined": {key: mixed[f"{key}_unrefined"] for key in FIGURES[:2]},
        "mixed": {key: mixed[key] for key in FIGURES},
        "learnt": {key: own[key] for key in FIGURES},
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
