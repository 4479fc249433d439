"""Sets of few images: every image is measured once, by a model that saw none of its kind.

    python experiments/crossval.py experiments/configs/crossval.toml [backwards]

Images of one animal or specimen (the name's first part) stay together. A fold is measured by a
model that was trained on all others but the next, which validates. One confusion matrix for all
images gives the pooled mIoU; its interval (2.5 to 97.5 %) comes from drawing animals or specimens
with replacement (Efron, "Bootstrap methods", Annals of Statistics 1979), since images of one are
alike. Runs that `experiments/results/crossval.json` has are skipped; a second process may begin at
the other end, since epochs bound the trainings. Expected: see the configuration.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine_record

from gnnseg import baselines, training
from gnnseg.baselines import make_cnn_config
from gnnseg.datasets import find
from gnnseg.datasets.base import Dataset
from gnnseg.datasets.item import Item
from gnnseg.io import read_labels
from gnnseg.metrics import ConfusionMatrix
from gnnseg.pipeline import segment
from gnnseg.training import make_config

RESULTS = Path(__file__).parent / "results" / "crossval.json"
DRAWS = 2000


def main(config_path: str, *order: str) -> None:
    """Carry out the runs of a configuration, one after the other."""
    given = tomllib.loads(Path(config_path).read_text(encoding="utf-8"))
    names = [(run["dataset"], run["name"]) for run in given["runs"]]
    for run in given["runs"][::-1] if order else given["runs"]:
        if (run["dataset"], run["name"]) not in map(_name, _results(given)["runs"]):
            result = carry_out(run, given["folds"])
            found = _results(given)
            found["runs"] = sorted([*found["runs"], result], key=lambda r: names.index(_name(r)))
            RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _name(run: dict[str, Any]) -> tuple[str, str]:
    return run["dataset"], run["name"]


def _results(given: dict[str, Any]) -> dict[str, Any]:
    """What other processes and this one have found so far."""
    if RESULTS.exists():
        return json.loads(RESULTS.read_text(encoding="utf-8"))
    return {"machine": machine_record(), "folds": given["folds"], "runs": []}


def carry_out(run: dict[str, Any], number: int) -> dict[str, Any]:
    """Train and measure every fold."""
    dataset, started = find(run["dataset"]), time.perf_counter()
    folds = split([item for name in dataset.items for item in dataset.split(name)], number)
    matrices: dict[str, ConfusionMatrix] = {}
    curves = []
    for index, fold in enumerate(folds):
        val = folds[(index + 1) % number]
        kept = tuple(item for part in folds if part not in (fold, val) for item in part)
        part = Dataset(
            dataset.name, dataset.classes, {"train": kept, "val": tuple(val)}, dataset.pixel_size
        )
        model = train(part, run)
        curves.append(model.training["history"]["val_miou"])
        for item in fold:
            empty = ConfusionMatrix.zeros(dataset.num_classes)
            matrices[group_of(item)] = matrices.get(group_of(item), empty) + measure(item, model)
    whole = sum(matrices.values(), ConfusionMatrix.zeros(dataset.num_classes))
    low, high = interval(list(matrices.values()))
    print(f"{run['dataset']} {run['name']}: {whole.miou:.4f} ({low:.4f} to {high:.4f})", flush=True)
    return {
        **run,
        "num_images": sum(map(len, folds)),
        "num_groups": len(matrices),
        "miou": whole.miou,
        "interval": [low, high],
        "per_class_iou": whole.as_dict(dataset.classes.names)["per_class_iou"],
        "parameters": model.num_parameters,
        "val_miou_by_epoch": curves,
        "seconds": time.perf_counter() - started,
    }


def split(items: list[Item], number: int) -> list[list[Item]]:
    """Images in folds of about equal size; those of one animal or specimen in one."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(group_of(item), []).append(item)
    folds: list[list[Item]] = [[] for _ in range(number)]
    for _, group in sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        min(folds, key=len).extend(group)
    return folds


def group_of(item: Item) -> str:
    """The animal or specimen of an image."""
    return item.stem.partition("_")[0]


def train(dataset: Dataset, run: dict[str, Any]) -> Any:
    """A region model where the run names a preset, otherwise a U-Net."""
    settings = {"patience": run["settings"]["epochs"], **run["settings"]}
    if "preset" in run:
        return training.train(dataset, config=make_config(preset=run["preset"], **settings))
    return baselines.train(dataset, config=make_cnn_config(model="unet", **settings))


def measure(item: Item, model: Any) -> ConfusionMatrix:
    """The confusion matrix of one image."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "labels.png"
        segment(item.image, model, out)
        found = read_labels(out)
    classes = model.classes
    return ConfusionMatrix.of(
        item.read_labels(), found, classes.num_classes, ignore_index=classes.ignore_index
    )


def interval(matrices: list[ConfusionMatrix]) -> tuple[float, float]:
    """The middle 95 % of the pooled mIoU of groups that are drawn with replacement."""
    counts, rng = np.stack([matrix.counts for matrix in matrices]), np.random.default_rng(0)
    drawn = rng.integers(len(counts), size=(DRAWS, len(counts)))
    mious = [ConfusionMatrix(counts[chosen].sum(axis=0)).miou for chosen in drawn]
    low, high = np.percentile(mious, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main(sys.argv[1])
