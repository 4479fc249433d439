"""A whole comparison: its cells one after the other, each in a fresh process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gnnseg.compare.cells import Cell, list_cells
from gnnseg.compare.config import CompareConfig
from gnnseg.compare.folder import Folder
from gnnseg.compare.sources import fingerprints, open_set
from gnnseg.compare.summary import Results, summarise
from gnnseg.compare.trainers import check_options, check_start, settings_of
from gnnseg.errors import DiskError, StateError, UsageError
from gnnseg.log import LOGGER
from gnnseg.machine import machine_record
from gnnseg.pipeline.lock import lock_folder
from gnnseg.plain import plain
from gnnseg.progress import progress_bar

GRACE = 120.0
"""Seconds in which a cell that is interrupted writes its checkpoint."""
INTERRUPTED = 128 + signal.SIGINT


def compare(
    config: CompareConfig,
    out: str | Path,
    *,
    retry: bool = False,
    overwrite: bool = False,
    execute: Callable[[Cell, Folder], int] | None = None,
) -> dict[str, Any]:
    """Carry out a comparison; what is done already is not done again.

    Parameters
    ----------
    config : CompareConfig
    out : path
        Folder of the results. The same call again goes on where an interrupted one stopped.
    retry : bool
        Also repeat what failed, crashed, ran out of memory or was killed.
    overwrite : bool
        Replace results of the same names that have other settings or images.
    execute : callable, optional
        Carries out one cell and returns an exit code; by default in a fresh process.

    Returns
    -------
    dict
        accuracy, large, trainings, failures and pictures as rows, machines, classes, samplers and
        configuration.

    Raises
    ------
    UsageError, InputError
        A setting or a data set cannot be used, before any work starts.
    StateError
        The folder holds something else, or results of other settings or images, or another
        process is at it.
    """
    execute = execute or run_process
    folder = Folder(Path(out))
    check(config, lambda cell: not folder.is_done(cell, retry=retry))
    data = fingerprints(config)
    cells = list_cells(config, data)
    folder.claim()
    lock = lock_folder(folder.path)
    try:
        if not overwrite:
            folder.check(cells)
        folder.keep(config.model_dump(), data)
        with progress_bar("cells", len(cells)) as bar:
            for cell in cells:
                bar.advance(0, cell.name)
                if not folder.is_done(cell, retry=retry):
                    _carry_out(cell, folder, execute)
                bar.advance(1, cell.name)
    finally:
        if lock is not None:
            lock.close()
    return summarise([Results.of(folder, cells)], config.model_dump())


def check(config: CompareConfig, is_left: Callable[[Cell], bool] = lambda _cell: True) -> None:
    """Raise `UsageError` or `InputError` for whatever would stop every cell of a data set.

    A machine need not have what only cells asked for that are done: they are not `is_left`.
    """
    for dataset in config.datasets:
        if not open_set(dataset.model_dump()).split(config.split):
            raise UsageError(
                f"the data set {dataset.name} has no images in the split {config.split}"
            )
    checked = set()
    for cell in list_cells(config):
        if cell.kind == "train":
            name = cell.configuration["model"]["name"]
            try:
                found = settings_of(cell.configuration)
                if is_left(cell):
                    check_start(found)
                if name not in checked:
                    check_options(cell.configuration)
            except UsageError as error:
                raise UsageError(f"model {name}: {error}") from error
            checked.add(name)


def plan(
    config: CompareConfig, out: str | Path, *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """The cells of a comparison and whether each is done; nothing is changed.

    Raises `StateError` where `compare` would, for the folder or for results of other settings or
    images; these are read where there may be results.
    """
    folder = Folder(Path(out))
    check(config, lambda cell: not folder.is_done(cell))
    folder.check_free()
    cells = list_cells(config, fingerprints(config) if folder.path.exists() else None)
    if not overwrite:
        folder.check(cells)
    return [{"cell": cell.name, "kind": cell.kind, "done": folder.is_done(cell)} for cell in cells]


def run_process(cell: Cell, folder: Folder) -> int:
    """Carry out a cell in a fresh process; its exit code, negative for a signal."""
    task = json.dumps(plain({"cell": asdict(cell), "folder": str(folder.path)}))
    command = [sys.executable, "-m", "gnnseg.compare.cell"]
    with (
        folder.log(cell).open("wb") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, process_group=0
        ) as child,
    ):
        assert child.stdin is not None
        try:
            with suppress(BrokenPipeError):  # a process that is dead already has an exit code
                child.stdin.write(f"{task}\n".encode())
                child.stdin.flush()
            # Open until the end: the child stops when it closes, which it does if we are killed.
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
            raise


def _carry_out(cell: Cell, folder: Folder, execute: Callable[[Cell, Folder], int]) -> None:
    """One cell, whose end is on record, unless it was interrupted or needs what failed."""
    if cell.needs is not None and (folder.read(cell.needs) or {}).get("status") != "done":
        LOGGER.info("%s: left out, since there is no model", cell.name)
        return
    folder.forget(cell.name)  # so that a result that is there afterwards is a new one
    code = execute(cell, folder)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code in (DiskError.exit_code, StateError.exit_code):
        kind = DiskError if code == DiskError.exit_code else StateError
        raise kind(f"{cell.name} stopped: {_last_line(folder.log(cell))}")
    if code and folder.result(cell) is None:
        folder.write(cell.name, _broken(cell, folder, code))


def _broken(cell: Cell, folder: Folder, code: int) -> dict[str, Any]:
    """The record of a process that ended without one."""
    about = {**cell.about(), "machine": machine_record()}
    if code == -signal.SIGKILL:
        reason = "killed by SIGKILL, as the system does when memory runs out"
        return {**about, "status": "killed", "reason": reason}
    if code < 0:
        reason = f"ended by {signal.Signals(-code).name}: {_last_line(folder.log(cell))}"
        return {**about, "status": "crashed", "reason": reason}
    reason = f"ended with exit code {code}: {_last_line(folder.log(cell))}"
    return {**about, "status": "failed", "reason": reason}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    told = [line.strip() for line in lines if line.strip()]
    return told[-1] if told else f"see {log}"
