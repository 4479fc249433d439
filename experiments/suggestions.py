"""What suggested clicks are worth beside as many random ones.

    GNNSEG_DATA=<folder> python experiments/suggestions.py

Of the small training images of DSB2018 every sixteenth is taken. Each gets a few random clicks, and
a model is trained; then as many clicks again are placed where `gnnseg suggest` says, or at random,
and a new model is trained on all of them. A click tells the true class of its pixel. Val is fully
labelled and the same for all; test is measured on half of its small images. Expected: suggested
clicks gain more than random ones. Writes `experiments/results/suggestions.json`.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine_record

from gnnseg import suggest
from gnnseg.datasets import Item, find, open_dataset
from gnnseg.datasets.base import Dataset
from gnnseg.pipeline import evaluate
from gnnseg.training import train

RESULT = Path(__file__).parent / "results" / "suggestions.json"
SEEDS = 4
CLICKS = 3
"""First clicks on each image, and further ones by image."""
PIXELS = 100_000
"""Images of at most so many are small."""
SETTINGS = {"preset": "mlp", "step": 6, "epochs": 40, "patience": 40, "variants": 0}

Clicks = list[tuple[str, int, int, int]]


def main() -> None:
    """All seeds, one after the other."""
    torch.set_num_threads(1)
    full = find("dsb2018")
    train_items, val_items = small(full, "train")[::16], small(full, "val")[::8]
    test = Dataset("test", full.classes, {"test": tuple(small(full, "test")[::2])})
    runs = [one_seed(seed, train_items, val_items, test) for seed in range(SEEDS)]
    arms = runs[0]["test_miou"]
    result = {
        "settings": SETTINGS,
        "images": {"train": len(train_items), "val": len(val_items), "test": len(test.stems)},
        "clicks": {"first": CLICKS * len(train_items), "all": 2 * CLICKS * len(train_items)},
        "runs": runs,
        "mean_test_miou": {
            arm: float(np.mean([run["test_miou"][arm] for run in runs])) for arm in arms
        },
        "machine": machine_record(),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(result["mean_test_miou"], file=sys.stderr)


def small(dataset: Dataset, split: str) -> list[Item]:
    """The small images of a split."""
    shapes = [(item, item.open_image()) for item in dataset.split(split)]
    return [item for item, image in shapes if image.height * image.width <= PIXELS]


def one_seed(seed: int, items: list[Item], val: list[Item], test: Dataset) -> dict[str, Any]:
    """Test mIoU after the first clicks, and with suggested and with random ones besides."""
    rng = np.random.default_rng(seed)
    first, more = random_clicks(items, rng), random_clicks(items, rng)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lay_out(folder, items, val)
        model = train_on(folder, first, seed)
        count = CLICKS * len(items)
        found = suggest(folder, model, folder / "next.json", count=count)["suggestions"]
        suggested = [label(items, row["image"], row["y"], row["x"]) for row in found]
        models = {
            "first": model,
            "random": train_on(folder, first + more, seed),
            "suggested": train_on(folder, first + suggested, seed),
        }
    mious = {arm: evaluate(test, model)["miou"] for arm, model in models.items()}
    print(f"seed {seed}: {mious}", file=sys.stderr)
    classes = [clicks_by_class(clicks) for clicks in (more, suggested)]
    return {"seed": seed, "test_miou": mious, "random": classes[0], "suggested": classes[1]}


def random_clicks(items: list[Item], rng: np.random.Generator) -> Clicks:
    """Clicks on random pixels, as many on every image."""
    clicks = []
    for item in items:
        image = item.open_image()
        for _ in range(CLICKS):
            y, x = int(rng.integers(image.height)), int(rng.integers(image.width))
            clicks.append(label(items, item.stem, y, x))
    return clicks


def label(items: list[Item], stem: str, y: int, x: int) -> tuple[str, int, int, int]:
    """A click and its true class."""
    item = next(item for item in items if item.stem == stem)
    return stem, y, x, int(item.read_labels()[y, x])


def clicks_by_class(clicks: Clicks) -> list[int]:
    """How many clicks each class got."""
    return np.bincount([click[3] for click in clicks], minlength=3).tolist()


def lay_out(folder: Path, items: list[Item], val: list[Item]) -> None:
    """A dataset's folder: training images without labels, and the val images with theirs."""
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for item in [*items, *val]:
        image = Path(item.image)
        (folder / "images" / image.name).symlink_to(image)
    for item in val:
        truth = Path(item.label)
        (folder / "labels" / truth.name).symlink_to(truth)
    items[0].classes.save(folder / "classes.json")
    (folder / "train.txt").write_text("\n".join(item.stem for item in items))
    (folder / "val.txt").write_text("\n".join(item.stem for item in val))


def train_on(folder: Path, clicks: Clicks, seed: int) -> Any:
    """A model trained on clicks."""
    with (folder / "clicks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "y", "x", "class"))
        writer.writerows(clicks)
    return train(open_dataset(folder), seed=seed, **SETTINGS)


if __name__ == "__main__":
    main()
