"""`gnnseg borders`."""

from __future__ import annotations

from typing import Annotated

import typer

from gnnseg.cli.model_output import ModelOut, check_absent, check_model_out
from gnnseg.cli.options import AsJson, DatasetPath, Memory, ModelPath, Workers, whole
from gnnseg.cli.output import emit, percent, seconds


def borders(
    dataset: DatasetPath,
    *,
    model: ModelPath,
    out: ModelOut,
    seed: Annotated[
        int, typer.Option("--seed", parser=whole(0), metavar="N", help="Of all chance.")
    ] = 0,
    memory: Memory = None,
    workers: Workers = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that exists.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let a model learn what pixels along borders are, for --refine.

    The network on regions stays as it is. What is learnt goes to the model
    that is written, if val likes it better than the mixture of regions.
    """
    check_model_out(out)
    check_absent(out, overwrite=overwrite)
    from gnnseg.datasets import open_dataset
    from gnnseg.models import save_model
    from gnnseg.pipeline import learn_borders

    data = open_dataset(dataset)
    learnt = learn_borders(data, model, memory=memory, workers=workers, seed=seed)
    save_model(learnt, out)
    found = learnt.training["borders"]
    emit(
        {"model": str(out), "dataset": data.name, **found},
        [
            ("model", str(out)),
            ("val mIoU", f"{percent(found['val_miou'])}, {_others(found)}"),
            ("kept", "yes" if found["kept"] else "no: regions are mixed as before"),
            ("pixels", f"{found['pixels']:,}"),
            ("time", seconds(found["seconds"])),
        ],
        as_json=as_json,
    )


def _others(found: dict[str, float]) -> str:
    mixed, plain = (percent(found[f"val_miou_{name}"]) for name in ("mixed", "unrefined"))
    return f"{mixed} with mixed regions, {plain} unrefined"
