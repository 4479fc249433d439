"""Train on the left half of one large labelled image, evaluate on its right half, from Python.

    python experiments/earth8k.py

Expected: mIoU above 0.9 (the task is easy in colour). Writes `experiments/results/earth8k.json`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from machine import machine_record

import gnnseg
from gnnseg.datasets import find
from gnnseg.io import read_rgb
from gnnseg.memory import peak_rss

RESULT = Path(__file__).parent / "results" / "earth8k.json"
EPOCHS = 15
STEP = 16


def main() -> None:
    """Train, evaluate, write the result."""
    dataset = find("earth8k")
    item = dataset.split("test")[0]
    image, labels = read_rgb(item.image), item.read_labels()
    middle = image.shape[1] // 2
    started = time.monotonic()
    model = gnnseg.train(
        [np.ascontiguousarray(image[:, :middle])],
        [np.ascontiguousarray(labels[:, :middle])],
        classes=dataset.classes,
        step=STEP,
        epochs=EPOCHS,
        seed=0,
    )
    trained = time.monotonic() - started
    right = np.ascontiguousarray(image[:, middle:])
    figures = gnnseg.evaluate([right], model, [np.ascontiguousarray(labels[:, middle:])])
    result = {
        "step": STEP,
        "epochs": EPOCHS,
        "machine": machine_record(),
        "train_seconds": trained,
        "val_miou": model.training["val_miou"],
        "right_half": figures,
        "peak_rss_bytes": peak_rss(),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"right half: mIoU {figures['miou']:.4f}", file=sys.stderr)


if __name__ == "__main__":
    main()
