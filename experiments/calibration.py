"""How well probabilities are calibrated, before and after a temperature that is fitted on val.

    GNNSEG_DATA=... python experiments/calibration.py models/

takes `<dataset>_<preset>.safetensors` of the folder (`accuracy.py` trains them), fits the
temperature as `gnnseg train` does, and measures test once.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import machine_record

from gnnseg.datasets import find
from gnnseg.datasets.item import Item
from gnnseg.graph import whole_table
from gnnseg.kernels.paint import count_labels
from gnnseg.models import Model, load_model
from gnnseg.pipeline import evaluate
from gnnseg.superpixels import PixelReader
from gnnseg.training.temperature import fit_temperature

RESULT = Path(__file__).parent / "results" / "calibration.json"
RUNS = [(name, "default") for name in ("camvid", "dsb2018", "sstem_vnc", "nasa_ebc")] + [
    (name, "jain2023") for name in ("camvid", "dsb2018")
]
FIGURES = "miou", "ece_uncalibrated", "ece", "error_auroc"


def main(models: Path) -> None:
    """One row a model."""
    torch.set_num_threads(1)
    rows = []
    for name, preset in RUNS:
        model, dataset = load_model(models / f"{name}_{preset}.safetensors"), find(name)
        temperature = fit_temperature([logits_of(item, model) for item in dataset.split("val")])
        test = evaluate(dataset, replace(model, temperature=temperature), split="test", workers=1)
        figures = {key: test[key] for key in FIGURES}
        rows.append({"dataset": name, "preset": preset, "temperature": temperature, **figures})
        print(rows[-1], file=sys.stderr)
    result = {"machine": machine_record(), "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def logits_of(item: Item, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labelled pixels by class, of the regions of an image."""
    image, labels = item.load()
    slots, table = whole_table(PixelReader(image, model.scaling, model.settings))
    classes = model.classes.num_classes
    counts = np.zeros((*table.window.shape, classes), np.int32)
    known = np.where(labels == item.classes.ignore_index, classes, labels).astype(np.uint16)
    count_labels(slots, model.settings.step, known, counts)
    return model.logits(table), counts.reshape(-1, classes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
