"""A picture of a training: loss, val mIoU and learning rate by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from gnnseg.errors import UsageError
from gnnseg.io.picture import MARK, replacing_picture


class Trained(Protocol):
    """A model that tells of its training."""

    @property
    def title(self) -> str: ...

    @property
    def training(self) -> Mapping[str, Any]: ...


def save_plot(model: Trained, path: str | Path) -> None:
    """Write a PNG of the model's training record, but not in place of any other file."""
    record = model.training
    history = record.get("history")
    if not history or not history["loss"]:
        raise UsageError("the model has no record of a training to plot")
    best = record["best_epoch"]
    title = f"{model.title}: val mIoU {record['val_miou']:.3f} of epoch {best + 1}"
    draw_plot({**history, "best_epoch": best}, title, path)


def draw_plot(history: Mapping[str, Any], title: str, path: str | Path) -> None:
    """Write a PNG of `loss`, `val_miou` and `learning_rate` by epoch, and of the best epoch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    mark = "." if len(epochs) == 1 else ""
    rows[0].plot(epochs, history["loss"], mark + "-", color="#0072b2")
    rows[0].set_ylabel("training loss", color="#0072b2")
    rows[0].set_title(title, fontsize=10)
    right = rows[0].twinx()
    right.plot(epochs, history["val_miou"], color="#d55e00")
    best = history["best_epoch"]
    right.plot([best + 1], [history["val_miou"][best]], "o", color="#d55e00")
    right.set_ylabel("val mIoU", color="#d55e00")
    rows[1].plot(epochs, history["learning_rate"], mark + "-", color="#666666")
    rows[1].set_ylabel("learning rate")
    rows[1].set_xlabel("epoch")
    with replacing_picture(path) as partial:
        figure.savefig(partial, format="png", dpi=150, metadata=MARK)
