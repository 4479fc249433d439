"""What a model tells of its training."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnnseg.training.history import History
    from gnnseg.training.learning import LearningConfig

_PACKAGES = ("torch", "torch_geometric", "numba", "numpy")


def training_record(
    config: LearningConfig, history: History, dataset: str, seconds: float
) -> dict[str, Any]:
    """Configuration, versions, time and figures by epoch, ready for JSON."""
    return {
        "dataset": Path(dataset).name,
        "config": config.model_dump(mode="json"),
        "versions": {name: version(name) for name in _PACKAGES},
        "seconds": round(seconds, 3),
        "epochs": len(history.loss),
        "best_epoch": history.best_epoch,
        "val_miou": history.best_miou,
        "shift": history.shift,
        "epoch_seconds": [round(seconds, 3) for seconds in history.seconds],
        "history": {
            "loss": history.loss,
            "val_miou": history.val_miou,
            "learning_rate": history.learning_rate,
        },
    }
