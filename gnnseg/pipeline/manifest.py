"""What a run has done so far: its settings, its plan, and a mark for every finished block."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from gnnseg.errors import DiskError, StateError, UsageError
from gnnseg.execution import run_tasks
from gnnseg.io import drop_torn
from gnnseg.io.atomic import disk_errors, replacing
from gnnseg.log import LOGGER
from gnnseg.memory import trim
from gnnseg.pipeline.lock import lock_folder
from gnnseg.pipeline.marks import SUFFIX, Marks
from gnnseg.pipeline.tiling import Tiles, Unit
from gnnseg.progress import progress_bar

FORMAT_VERSION = 5
MARKS, BLOCKS = "done", "blocks.jsonl"


@dataclass
class Run:
    """The folder beside an output, with `manifest.json`, marks in `done/` and `scratch.zarr`.

    `plan` has the chunks on a side of a block by phase, so that a resumed run can use the same
    blocks. One process at a time may hold the folder.
    """

    folder: Path
    manifest: dict[str, Any]
    resumed: bool = False
    _totals: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: Any = None

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch.zarr"

    @property
    def complete(self) -> bool:
        """Whether the output of this very run is whole."""
        return self.manifest.get("complete") is True

    @property
    def plan(self) -> dict[str, int]:
        return self.manifest["plan"]

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
        read_manifest(folder)
        lock = lock_folder(folder)
        manifest = read_manifest(folder)  # now that nobody else changes it
        try:
            _check_manifest(folder, manifest, settings)
            if resumed and lock is not None:
                drop_torn(folder)
        except (StateError, DiskError):
            if lock is not None:
                lock.close()
            raise
        run = cls(folder, manifest, resumed, _lock=lock)
        (folder / MARKS).mkdir(exist_ok=True)
        return run

    def totals(self, phase: str) -> dict[str, Any]:
        """What the blocks of a phase returned, added up."""
        if phase not in self._totals:
            marks = Marks.read(self._marks(phase))
            self._totals[phase] = {} if marks is None else marks.totals
        return self._totals[phase]

    def forget(self, *prefixes: str) -> None:
        """Drop the marks of phases whose names start so: what they wrote is not there any more."""
        for path in sorted((self.folder / MARKS).iterdir()):
            if path.name.startswith(prefixes):
                path.unlink()
                self._totals.pop(path.stem, None)

    def is_done(self, phase: str) -> bool:
        """Whether all blocks of a phase are marked."""
        marks = Marks.read(self._marks(phase))
        return marks is not None and marks.complete

    def discard(self, phase: str) -> None:
        """Drop the array of the scratch that has a phase's name, and the phase's marks."""
        self.forget(f"{phase}{SUFFIX}")
        _remove(self.scratch / phase)

    def phase(
        self,
        name: str,
        tiling: Tiles[Unit],
        work: Callable[[Unit], dict[str, Any]],
        *,
        workers: int,
        most_kept: int | None = None,
        stop: threading.Event | None = None,
    ) -> dict[str, Any]:
        """Run the blocks of a phase that are not yet done; what all of them returned, added up.

        Freed memory goes back to the system after the phase, and after a block where more than
        `most_kept` bytes are held. Where the run ends early, `stop` is set for blocks under way.
        """
        marks = Marks.open(self._marks(name), tiling)
        if marks.count:
            LOGGER.info("%s: %d of %d blocks are done already", name, marks.count, marks.size)
        try:
            with progress_bar(name, marks.size) as bar:
                bar.advance(marks.count)

                def done(task: Unit, result: dict[str, Any]) -> None:
                    marks.add(task.index, result)
                    if most_kept is not None:
                        trim(above=most_kept)
                    bar.advance()

                if not marks.complete:
                    run_tasks(work, tiling.tasks(done=marks), workers=workers, done=done, stop=stop)
        finally:
            marks.close()
        trim()
        self._totals[name] = marks.totals
        return marks.totals

    def remember(self, phase: str, chunks: int) -> None:
        """Put the chunks on a side of a phase's blocks into the manifest."""
        if self.plan.get(phase) != chunks:
            self.plan[phase] = chunks
            _write(self.folder / "manifest.json", self.manifest)

    def record(self, phase: str) -> None:
        """Say in the manifest that all is done; keep the blocks of a phase and their checksums."""
        with replacing(self.folder / BLOCKS) as partial:
            shutil.copyfile(self._marks(phase), partial)
        self.manifest["complete"] = True
        _write(self.folder / "manifest.json", self.manifest)

    def tidy(self, *, keep: bool) -> None:
        """Drop scratch (unless kept) and marks, in this order: marks say that work is left."""
        if not keep:
            _remove(self.scratch)
        _remove(self.folder / MARKS)
        self.close()

    def close(self) -> None:
        """Let other processes have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _marks(self, phase: str) -> Path:
        return self.folder / MARKS / f"{phase}{SUFFIX}"


def is_unfinished(folder: Path) -> bool:
    """Whether a run's folder has something left to do or to tidy up."""
    return (folder / MARKS).exists()


def _check_manifest(folder: Path, manifest: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raise StateError for a run of another format, other settings or another input."""
    found = manifest.get("settings", {})
    if manifest.get("format_version") != FORMAT_VERSION:
        raise StateError(
            f"{folder}: an earlier run has the format {manifest.get('format_version')} and "
            f"this version writes {FORMAT_VERSION}: use --overwrite to start anew"
        )
    if found != settings:
        different = sorted(k for k in {*found, *settings} if found.get(k) != settings.get(k))
        raise StateError(
            f"{folder}: an earlier run had other settings or another input "
            f"({', '.join(different)}): use --overwrite to start anew"
        )


def _remove(folder: Path) -> None:
    """Delete a folder of a run, renamed first: half deleted, it must not look whole."""
    doomed = folder.with_name(f"{folder.name}.doomed")
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.exists():
        with disk_errors(folder):
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _create(folder: Path, settings: dict[str, Any]) -> None:
    """Make a run's folder, whole, in one rename."""
    partial = folder.with_name(f".{folder.name}.{uuid4().hex}.partial")
    try:
        with disk_errors(folder):
            (partial / MARKS).mkdir(parents=True)
            manifest = {"format_version": FORMAT_VERSION, "settings": settings, "plan": {}}
            _write(partial / "manifest.json", manifest)
            partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a run's folder tells about it."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StateError(
            f"{folder}: exists and is no run of gnnseg; move it away, or choose another output"
        ) from error
    if not isinstance(manifest, dict) or "format_version" not in manifest:
        raise StateError(f"{folder}: its manifest.json is no manifest of gnnseg")
    return manifest


def check_run(folder: Path) -> None:
    """Raise StateError if something is there that is no run, or that a process is working on."""
    if folder.exists():
        read_manifest(folder)
        handle = lock_folder(folder)
        if handle is not None:
            handle.close()


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Raise StateError if a run is there that does not go on with these settings."""
    if folder.exists():
        _check_manifest(folder, read_manifest(folder), json.loads(json.dumps(settings)))


def check_inputs(names: Iterable[str], outputs: Iterable[Path]) -> None:
    """Raise UsageError if a named input is one of the outputs, or lies in one."""
    paths = {path.resolve(): path for path in outputs}
    for name in names:
        found = Path(name)
        if not found.exists():
            continue  # an array
        for place in (found.resolve(), *found.resolve().parents):
            if place in paths:
                raise UsageError(
                    f"{paths[place]}: is an input of this run or holds one; choose another output"
                )


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
