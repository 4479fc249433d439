"""What borders that are learnt bring over the mixture of regions: figures of test, measured once.

    python experiments/borders.py models/

takes `<dataset>_default.safetensors` of the folder (`accuracy.py` trains them, and `comparison.py`
keeps those of a comparison), lets each learn borders, and measures test without refinement, with
the mixture, and with what was learnt, where val keeps it. Those of sstem_vnc and cfd_cracks are of
`experiments/configs/compare_borders.toml`. Expected in minutes a set: two points of mIoU over the
mixture on nuclei and tissue, half of one on streets and cracks.
Adds to `experiments/results/borders.json`.
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

RESULT = Path(__file__).parent / "results" / "borders.json"
DATASETS = "camvid", "dsb2018", "sstem_vnc", "axon_sem", "cfd_cracks"
FIGURES = "miou", "boundary_f1", "per_class_iou"


def main(models: Path) -> None:
    """A row for each data set that has a model."""
    for name in DATASETS:
        path = models / f"{name}_default.safetensors"
        if path.exists():
            row = measure(name, path)
            print(name, {key: round(row[key]["miou"], 4) for key in ("mixed", "learnt")})
            kept = json.loads(RESULT.read_text())["datasets"] if RESULT.exists() else {}
            kept[name] = row
            text = json.dumps({"datasets": kept, "machine": machine_record()}, indent=1)
            RESULT.write_text(text + "\n", encoding="utf-8")


def measure(name: str, path: Path) -> dict[str, Any]:
    """Figures of one set."""
    dataset, plain = find(name), gnnseg.load_model(path)
    learnt = gnnseg.learn_borders(dataset, plain)
    mixed, own = (
        gnnseg.evaluate(dataset, model, split="test", refine=True)
        for model in (replace(learnt, borders=None), learnt)
    )
    pixels, operations = count_operations(plain, dataset.split("test"))
    return {
        "step": plain.settings.step,
        "operations_per_pixel": operations / pixels,
        "val": learnt.training["borders"],
        "unrefined": {key: mixed[f"{key}_unrefined"] for key in FIGURES[:2]},
        "mixed": {key: mixed[key] for key in FIGURES},
        "learnt": {key: own[key] for key in FIGURES},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
