"""Train presets on public datasets, choose on val, report test once.

    python experiments/accuracy.py experiments/configs/accuracy.toml

Expected on 2 cores: CamVid test mIoU of the default preset near 0.52 after 30 minutes at step 8,
and 0.56 at step 6. One result file a run, `experiments/results/accuracy_<dataset>_<preset>.json`,
or of the `name` of a further one; runs that have one are skipped, and a training goes on from its
checkpoint, so that an interrupted series goes on.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from series import Row, measure, read_config, write_missing

from gnnseg.datasets import find
from gnnseg.models import save_model
from gnnseg.training import make_config, train


@dataclass(frozen=True)
class Run:
    """One row of the series."""

    dataset: str
    preset: str
    minutes: float
    step: int = 8
    epochs: int = 1000
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def title(self) -> str:
        """What its files are called."""
        return self.name or f"{self.dataset}_{self.preset}"


def main(config_path: str, models: Path) -> None:
    """Carry out the runs of a configuration, one after the other."""
    models.mkdir(parents=True, exist_ok=True)
    for row in read_config(config_path)["runs"]:
        run = Run(**row)
        write_missing(f"accuracy_{run.title}", partial(carry_out, run, models))


def carry_out(run: Run, models: Path) -> Row:
    """Train (unless the model is there), keep the model and its plot, and evaluate on test."""
    dataset = find(run.dataset)
    path = models / f"{run.title}.safetensors"
    if not path.exists():
        settings = make_config(
            preset=run.preset,
            step=run.step,
            epochs=run.epochs,
            max_minutes=run.minutes,
            seed=run.seed,
            **run.settings,
        )
        checkpoint = path.with_suffix(".checkpoint")
        save_model(train(dataset, config=settings, checkpoint=checkpoint), path)
        checkpoint.unlink()
    return measure(asdict(run), dataset, path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else "models"))
