"""One change at a time against the default preset, on val: what brings accuracy, and what it costs.

    python experiments/ablation.py experiments/configs/ablation.toml CACHE [backwards]

Expected on one core: about three minutes a row. Where the configuration says `held_out`, images of
train whose names begin so validate, and the others train: val of CamVid is a part of a sequence
that trains, which test is not. The same number of epochs for all, so that the
machine's load changes no figure but the seconds; region graphs come from the cache. Val only:
nothing is chosen on test. Rows that `experiments/results/<name of the configuration>.json` has are
skipped; a second process may begin at the other end.
"""

from __future__ import annotations

import json
import sys
import time
import tomllib
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from layers_tried import LAYERS, image_features
from machine import machine_record

from gnnseg.datasets import find
from gnnseg.datasets.base import Dataset
from gnnseg.features import feature_names
from gnnseg.models.operations import counted_operations
from gnnseg.pipeline import evaluate
from gnnseg.training import make_config, train
from gnnseg.training.loss import Loss

RESULTS = Path(__file__).parent / "results"


def main(config_path: str, cache: Path, *order: str) -> None:
    """Carry out the rows of a configuration, one after the other."""
    given = tomllib.loads(Path(config_path).read_text(encoding="utf-8"))
    path = RESULTS / f"{Path(config_path).stem}.json"
    rows = given["runs"][::-1] if order else given["runs"]
    for row in rows:
        if row["name"] not in {done["name"] for done in _results(path, given)["runs"]}:
            result = carry_out(_dataset(given), given["shared"], row, cache)
            found = _results(path, given)
            found["runs"].append(result)
            names = [wanted["name"] for wanted in given["runs"]]
            found["runs"].sort(key=lambda done: names.index(done["name"]))
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _results(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What other processes and this one have found so far."""
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    about = {name: value for name, value in given.items() if name != "runs"}
    return {"machine": machine_record(), **about, "runs": []}


def _dataset(given: dict[str, Any]) -> Dataset:
    """The set of that name, or its images of train with some of them held out to validate."""
    found = find(given["dataset"])
    if "held_out" not in given:
        return found
    train, val = [], []
    for item in found.split("train"):
        (val if item.stem.startswith(given["held_out"]) else train).append(item)
    items = {"train": tuple(train), "val": tuple(val)}
    return Dataset(found.name, found.classes, items, found.pixel_size)


def carry_out(
    dataset: Dataset, shared: dict[str, Any], row: dict[str, Any], cache: Path
) -> dict[str, Any]:
    """Train once; the best val mIoU, how it came about, and what the network costs."""
    settings = {**shared, **row.get("settings", {})}
    kept = _features(row)
    config = make_config(cache=cache, features=kept, **settings)
    started = time.perf_counter()
    with ExitStack() as changes:
        if "layer" in row:
            block = LAYERS[row["layer"]]
            changes.enter_context(patch("gnnseg.models.lattice_gnn.ResidualBlock", block))
        if "image" in row:
            changes.enter_context(image_features(row["image"]))
        if row.get("labels") == "majority":
            changes.enter_context(patch.object(Loss, "targets", _majority))
        model = train(dataset, config=config)
        figures = evaluate(dataset, model, split="val")
        image, labels = dataset.split("val")[0].load()
        with counted_operations() as operations:
            evaluate([image], model, [labels], workers=1)
    history = model.training["history"]["val_miou"]
    print(f"{row['name']}: val mIoU {figures['miou']:.4f}", file=sys.stderr, flush=True)
    return {
        **row,
        "parameters": model.num_parameters,
        "num_features": len(model.features),
        "operations_per_pixel": operations.total / (image.height * image.width),
        "val_miou": figures["miou"],
        "per_class_iou": figures["per_class_iou"],
        "best_epoch": model.training["best_epoch"],
        "shift": model.training["shift"],
        "val_miou_by_epoch": history,
        "seconds": time.perf_counter() - started,
    }


def _features(row: dict[str, Any]) -> tuple[str, ...]:
    """Features that are kept, or those that are left; nothing for a preset's own."""
    if "drop" not in row:
        return tuple(row.get("keep", ()))
    names = feature_names(3, rgb=True)
    return tuple(n for n in names if not any(fnmatchcase(n, pattern) for pattern in row["drop"]))


def _majority(_loss: Loss, counts: torch.Tensor, _generator: torch.Generator) -> torch.Tensor:
    """In place of `Loss.targets`: all labelled pixels of a region count for its commonest class."""
    area, common = counts.sum(1, keepdim=True), counts.argmax(1, keepdim=True)
    return torch.zeros_like(counts).scatter_(1, common, area)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
