"""Train presets on public datasets, choose on val, report test once.

    python experiments/accuracy.py experiments/configs/accuracy.toml

Expected on 2 cores: CamVid test mIoU of the default preset at least 0.50 after 15 minutes. One
result file a run, `experiments/results/accuracy_<dataset>_<preset>.json`; runs that have one are
skipped, so that an interrupted series goes on.
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import machine_record

from gnnseg.datasets import find
from gnnseg.memory import peak_rss
from gnnseg.models import load_model, save_model
from gnnseg.pipeline import evaluate
from gnnseg.training import make_config, train
from gnnseg.training.plot import save_plot

RESULTS = Path(__file__).parent / "results"
RESULTS.mkdir(exist_ok=True)


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


def main(config_path: str, models: Path) -> None:
    """Carry out the runs of a configuration, one after the other."""
    config = tomllib.loads(Path(config_path).read_text(encoding="utf-8"))
    models.mkdir(parents=True, exist_ok=True)
    for row in config["runs"]:
        run = Run(**row)
        result_path = RESULTS / f"accuracy_{run.dataset}_{run.preset}.json"
        if not result_path.exists():
            result_path.write_text(json.dumps(carry_out(run, models), indent=1) + "\n")


def carry_out(run: Run, models: Path) -> dict[str, object]:
    """Train (unless the model is there), keep the model and its plot, and evaluate on test."""
    dataset = find(run.dataset)
    path = models / f"{run.dataset}_{run.preset}.safetensors"
    if not path.exists():
        settings = make_config(
            preset=run.preset,
            step=run.step,
            epochs=run.epochs,
            max_minutes=run.minutes,
            seed=run.seed,
            **run.settings,
        )
        save_model(train(dataset, config=settings), path)
    model = load_model(path)
    save_plot(model, path.with_suffix(".png"))
    figures = evaluate(dataset, model, split="test")
    print(f"{run.dataset} {run.preset}: test mIoU {figures['miou']:.4f}", file=sys.stderr)
    return {
        "run": run.__dict__,
        "machine": machine_record(),
        "parameters": model.num_parameters,
        "training": {**model.training, "dataset": run.dataset},
        "test": figures,
        "peak_rss_bytes": peak_rss(),
    }


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else "models"))
