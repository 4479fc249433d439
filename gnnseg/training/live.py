"""What shows a training while it runs: a plot that is drawn anew, and TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.errors import DiskError, MissingDependencyError, StateError
from gnnseg.io.picture import check_picture
from gnnseg.log import LOGGER
from gnnseg.progress import progress_bar
from gnnseg.training.plot import draw_plot

if TYPE_CHECKING:
    from gnnseg.training.history import History
    from gnnseg.training.learning import LearningConfig

PLOT_SECONDS = 20.0
"""A plot is drawn anew when the last one is that old."""

Watch = Callable[["History"], None]
"""Told of a training's history after each epoch."""


@contextmanager
def watching(config: LearningConfig, plot: Path | None, first_epoch: int) -> Iterator[Watch]:
    """A progress bar, the plot and TensorBoard, as wanted, for a training from `first_epoch` on."""
    with ExitStack() as stack:
        bar = stack.enter_context(progress_bar("training", config.epochs))
        bar.advance(first_epoch)
        watches: list[Watch] = [lambda history: bar.advance(note=history.note())]
        if plot is not None:
            watches.append(LivePlot(plot, config.title))
        if config.tensorboard is not None:
            log = TensorBoardLog(config.tensorboard, config, first_epoch)
            stack.callback(log.close)
            watches.append(log)

        def watch(history: History) -> None:
            for each in watches:
                each(history)

        yield watch


class LivePlot:
    """Draws a plot anew, but not more often than every `PLOT_SECONDS`."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._due = time.monotonic()

    def __call__(self, history: History) -> None:
        if time.monotonic() < self._due:
            return
        title = f"{self._name}, training: best val mIoU {history.best_miou:.3f}"
        try:
            draw_plot(asdict(history), title, self._path)
        except (DiskError, StateError) as error:  # a training is worth more than its plot
            LOGGER.warning("%s", error)
        self._due = time.monotonic() + PLOT_SECONDS


class TensorBoardLog:
    """Writes each epoch from `first_epoch` on for TensorBoard, in place of what was there.

    Raises `MissingDependencyError` where TensorBoard is not installed.
    """

    def __init__(self, folder: Path, config: LearningConfig, first_epoch: int = 0) -> None:
        writer = require_tensorboard()
        self._writer = writer(str(folder), purge_step=first_epoch)
        self._written = first_epoch
        self._writer.add_text("config", f"```json\n{config.model_dump_json(indent=1)}\n```")

    def __call__(self, history: History) -> None:
        for epoch in range(self._written, len(history.loss)):
            self._writer.add_scalar("loss/train", history.loss[epoch], epoch)
            self._writer.add_scalar("miou/val", history.val_miou[epoch], epoch)
            self._writer.add_scalar("learning_rate", history.learning_rate[epoch], epoch)
        self._written = len(history.loss)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def check_shown(config: LearningConfig, plot: str | Path | None) -> None:
    """Everything that could keep a training from being shown, before it starts.

    Raises `MissingDependencyError` where TensorBoard is wanted and not installed, and `StateError`
    where the plot would replace a file that is none.
    """
    if config.tensorboard is not None:
        require_tensorboard()
    if plot is not None:
        check_picture(Path(plot))


def require_tensorboard() -> Any:
    """The class that writes for TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDependencyError(
            "--tensorboard needs the package tensorboard: pip install 'gnnseg[tensorboard]'"
        ) from error
    return SummaryWriter
