"""One cell as a process: `python -m gnnseg.compare.cell`, told what to do on stdin.

The first line is JSON. When stdin ends before the work does, whoever asked for it is gone, and the
work stops as if interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from gnnseg.compare.cells import Cell
from gnnseg.compare.folder import Folder
from gnnseg.errors import DiskError, GnnsegError, KilledError, MemoryBudgetError, StateError
from gnnseg.machine import machine_record
from gnnseg.memory import is_out_of_memory
from gnnseg.progress import SHOW


def main() -> None:
    """Do what stdin asks for."""
    # Whoever asked for it interrupts it; in the background of a script that would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Schedulers send this to all processes at once: the one that asked leaves time to stop.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_when_alone, daemon=True).start()
    SHOW.set("bars or lines")
    try:
        run_cell(Cell(**task["cell"]), Folder(Path(task["folder"])))
    except GnnsegError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def run_cell(cell: Cell, folder: Folder) -> None:
    """Carry out a cell and keep its result, or the reason why there is none.

    An interruption, a full disk and a folder in a wrong state leave nothing behind: these are no
    results.
    """
    from gnnseg.compare.work import do_cell

    started, machine = time.monotonic(), machine_record()  # now: its load is that of others
    record: dict[str, Any]
    try:
        done = do_cell(cell, folder)
        record = {
            "status": "done",
            "model_id": done.model_id,
            "result": done.result,
            "stages": done.stages,
            "sampler": done.sampler,
            "base_rss_bytes": done.base,
        }
    except (DiskError, StateError):
        raise
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        status, reason = _explain(error)
        record = {"status": status, "reason": reason}
    took = {"process_seconds": time.monotonic() - started, "machine": machine}
    folder.write(cell.name, {**cell.about(), **record, **took})
    if cell.kind == "train" and record["status"] == "done":
        folder.checkpoint(cell).unlink(missing_ok=True)


def _explain(error: Exception) -> tuple[str, str]:
    """The status that an error means, and the reason in a line."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryBudgetError):
        return "refused", text
    if isinstance(error, KilledError):
        return "killed", text
    if is_out_of_memory(error):
        return "out of memory", text
    return "failed", text if isinstance(error, GnnsegError) else f"{type(error).__name__}: {text}"


def _stop_when_alone() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
