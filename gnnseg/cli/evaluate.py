"""`gnnseg evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from gnnseg.cli.options import AsJson, DatasetPath, ModelPath
from gnnseg.cli.output import emit, percent, seconds, table

Split = Annotated[str, typer.Option("--split", metavar="NAME", help="train, val or test.")]


def evaluate(
    dataset: DatasetPath, *, model: ModelPath, split: Split = "test", as_json: AsJson = False
) -> None:
    """Measure a model on labelled images, on pixels after painting."""
    from gnnseg.cli.scale import warn_about_scale
    from gnnseg.datasets import open_dataset
    from gnnseg.models import load_model
    from gnnseg.pipeline import evaluate as evaluate_model

    net, data = load_model(model), open_dataset(dataset)
    for item in data.split(split):
        if warn_about_scale(item.open_image(), net, otherwise=data.pixel_size):
            break
    result = evaluate_model(data, net, split=split)
    classes = [(name, percent(iou)) for name, iou in result["per_class_iou"].items()]
    uncalibrated = percent(result["ece_uncalibrated"])
    emit(
        result,
        [
            ("mIoU", percent(result["miou"])),
            ("ceiling mIoU", f"{percent(result['ceiling_miou'])} of these superpixels"),
            ("pixel accuracy", percent(result["pixel_accuracy"])),
            ("Dice", percent(result["dice"])),
            ("calibration error", f"{percent(result['ece'])}, {uncalibrated} uncalibrated"),
            ("errors by entropy", f"AUROC {percent(result['error_auroc'])}"),
            ("images", f"{result['num_images']} ({split})"),
            ("time", seconds(result["seconds"])),
            ("IoU by class", table(("class", "IoU"), classes)),
        ],
        as_json=as_json,
    )
