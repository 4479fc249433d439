"""Write the report of the main comparison from its committed figures, without example pictures.

    python experiments/report_page.py

Images of three of its data sets may not be used commercially, so no picture made of them is part
of this project; `experiments/comparison.py` writes a report that has them. From
`experiments/results/compare_main.json`. Writes `docs/report.html`, which loads nothing from
outside.
"""

from __future__ import annotations

import json
from pathlib import Path

from gnnseg.report import write_report

HERE = Path(__file__).parent
RESULT = HERE / "results" / "compare_main.json"
PAGE = HERE.parent / "docs" / "report.html"


def main() -> None:
    """The page, from rows and curves."""
    summary = json.loads(RESULT.read_text(encoding="utf-8"))
    write_report({**summary, "pictures": [], "classes": {}}, PAGE)


if __name__ == "__main__":
    main()
