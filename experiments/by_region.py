"""What the answers of a network on pixels are worth when every region gets one: whether cells bind.

    python experiments/by_region.py DATASET MODEL.safetensors STEP ...

takes a model of a comparison (`DIR/models/<dataset>-unet-8-0.safetensors`) and images of val; the
probabilities of the pixels of a region are averaged. Expected on dsb2018: 3 to 5 points less than
the same answers by pixel, which is about what region models have there. Adds to
`experiments/results/by_region.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from machine import machine_record

import gnnseg
from gnnseg.datasets import Item, find
from gnnseg.metrics import ConfusionMatrix

RESULT = Path(__file__).parent / "results" / "by_region.json"


def main(name: str, path: str, *steps: str) -> None:
    """Count pixels over all images of val, by pixel and by regions of each step."""
    model, classes = gnnseg.load_model(path), find(name).classes
    totals: dict[str, ConfusionMatrix] = {}
    for item in find(name).split("val"):
        image, truth = item.load()
        found = probabilities(item, model)
        answers = {"pixels": found.argmax(axis=0)}
        answers |= {step: by_region(image, found, int(step)) for step in steps}
        for key, labels in answers.items():
            counted = ConfusionMatrix.of(truth, labels, classes.num_classes, classes.ignore_index)
            totals[key] = totals[key] + counted if key in totals else counted
    rows = {key: total.as_dict(classes.names) for key, total in totals.items()}
    print(name, {key: round(row["miou"], 4) for key, row in rows.items()})
    kept = json.loads(RESULT.read_text(encoding="utf-8"))["datasets"] if RESULT.exists() else {}
    kept[name] = {"model": model.title, "val": rows}
    text = json.dumps({"datasets": kept, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


def probabilities(item: Item, model: Any) -> np.ndarray:
    """Of each class and pixel, (classes, H, W) uint8."""
    image, truth = item.load()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "labels.zarr"
        gnnseg.segment(image, model, out, probabilities=True)
        store = zarr.open_group(f"{out}.probabilities.zarr", mode="r")
        return np.asarray(store["0"]).reshape(-1, *truth.shape)


def by_region(image: Any, found: np.ndarray, step: int) -> np.ndarray:
    """The class (H, W) with the largest sum of probabilities over each pixel's region."""
    ids = gnnseg.superpixels(image, step=step).ids()
    sums = np.stack([np.bincount(ids.ravel(), one.ravel()) for one in found])
    return sums.argmax(axis=0)[ids]


if __name__ == "__main__":
    main(*sys.argv[1:])
