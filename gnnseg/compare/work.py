"""What the cells of a comparison do, each in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.compare.cells import Cell
from gnnseg.compare.folder import Folder
from gnnseg.compare.operations import count_operations
from gnnseg.compare.pictures import draw_pictures
from gnnseg.compare.sources import open_set, write_large
from gnnseg.compare.trainers import check_options, settings_of, train_model
from gnnseg.io import ImageSource, open_image
from gnnseg.ledger import Ledger
from gnnseg.memory import parse_size
from gnnseg.training.identity import file_identity

_WARM = 256
"""Pixels on a side of the image that loads what the first call of all loads."""


@dataclass(frozen=True)
class Done:
    """What came out of a cell: figures, the stages of the work, and by which model."""

    result: dict[str, Any]
    stages: dict[str, Any]
    sampler: dict[str, float]
    base: int
    model_id: str | None = None


def do_cell(cell: Cell, folder: Folder) -> Done:
    """Carry out one cell in this process."""
    return _KINDS[cell.kind](cell, folder)


def _train(cell: Cell, folder: Folder) -> Done:
    # First: what imports take, those of a network included, is no cost of the work.
    settings = settings_of(cell.configuration)
    check_options(cell.configuration)
    dataset = open_set(cell.configuration["dataset"])
    path, checkpoint = folder.model(cell), folder.checkpoint(cell)
    resumed = checkpoint.exists()
    ledger = Ledger(reset_peak=True)
    with ledger.stage("train"):
        model = train_model(
            dataset,
            settings,
            borders=cell.configuration["model"]["borders"],
            checkpoint=checkpoint,
            out=path,
            ledger=ledger,
        )
    ledger.tell("train", parameters=model.num_parameters)
    if settings.devices == 1:  # else those of other processes are not known
        ledger.add("train", operations=_operations_of(ledger.as_dict()))
    record = model.training
    result = {
        "parameters": model.num_parameters,
        "minutes": (record["seconds"] + record.get("borders", {}).get("seconds", 0)) / 60,
        "epochs": record["epochs"],
        "best_epoch": record["best_epoch"],
        "val_miou": record["val_miou"],
        "history": record["history"],
        "epoch_seconds": record["epoch_seconds"],
        "resumed": resumed,
        "config": record["config"],
        "file_bytes": path.stat().st_size,
    }
    return Done(result, ledger.as_dict(), ledger.sampler(), ledger.base, file_identity(path))


def _operations_of(stages: Mapping[str, Any]) -> int:
    """Of all stages that count them."""
    return sum(stage["operations"] or 0 for stage in stages.values())


def _evaluate(cell: Cell, folder: Folder) -> Done:
    from gnnseg.pipeline import evaluate, load_model

    about, path = cell.configuration, folder.model(cell)
    dataset, model = open_set(about["dataset"]), load_model(path)
    options = {"split": about["split"], "workers": about["workers"], "refine": about["refine"]}
    ledger = Ledger(reset_peak=True)
    with ledger.stage("evaluate"):
        figures = evaluate(dataset, model, **options)
    items = dataset.split(about["split"])
    pixels, operations = count_operations(model, items)
    counts = {"parameters": model.num_parameters, "pixels": pixels, "operations": operations}
    ledger.add("evaluate", **counts)
    result = {
        **figures,
        "parameters": model.num_parameters,
        "operations_per_pixel": operations / pixels,
        "classes": dataset.classes.to_dict()["classes"],
        "pictures": draw_pictures(cell, folder, model, items),
    }
    return Done(result, ledger.as_dict(), ledger.sampler(), ledger.base, file_identity(path))


def _image(cell: Cell, folder: Folder) -> Done:
    path = folder.image(cell)
    ledger = Ledger(reset_peak=True)
    with ledger.stage("image"):
        write_large(cell.configuration, path)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    result = {"pixels": cell.configuration["size"] ** 2, "file_bytes": size}
    return Done(result, ledger.as_dict(), ledger.sampler(), ledger.base)


def _segment(cell: Cell, folder: Folder) -> Done:
    from gnnseg.pipeline import load_model, segment

    about, path = cell.configuration, folder.model(cell)
    model: Any = load_model(path)
    image = open_image(folder.image(cell))
    out = folder.path / "work" / cell.name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    options = {"workers": about["workers"], "refine": about["refine"]}
    try:
        segment(_corner(image), model, out / "warm.zarr", **options)
        ledger = Ledger(reset_peak=True)
        with ledger.stage("segment"):
            found = segment(image, model, out / "labels.zarr", memory=about["memory"], **options)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    operations = _operations_of(found["stages"])
    ledger.add("segment", operations=operations, parameters=model.num_parameters)
    whole = ledger.as_dict()["segment"]
    result = {
        "pixels": found["pixels"],
        "seconds": whole["seconds"],
        "memory_bytes": parse_size(about["memory"]),
        "kept_promise": whole["peak_rss_bytes"] <= parse_size(about["memory"]),
        "plan": found.get("plan"),
    }
    stages = {**ledger.as_dict(), **found["stages"]}
    sampler = {key: value + found["sampler"][key] for key, value in ledger.sampler().items()}
    return Done(result, stages, sampler, ledger.base, file_identity(path))


def _corner(image: ImageSource) -> np.ndarray:
    """A first few pixels, (h, w, C)."""
    window = Window(0, min(_WARM, image.height), 0, min(_WARM, image.width))
    return np.ascontiguousarray(np.moveaxis(image.read(window), 0, -1))


_KINDS: dict[str, Callable[[Cell, Folder], Done]] = {
    "train": _train,
    "evaluate": _evaluate,
    "image": _image,
    "segment": _segment,
}
