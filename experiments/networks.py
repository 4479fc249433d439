"""Train convolutional networks on public datasets, choose on val, report test once.

    python experiments/networks.py experiments/configs/networks.toml MODELS

Expected on 2 cores: two hours in all; dsb2018 above 0.70 test mIoU. One result file a run,
`experiments/results/network_<dataset>_<name>.json`; runs that have one are skipped, and a training
that was interrupted goes on from its checkpoint in MODELS.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from machine import machine_record

from gnnseg.baselines import load_pixel_model, make_cnn_config, save_pixel_model, train
from gnnseg.datasets import find
from gnnseg.memory import peak_rss
from gnnseg.pipeline import evaluate
from gnnseg.training.plot import save_plot

RESULTS = Path(__file__).parent / "results"


def main(config_path: str, models: Path) -> None:
    """Carry out the runs of a configuration, one after the other."""
    config = tomllib.loads(Path(config_path).read_text(encoding="utf-8"))
    models.mkdir(parents=True, exist_ok=True)
    for row in config["runs"]:
        result_path = RESULTS / f"network_{row['dataset']}_{row['name']}.json"
        if not result_path.exists():
            result = carry_out(row, config["shared"], models)
            result_path.write_text(json.dumps(result, indent=1) + "\n")


def carry_out(row: dict[str, Any], shared: dict[str, Any], models: Path) -> dict[str, Any]:
    """Train (unless the model is there), keep the model and its plot, and evaluate on test."""
    dataset, path = find(row["dataset"]), models / f"{row['dataset']}_{row['name']}.safetensors"
    if not path.exists():
        config = make_cnn_config(**{**shared, **row["settings"]}, max_minutes=row["minutes"])
        checkpoint = path.with_suffix(".checkpoint")
        save_pixel_model(train(dataset, config=config, checkpoint=checkpoint), path)
        checkpoint.unlink()
    model = load_pixel_model(path)
    save_plot(model, path.with_suffix(".png"))
    figures = evaluate(dataset, model, split="test")
    print(f"{row['dataset']} {row['name']}: test mIoU {figures['miou']:.4f}", file=sys.stderr)
    return {
        "run": row,
        "machine": machine_record(),
        "parameters": model.num_parameters,
        "training": {**model.training, "dataset": row["dataset"]},
        "test": figures,
        "peak_rss_bytes": peak_rss(),
    }


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
