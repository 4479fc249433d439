"""Carry out a comparison and keep its figures.

    python experiments/comparison.py experiments/configs/jain_table.toml DIR [--full]

The folder DIR holds every piece of work and the report; an interrupted comparison goes on. Writes
`experiments/results/<name of the configuration>.json`: rows of accuracy, trainings, large images
and failures, the configuration, machines and versions. What to expect is told by configurations.
With `--full` the configuration of the same name that ends in `_full` is taken, which is sized for
a GPU.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gnnseg.compare import compare, make_config
from gnnseg.plain import plain
from gnnseg.report import write_report

RESULTS = Path(__file__).parent / "results"
KEPT = (
    "configuration", "machines", "accuracy", "trainings", "large", "failures", "samplers",
)  # fmt: skip


def main() -> None:
    """The comparison, its report, and its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("out", type=Path, metavar="DIR")
    parser.add_argument("--full", action="store_true", help="the size for a GPU")
    options = parser.parse_args()
    config: Path = options.config
    if options.full:
        config = config.with_stem(f"{config.stem}_full")
    summary = compare(make_config(config), options.out)
    write_report(summary, options.out / "report.html")
    kept = {key: plain(summary[key]) for key in KEPT}
    for part in kept["machines"]:
        del part["folder"]
    (RESULTS / f"{config.stem}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
