"""`gnnseg evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gnnseg.cli.options import (
    AsJson,
    BlockSize,
    DatasetPath,
    Memory,
    ModelPath,
    Refine,
    Workers,
)
from gnnseg.cli.output import emit, percent, seconds, table

Scratch = Annotated[
    Path | None,
    typer.Option(
        "--scratch",
        metavar="FOLDER",
        help="Where to work on images that do not fit in memory; default: the system's.",
    ),
]
Split = Annotated[str, typer.Option("--split", metavar="NAME", help="train, val or test.")]


def evaluate(
    dataset: DatasetPath,
    *,
    model: ModelPath,
    split: Split = "test",
    refine: Refine = False,
    memory: Memory = None,
    block: BlockSize = None,
    workers: Workers = None,
    scratch: Scratch = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled images, on pixels after painting."""
    from gnnseg.cli.scale import warn_about_scale
    from gnnseg.datasets import open_dataset
    from gnnseg.pipeline import evaluate as evaluate_model
    from gnnseg.pipeline import load_model

    net, data = load_model(model), open_dataset(dataset)
    for item in data.split(split):
        if warn_about_scale(item.open_image(), net, otherwise=data.pixel_size):
            break
    result = evaluate_model(
        data,
        net,
        split=split,
        refine=refine,
        memory=memory,
        block=block,
        workers=workers,
        scratch=scratch,
    )
    classes = [(name, percent(iou)) for name, iou in result["per_class_iou"].items()]
    uncalibrated = percent(result["ece_uncalibrated"])
    emit(
        result,
        [
            ("mIoU", percent(result["miou"]) + _before(result, "miou_unrefined")),
            ("ceiling mIoU", _ceiling(result["ceiling_miou"])),
            ("pixel accuracy", percent(result["pixel_accuracy"])),
            ("Dice", percent(result["dice"])),
            ("boundary F1", _boundary(result)),
            ("calibration error", f"{percent(result['ece'])}, {uncalibrated} uncalibrated"),
            ("errors by entropy", f"AUROC {percent(result['error_auroc'])}"),
            ("images", f"{result['num_images']} ({split})"),
            ("time", seconds(result["seconds"])),
            ("IoU by class", table(("class", "IoU"), classes)),
        ],
        as_json=as_json,
    )


def _ceiling(miou: float | None) -> str:
    return "" if miou is None else f"{percent(miou)} of these superpixels"


def _before(result: dict[str, Any], key: str) -> str:
    """What a figure was before borders were refined, if they were."""
    return f", {percent(result[key])} unrefined" if key in result else ""


def _boundary(result: dict[str, Any]) -> str:
    if "boundary_f1" not in result:
        return ""
    return percent(result["boundary_f1"]) + _before(result, "boundary_f1_unrefined")
