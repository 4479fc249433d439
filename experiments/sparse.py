"""What is kept of the accuracy when 1 % of the training pixels are labelled, as scribbles.

    GNNSEG_DATA=<folder> python experiments/sparse.py

Trains the default preset on CamVid (step 8) and a third of DSB2018 (step 6) with the full labels of
the training images and with scribbles made of them (`gnnseg.datasets.scribbles`), for the same few
epochs (minutes would depend on what else the machine does; an epoch takes about one on two cores);
val is fully labelled and chooses the epoch, test is measured once. Expected: scribbles keep more
than four fifths of the test mIoU. Writes `experiments/results/sparse.json` after every run; runs
that it holds are not repeated.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine_record

from gnnseg.datasets import find
from gnnseg.datasets.base import Dataset
from gnnseg.datasets.scribbles import with_scribbles
from gnnseg.pipeline import evaluate
from gnnseg.training import make_config, train

RESULT = Path(__file__).parent / "results" / "sparse.json"
SHARE = 0.01
WIDTH = 3
RUNS = {
    "camvid": {"step": 8, "epochs": 8},
    "dsb2018": {"step": 6, "epochs": 4, "variants": 0},
}
EVERY = {"dsb2018": 3}
"""Of these sets every n-th training image: minutes for one epoch of all would be none for more."""


def main() -> None:
    """Carry out the runs that are missing."""
    torch.set_num_threads(1)
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {"runs": {}}
    result |= {"share": SHARE, "pen_width": WIDTH, "machine": machine_record()}
    for name, settings in RUNS.items():
        for labels in ("full", "scribbles"):
            if f"{name}_{labels}" not in result["runs"]:
                result["runs"][f"{name}_{labels}"] = carry_out(name, labels, settings)
                result["miou_kept"] = kept(result["runs"])
                RESULT.write_text(json.dumps(result, indent=1) + "\n")


def carry_out(name: str, labels: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train and evaluate once."""
    full = thinned(find(name), EVERY.get(name, 1))
    dataset = full if labels == "full" else with_scribbles(full, SHARE, width=WIDTH)
    config = make_config(preset="default", seed=0, **settings)
    model = train(dataset, config=config)
    figures = evaluate(full, model, split="test")
    print(f"{name}, {labels}: test mIoU {figures['miou']:.4f}", file=sys.stderr)
    record = model.training
    return {
        "dataset": name,
        "labels": labels,
        "images": len(dataset.split("train")),
        "labelled_pixels": labelled_pixels(dataset),
        "config": record["config"],
        "epochs": record["epochs"],
        "best_epoch": record["best_epoch"],
        "seconds": record["seconds"],
        "val_miou": record["val_miou"],
        "test": figures,
    }


def thinned(dataset: Dataset, every: int) -> Dataset:
    """The same set with every n-th training image."""
    return replace(dataset, items={**dataset.items, "train": dataset.items["train"][::every]})


def labelled_pixels(dataset: Dataset) -> list[int]:
    """Pixels of the training images by class."""
    counts = np.zeros(256, np.int64)
    for item in dataset.split("train"):
        counts += np.bincount(item.read_labels().ravel(), minlength=256)
    return counts[: dataset.num_classes].tolist()


def kept(runs: dict[str, Any]) -> dict[str, float]:
    """Test mIoU with scribbles over that with full labels, by dataset."""
    return {
        name: runs[f"{name}_scribbles"]["test"]["miou"] / runs[f"{name}_full"]["test"]["miou"]
        for name in RUNS
        if f"{name}_scribbles" in runs and f"{name}_full" in runs
    }


if __name__ == "__main__":
    main()
