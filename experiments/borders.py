"""What borders that are learnt bring over the mixture of regions: figures of test, measured once.

    python experiments/borders.py models/

takes every `<dataset>_default*.safetensors` of the folder and of its folders (`accuracy.py` trains
them) and every `<dataset>-default-<seed>.safetensors` (`comparison.py`), which differ by the seed
alone, lets each learn borders, and measures test without refinement, with the mixture, and with
what was learnt, where val keeps it. Those of sstem_vnc and cfd_cracks are of
`experiments/configs/compare_borders.toml`. Expected in minutes a model: two points of mIoU over the
mixture on nuclei and tissue, half of one on streets and cracks.
Adds to `experiments/results/borders.json`; models that it holds are not measured again.
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
    """Rows for each data set, one a model."""
    kept = json.loads(RESULT.read_text())["datasets"] if RESULT.exists() else {}
    for name in DATASETS:
        rows = kept.setdefault(name, [])
        for path in sorted(models.rglob(f"{name}[_-]default*.safetensors")):
            if path.stem in (row["model"] for row in rows):
                continue
            row = measure(name, path)
            print(path.stem, {key: round(row[key]["miou"], 4) for key in ("mixed", "learnt")})
            rows.append({"model": path.stem, **row})
            result = {"datasets": {name: rows for name, rows in kept.items() if rows}}
            text = json.dumps({**result, "machine": machine_record()}, indent=1)
            RESULT.write_text(text + "\n", encoding="utf-8")


def measure(name: str, path: Path) -> dict[str, Any]:
    """Figures of one model."""
    dataset, plain = find(name), gnnseg.load_model(path)
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
    main(Path(sys.argv[1]))
