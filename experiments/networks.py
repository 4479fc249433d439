"""Train convolutional networks on public datasets, choose on val, report test once.

    python experiments/networks.py experiments/configs/networks.toml MODELS

Expected on 2 cores: two hours in all; dsb2018 near 0.70 test mIoU. One result file a run,
`experiments/results/network_<dataset>_<name>.json`; runs that have one are skipped, and a training
that was interrupted goes on from its checkpoint in MODELS.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from series import Row, measure, read_config, write_missing

from gnnseg.baselines import make_cnn_config, save_pixel_model, train
from gnnseg.datasets import find


def main(config_path: str, models: Path) -> None:
    """Carry out the runs of a configuration, one after the other."""
    config = read_config(config_path)
    models.mkdir(parents=True, exist_ok=True)
    for row in config["runs"]:
        work = partial(carry_out, row, config["shared"], models)
        write_missing(f"network_{row['dataset']}_{row['name']}", work)


def carry_out(row: Row, shared: Row, models: Path) -> Row:
    """Train (unless the model is there), keep the model and its plot, and evaluate on test."""
    dataset, path = find(row["dataset"]), models / f"{row['dataset']}_{row['name']}.safetensors"
    if not path.exists():
        config = make_cnn_config(**{**shared, **row["settings"]}, max_minutes=row["minutes"])
        checkpoint = path.with_suffix(".checkpoint")
        save_pixel_model(train(dataset, config=config, checkpoint=checkpoint), path)
        checkpoint.unlink()
    return measure(row, dataset, path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
