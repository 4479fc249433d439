"""What a run has done so far: settings, and a mark for every block, each written by one rename."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gnnseg.blocks import Block
from gnnseg.errors import StateError
from gnnseg.execution import run_tasks
from gnnseg.io.atomic import replacing
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
    """The folder beside an output, with `manifest.json`, marks in `done/` and `scratch.zarr`."""

    folder: Path
    settings: dict[str, Any]
    resumed: bool = False
    _done: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch.zarr"

    @classmethod
    def start(cls, folder: Path, settings: dict[str, Any]) -> Run:
        """Begin, or go on with a run of the same settings.

        Raises
        ------
        StateError
            The folder holds a run of other settings or of another input, or is no run at all.
        """
        settings = json.loads(json.dumps(settings))
        run = cls(folder, settings)
        if not folder.exists():
            (folder / "done").mkdir(parents=True)
            _write(folder / "manifest.json", {"format_version": FORMAT_VERSION, **settings})
            return run
        found = run_settings(folder)
        found.pop("format_version", None)
        found.pop("blocks", None)
        if found != settings:
            different = sorted(k for k in {*found, *settings} if found.get(k) != settings.get(k))
            raise StateError(
                f"{folder}: an earlier run had other settings or another input "
                f"({', '.join(different)}): use --overwrite to start anew"
            )
        run.resumed = True
        run._load_marks()
        return run

    def _load_marks(self) -> None:
        for path in (self.folder / "done").glob("*/*.json"):
            self._done.setdefault(path.parent.name, {})[path.stem] = json.loads(path.read_text())

    def results(self, phase: str) -> dict[str, Any]:
        """What the blocks of a phase returned, by key."""
        return self._done.get(phase, {})

    def phase(
        self,
        name: str,
        tasks: Iterable[Task],
        work: Callable[[Task], dict[str, Any]],
        *,
        workers: int,
    ) -> dict[str, Any]:
        """Run the tasks of a phase that are not yet done; their results, by key."""
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
        return marks

    def finish(self, blocks: dict[str, Any], *, keep: bool) -> None:
        """Put the blocks and their checksums into the manifest; drop marks and scratch."""
        manifest = {"format_version": FORMAT_VERSION, **self.settings, "blocks": blocks}
        _write(self.folder / "manifest.json", manifest)
        shutil.rmtree(self.folder / "done", ignore_errors=True)
        if not keep:
            shutil.rmtree(self.scratch, ignore_errors=True)


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


def remove_run(folder: Path) -> None:
    """Delete the folder of a run; anything else there is left alone, with a StateError."""
    if folder.exists():
        run_settings(folder)
        shutil.rmtree(folder)


def _write(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")
