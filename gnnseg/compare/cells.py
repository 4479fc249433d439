"""The pieces of a comparison, each of which is one process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gnnseg.compare.config import CompareConfig, DatasetConfig, ModelConfig
from gnnseg.datasets.splits import SPLITS
from gnnseg.errors import UsageError

Fingerprints = Mapping[str, Mapping[str, str]]
"""What the images and labels of data sets are, by their names and splits; also files of weights."""
VGG16 = "vgg16"
"""The setting of a training that names a file of weights."""


@dataclass(frozen=True)
class Cell:
    """One piece of work: its name, its kind, and all that decides what comes out.

    `needs` names the cell whose result this one uses; `data` holds the fingerprints of the splits
    that it reads and of its file of `VGG16` weights, where these are known.
    """

    name: str
    kind: str
    configuration: dict[str, Any]
    needs: str | None = None
    data: dict[str, str] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """What its record says of it, however it ends."""
        return {"kind": self.kind, "configuration": self.configuration, "data": self.data}


def list_cells(config: CompareConfig, data: Fingerprints | None = None) -> list[Cell]:
    """All pieces in the order in which they are done: accuracy first, small images before large.

    Without `data` they take the images of any result for theirs.

    >>> sets, models = [{"name": "camvid"}], [{"name": "ours", "preset": "default"}]
    >>> config = CompareConfig(datasets=sets, models=models, segment={"sizes": [512]})
    >>> [cell.name for cell in list_cells(config)][-2:]
    ['image-camvid-512', 'segment-camvid-ours-512-1GiB']
    """
    cells = [*_accuracy(config), *_segmentations(config)]
    names = [cell.name for cell in cells]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two pieces of work would be named {twice[0]}: choose other names")
    return [replace(cell, data=_seen(cell, data or {})) for cell in cells]


def settings_mark(configurations: Iterable[Mapping[str, Any]]) -> str:
    """A hash of the settings of some records, in any order.

    Which pictures are shown, and where a data set lies, make no other work: images have
    fingerprints.
    """
    ignored = {"pictures": None}
    texts = [
        json.dumps({**c, **ignored, "dataset": {**c["dataset"], "path": None}}, sort_keys=True)
        for c in configurations
    ]
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()[:12]


def _seen(cell: Cell, data: Fingerprints) -> dict[str, str]:
    """The fingerprints of the splits that a cell reads; those of training come with the model."""
    known = data.get(cell.configuration["dataset"]["name"], {})
    if cell.kind != "train":
        split = cell.configuration["split"]
        return {split: known[split]} if split in known else {}
    names = {split: split for split in SPLITS[:2]} | {VGG16: weights_of(cell)}
    return {name: known[key] for name, key in names.items() if key in known}


def weights_of(cell: Cell) -> str:
    """What the weights that a training begins with are called among the fingerprints of its set."""
    return f"{VGG16} of {cell.configuration['model']['name']}"


def _accuracy(config: CompareConfig) -> Iterator[Cell]:
    for seed in config.seeds:
        for dataset, model in _pairs(config):
            base = _training(dataset, model, seed)
            training = f"train-{dataset.name}-{model.name}-{seed}"
            yield Cell(training, "train", base)
            about = {
                **base,
                "split": config.split,
                "refine": model.refine is True,
                "pictures": config.pictures if seed == config.seeds[0] else 0,
                "workers": config.workers,
            }
            own, *refined = model.shown_names
            yield Cell(f"evaluate-{dataset.name}-{own}-{seed}", "evaluate", about, training)
            for shown in refined:
                more = {**about, "refine": True, "shown_as": shown}
                yield Cell(f"evaluate-{dataset.name}-{shown}-{seed}", "evaluate", more, training)


def _segmentations(config: CompareConfig) -> Iterator[Cell]:
    wanted = config.segment.datasets
    for size in sorted(config.segment.sizes):
        for dataset in config.datasets:
            if wanted is None or dataset.name in wanted:
                about = {"dataset": dataset.model_dump(), "size": size, "split": config.split}
                image = Cell(f"image-{dataset.name}-{size}", "image", about)
                yield image
                yield from _on_image(config, dataset, image)


def _on_image(config: CompareConfig, dataset: DatasetConfig, image: Cell) -> Iterator[Cell]:
    seed, size = config.seeds[0], image.configuration["size"]
    for memory in config.segment.memory:
        for other, model in _pairs(config):
            if other.name != dataset.name:
                continue
            about = {
                **_training(dataset, model, seed),
                "size": size,
                "split": config.split,
                "memory": memory,
                "refine": model.refine is True,
                "workers": config.workers,
            }
            name = f"segment-{dataset.name}-{model.name}-{size}-{memory.replace(' ', '')}"
            yield Cell(name, "segment", about, f"train-{dataset.name}-{model.name}-{seed}")


def _pairs(config: CompareConfig) -> Iterator[tuple[DatasetConfig, ModelConfig]]:
    for dataset in config.datasets:
        for model in config.models:
            if model.datasets is None or dataset.name in model.datasets:
                yield dataset, model


def _training(dataset: DatasetConfig, model: ModelConfig, seed: int) -> dict[str, Any]:
    settings = {**model.training, **model.training_on.get(dataset.name, {})}
    return {
        "dataset": dataset.model_dump(),
        "model": {
            "name": model.name,
            "preset": model.preset,
            "model": model.model,
            "options": model.options,
            "training": settings,
            "borders": model.borders,
        },
        "seed": seed,
    }
