"""A picture of a training: loss, val mIoU and learning rate by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnnseg.errors import UsageError
from gnnseg.io.atomic import replacing

if TYPE_CHECKING:
    from gnnseg.models import Model


def save_plot(model: Model, path: str | Path) -> None:
    """Write a PNG of the model's training record."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    history = model.training.get("history")
    if not history or not history["loss"]:
        raise UsageError("the model has no record of a training to plot")
    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    rows[0].plot(epochs, history["loss"], color="#0072b2")
    rows[0].set_ylabel("training loss", color="#0072b2")
    rows[0].set_title(_title(model), fontsize=10)
    right = rows[0].twinx()
    right.plot(epochs, history["val_miou"], color="#d55e00")
    best = model.training["best_epoch"]
    right.plot([best + 1], [history["val_miou"][best]], "o", color="#d55e00")
    right.set_ylabel("val mIoU", color="#d55e00")
    rows[1].plot(epochs, history["learning_rate"], color="#666666")
    rows[1].set_ylabel("learning rate")
    rows[1].set_xlabel("epoch")
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=150)


def _title(model: Model) -> str:
    return (
        f"{model.preset}, step {model.settings.step}: "
        f"val mIoU {model.training['val_miou']:.3f} of epoch {model.training['best_epoch'] + 1}"
    )
