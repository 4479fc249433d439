"""What series of trainings on public datasets share: a result file a run, with figures of test."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import machine_record

from gnnseg.compare.operations import count_operations
from gnnseg.datasets.base import Dataset
from gnnseg.memory import peak_rss
from gnnseg.pipeline import evaluate, load_model
from gnnseg.training.plot import save_plot

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def read_config(path: str) -> Row:
    """A configuration, with its `runs`."""
    return tomllib.loads(Path(path).read_text(encoding="utf-8"))


def write_missing(name: str, carry_out: Callable[[], Row]) -> None:
    """Carry out a run, unless the result of that name is there."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        path.write_text(json.dumps(carry_out(), indent=1) + "\n")


def measure(run: Row, dataset: Dataset, path: Path) -> Row:
    """The figures on test of a model that was trained; its plot is drawn beside it."""
    model = load_model(path)
    save_plot(model, path.with_suffix(".png"))
    figures = evaluate(dataset, model, split="test")
    pixels, operations = count_operations(model, dataset.split("test"))
    print(f"{path.stem}: test mIoU {figures['miou']:.4f}", file=sys.stderr)
    return {
        "run": run,
        "machine": machine_record(),
        "parameters": model.num_parameters,
        "operations_per_pixel": operations / pixels,
        "training": {**model.training, "dataset": run["dataset"]},
        "test": figures,
        "peak_rss_bytes": peak_rss(),
    }
