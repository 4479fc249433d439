"""Nuclei against background on test of dsb2018: IoU of what is nucleus or boundary.

    python experiments/foreground.py MODEL.safetensors ...

Models are those of `experiments/configs/compare_nuclei.toml`, and what `gnnseg borders` makes of
the first (`dsb2018_default_borders`), with three classes.
Expected with refined borders: at least 0.84, what a U-Net on 96 x 96 pixels is published to reach.
Adds to `experiments/results/foreground.json`.
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
from gnnseg.datasets import find
from gnnseg.models import Model

RESULT = Path(__file__).parent / "results" / "foreground.json"


def main(path: str) -> None:
    """Count pixels over all test images, without and with refined borders."""
    model = gnnseg.load_model(path)
    ways = ("plain", "refined") if isinstance(model, Model) else ("plain",)
    ious = {name: foreground_iou(model, refine=name == "refined") for name in ways}
    print(path, ious)
    kept = json.loads(RESULT.read_text(encoding="utf-8"))["models"] if RESULT.exists() else {}
    kept[Path(path).stem] = {"title": model.title, "iou": ious}
    text = json.dumps({"models": kept, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


def foreground_iou(model: Any, *, refine: bool) -> float:
    """Of all that is no background."""
    both = either = 0
    for item in find("dsb2018").split("test"):
        image, truth = item.load()
        known = truth != item.classes.ignore_index
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "labels.zarr"
            gnnseg.segment(image, model, out, refine=refine)
            labels = np.asarray(zarr.open_group(out, mode="r")["0"])
        wanted, found = (truth > 0) & known, (labels > 0) & known
        both += int(np.sum(wanted & found))
        either += int(np.sum(wanted | found))
    return both / either


if __name__ == "__main__":
    for model_path in sys.argv[1:]:
        main(model_path)
