"""Tables of networks on volumes."""

from __future__ import annotations

import statistics
from typing import Any

from sections import row, section

from gnnseg.compare.convergence import flattened

PATIENCE = 20
"""Epochs, of the trainings: the default."""
COLUMNS = (
    "network",
    "sections at once",
    "step",
    "parameters",
    "operations a voxel",
    "training, s",
    "epochs",
    "flattened",
    "its peak",
    "val mIoU",
    "test mIoU",
    "spread",
    "ceiling",
)


def volume_models(result: dict[str, Any] | None) -> str:
    """Networks on a stack of sections: as a volume, and section by section."""
    if result is None:
        return ""
    rows = sorted(result["rows"], key=lambda found: (found["row"]["step"], _is_unet(found)))
    machine = rows[0]["machine"]
    table = section(
        "A claim on volumes",
        "Sections of sstem_vnc (12 train, 3 val, 3 test, 1,024 x 1,024 pixels) in slabs of "
        "several sections or one by one, on one thread of "
        f"{machine['processor']} (`experiments/volume_model.py`); seconds of the processor for one "
        "training, graphs apart; mean and standard deviation of the seeds, and what holds of the "
        "claim is in [comparison.md](design/comparison.md):",
        COLUMNS,
        [_row(found) for found in rows],
    )
    return f"{table}\n\n{_classes(rows)}"


def _is_unet(found: dict[str, Any]) -> bool:
    return found["row"]["network"] == "unet"


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    about, trainings = found["row"], found["trainings"]
    tested = [training["test"]["miou"] for training in trainings]
    return (
        about["network"],
        str(about["depth"]),
        "" if _is_unet(found) else str(about["step"]),
        f"{found['parameters']:,}",
        f"{found['operations_per_voxel']:,.0f}",
        f"{statistics.fmean(training['cpu_seconds'] for training in trainings):.0f}",
        str(about["epochs"]),
        "yes" if all(flattened(t["val_miou"], PATIENCE)[0] for t in trainings) else "no",
        f"{found['peak_above_bytes'] / 2**20:,.0f} MiB",
        f"{statistics.fmean(max(training['val_miou']) for training in trainings):.3f}",
        f"**{statistics.fmean(tested):.3f}**",
        f"{statistics.stdev(tested):.3f}" if len(tested) > 1 else "",
        f"{found['ceiling_miou']:.3f}" if "ceiling_miou" in found else "",
    )


def _classes(rows: list[dict[str, Any]]) -> str:
    """IoU of test by class, means of the seeds."""
    names = list(rows[0]["trainings"][0]["test"]["per_class_iou"])
    lines = [
        "IoU of test by class:",
        "",
        row(("network", "sections at once", "step", "epochs", *names)),
    ]
    lines.append("|---" * (4 + len(names)) + "|")
    for found in rows:
        tests = [training["test"]["per_class_iou"] for training in found["trainings"]]
        cells = (f"{statistics.fmean(test[name] for test in tests):.3f}" for name in names)
        lines.append(row((*_row(found)[:3], str(found["row"]["epochs"]), *cells)))
    return "\n".join(lines)
