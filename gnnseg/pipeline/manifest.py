"""What a run has done so far: settings, and a mark for every block, each written by one rename."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from gnnseg.blocks import Block
from gnnseg.errors import StateError
from gnnseg.execution import run_tasks
from gnnseg.io.atomic import disk_errors, replacing
from gnnseg.progress import progress_bar

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Task:
    """A block of one plane."""

    plane: int
    block: Block

    @property
    def key(self) -> str:
        return f"{self.plane}-{self.block.write.key}"


@dataclass
class Run:
    """The folder beside an output, with `manifest.json`, marks in `done/` and `scratch.zarr`.

    One process at a time may hold it.
    """

    folder: Path
    settings: dict[str, Any]
    resumed: bool = False
    _done: dict[str, dict[str, Any]] = field(default_factory=dict)
    _current: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: Any = None

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch.zarr"

    @property
    def unfinished(self) -> bool:
        """Whether there is still something to do or to tidy up."""
        return (self.folder / "done").exists()

    @classmethod
    def start(cls, folder: Path, settings: dict[str, Any]) -> Run:
        """Begin, or go on with a run of the same settings.

        Raises
        ------
        StateError
            The folder holds a run of other settings or of another input, or is no run at all, or
            another process is at it.
        """
        settings = json.loads(json.dumps(settings))
        resumed = folder.exists()
        if not resumed:
            _create(folder, settings)
        found = run_settings(folder)
        found.pop("format_version", None)
        found.pop("blocks", None)
        if found != settings:
            different = sorted(k for k in {*found, *settings} if found.get(k) != settings.get(k))
            raise StateError(
                f"{folder}: an earlier run had other settings or another input "
                f"({', '.join(different)}): use --overwrite to start anew"
            )
        run = cls(folder, settings, resumed, _lock=_lock(folder))
        (folder / "done").mkdir(exist_ok=True)
        for path in (folder / "done").glob("*/*.json"):
            run._done.setdefault(path.parent.name, {})[path.stem] = json.loads(path.read_text())
        return run

    def results(self, phase: str) -> dict[str, Any]:
        """What the blocks of a phase returned, by key."""
        return self._current.get(phase, self._done.get(phase, {}))

    def forget(self, *prefixes: str) -> None:
        """Drop the marks of phases whose names start so: what they wrote is not there any more."""
        for path in sorted((self.folder / "done").iterdir()):
            if path.name.startswith(prefixes):
                shutil.rmtree(path)
                self._done.pop(path.name, None)

    def phase(
        self,
        name: str,
        tasks: Iterable[Task],
        work: Callable[[Task], dict[str, Any]],
        *,
        workers: int,
    ) -> dict[str, Any]:
        """Run the tasks of a phase that are not yet done; the results of all of them, by key."""
        marks = self._done.setdefault(name, {})
        everything = list(tasks)
        left = [task for task in everything if task.key not in marks]
        (self.folder / "done" / name).mkdir(parents=True, exist_ok=True)
        with progress_bar(name, len(everything)) as bar:
            bar.advance(len(everything) - len(left))

            def done(task: Task, result: dict[str, Any]) -> None:
                _write(self.folder / "done" / name / f"{task.key}.json", result)
                marks[task.key] = result
                bar.advance()

            run_tasks(work, left, workers=workers, done=done)
        self._current[name] = {task.key: marks[task.key] for task in everything}
        return self._current[name]

    def record(self, blocks: dict[str, Any]) -> None:
        """Put the blocks and their checksums into the manifest."""
        manifest = {"format_version": FORMAT_VERSION, **self.settings, "blocks": blocks}
        _write(self.folder / "manifest.json", manifest)

    def tidy(self, *, keep: bool) -> None:
        """Drop scratch (unless kept) and marks, in this order: marks say that work is left."""
        if not keep:
            shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.rmtree(self.folder / "done", ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let other processes have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _create(folder: Path, settings: dict[str, Any]) -> None:
    """Make a run's folder, whole, in one rename."""
    partial = folder.with_name(f".{folder.name}.{uuid4().hex}.partial")
    try:
        with disk_errors(folder):
            (partial / "done").mkdir(parents=True)
            _write(partial / "manifest.json", {"format_version": FORMAT_VERSION, **settings})
            partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _lock(folder: Path) -> Any:
    """Hold a run's folder until the process ends; None where the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        return None
    handle = (folder / "lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise StateError(f"{folder}: another process is working on this output") from error
    return handle


def run_settings(folder: Path) -> dict[str, Any]:
    """The settings that a run's folder tells."""
    try:
        settings = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StateError(
            f"{folder}: exists and is no run of gnnseg; move it away, or choose another output"
        ) from error
    if not isinstance(settings, dict):
        raise StateError(f"{folder}: its manifest.json is no manifest of gnnseg")
    return settings


def check_run(folder: Path) -> None:
    """Raise StateError if something is there that is no run, or that a process is working on."""
    if folder.exists():
        run_settings(folder)
        handle = _lock(folder)
        if handle is not None:
            handle.close()


def remove_run(folder: Path) -> None:
    """Delete the folder of a run; anything else there is left alone, with a StateError."""
    check_run(folder)
    if folder.exists():
        doomed = folder.with_name(f".{folder.name}.{uuid4().hex}.partial")
        folder.rename(doomed)
        shutil.rmtree(doomed)


def _write(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")
