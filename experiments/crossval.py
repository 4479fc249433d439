"""Sets of few images: every image is measured once, by a model that saw none of its kind.

    python experiments/crossval.py experiments/configs/crossval.toml [backwards]

Images of one animal or specimen (the name's first part) stay together. A fold is measured by a
model that was trained on all others but the next, which validates. One confusion matrix for all
images gives the pooled mIoU; its interval (2.5 to 97.5 %) comes from drawing animals or specimens
with replacement (Efron, "Bootstrap methods", Annals of Statistics 1979), since images of one are
alike. Runs and folds that `experiments/results/crossval.json` has are skipped; a second process may
begin at the other end, since epochs bound the trainings. Expected: see the configuration.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
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

Row = dict[str, Any]
RESULTS = Path(__file__).parent / "results" / "crossval.json"
DRAWS = 2000


def main(config_path: str, *order: str) -> None:
    """Carry out the runs of a configuration, one after the other."""
    given = tomllib.loads(Path(config_path).read_text(encoding="utf-8"))
    names = [_name(run) for run in given["runs"]]
    for run in given["runs"][::-1] if order else given["runs"]:
        if _name(run) not in map(_name, _results(given)["runs"]):
            result = carry_out(run, given)
            with _changed(given) as found:
                found["runs"] = sorted(
                    [*found["runs"], result], key=lambda r: names.index(_name(r))
                )
                found["parts"] = [part for part in found["parts"] if _name(part) != _name(run)]


def _name(run: Row) -> tuple[str, str]:
    return run["dataset"], run["name"]


def _results(given: Row) -> Row:
    """What other processes and this one have found so far; `parts` are folds of unfinished runs."""
    if RESULTS.exists():
        return {"parts": [], **json.loads(RESULTS.read_text(encoding="utf-8"))}
    return {"machine": machine_record(), "folds": given["folds"], "runs": [], "parts": []}


@contextmanager
def _changed(given: Row) -> Iterator[Row]:
    """The results, which are written again at the end."""
    found = _results(given)
    yield found
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def carry_out(run: Row, given: Row) -> Row:
    """Train and measure every fold that is not among the results."""
    dataset = find(run["dataset"])
    folds = split([item for name in dataset.items for item in dataset.split(name)], given["folds"])
    parts = []
    for index in range(len(folds)):
        known = [
            p for p in _results(given)["parts"] if (*_name(p), p["fold"]) == (*_name(run), index)
        ]
        if not known:
            known = [measure_fold(run, dataset, folds, index)]
            with _changed(given) as found:
                found["parts"].append(known[0])
        parts += known
    matrices = [
        ConfusionMatrix(np.array(counts)) for part in parts for counts in part["counts"].values()
    ]
    whole = sum(matrices, ConfusionMatrix.zeros(dataset.num_classes))
    low, high = interval(matrices)
    print(f"{run['dataset']} {run['name']}: {whole.miou:.4f} ({low:.4f} to {high:.4f})", flush=True)
    return {
        **run,
        "num_images": sum(map(len, folds)),
        "num_groups": len(matrices),
        "miou": whole.miou,
        "interval": [low, high],
        "per_class_iou": whole.as_dict(dataset.classes.names)["per_class_iou"],
        "parameters": parts[0]["parameters"],
        "val_miou_by_epoch": [part["val_miou"] for part in parts],
        "seconds": sum(part["seconds"] for part in parts),
    }


def measure_fold(run: Row, dataset: Dataset, folds: list[list[Item]], index: int) -> Row:
    """Train on all folds but this one and the next, which validates; count by group."""
    started, val = time.perf_counter(), folds[(index + 1) % len(folds)]
    kept = tuple(item for part in folds if part not in (folds[index], val) for item in part)
    items = {"train": kept, "val": tuple(val)}
    model = train(Dataset(dataset.name, dataset.classes, items, dataset.pixel_size), run)
    counts: dict[str, np.ndarray] = {}
    for item in folds[index]:
        matrix, group = measure(item, model), group_of(item)
        counts[group] = counts.get(group, 0) + matrix.counts
    return {
        "dataset": run["dataset"],
        "name": run["name"],
        "fold": index,
        "parameters": model.num_parameters,
        "val_miou": model.training["history"]["val_miou"],
        "counts": {group: found.tolist() for group, found in counts.items()},
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


def train(dataset: Dataset, run: Row) -> Any:
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
    main(*sys.argv[1:])
