"""Carry out a comparison and keep its figures.

    python experiments/comparison.py experiments/configs/jain_table.toml DIR

The folder DIR holds every piece of work and the report; an interrupted comparison goes on. Writes
`experiments/results/<name of the configuration>.json`: rows of accuracy, trainings, large images
and failures, the configuration, machines and versions. What to expect is told by configurations.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gnnseg.compare import compare, make_config
from gnnseg.plain import plain
from gnnseg.report import write_report

RESULTS = Path(__file__).parent / "results"
KEPT = (
    "configuration", "machines", "accuracy", "trainings", "large", "failures", "samplers",
)  # fmt: skip


def main(config: Path, out: Path) -> None:
    """The comparison, its report, and its figures."""
    summary = compare(make_config(config), out)
    write_report(summary, out / "report.html")
    kept = {key: plain(summary[key]) for key in KEPT}
    for part in kept["machines"]:
        del part["folder"]
    (RESULTS / f"{config.stem}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
