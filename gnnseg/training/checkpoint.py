"""A training on disk, beside its model: whatever ends it, the same command goes on from there."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.errors import StateError
from gnnseg.io.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from gnnseg.training.state import State

FORMAT_VERSION = 2
_KEY = "gnnseg.checkpoint"
SECONDS, EPOCH_SECONDS = 120.0, 5.0
"""A checkpoint is written when the last one is that old, at the end of an epoch and within one."""
_TOLD = {"data": "other images or labels", "vgg16_sha256": "other weights of VGG-16"}
"""Settings whose values tell nobody anything."""
ANEW = "use --overwrite to start anew"


@dataclass(frozen=True)
class Earlier:
    """What a checkpoint holds of the parts of a training that are over."""

    tensors: dict[str, torch.Tensor]
    about: dict[str, Any]

    @property
    def epoch(self) -> int:
        """Epochs that are over."""
        return self.about["place"]["epoch"]


@dataclass
class Clock:
    """Seconds since now, and those of earlier parts of the same work."""

    earlier: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.earlier + time.monotonic() - self.started


class Checkpoint:
    """The file `path` with the state of a training of certain `settings`.

    `clock` counts the seconds of the training, and of its earlier parts once these are `read`.
    """

    def __init__(self, path: Path, settings: dict[str, Any], clock: Clock) -> None:
        self.path, self.settings, self.clock = path, settings, clock
        self._last, self._exists = time.monotonic(), path.exists()

    def read(self) -> Earlier | None:
        """Earlier parts of the training, or None where there are none.

        Raises `StateError` for a file that is no checkpoint, or one of other settings.
        """
        if not self.path.exists():
            return None
        found = _load(self.path)
        self._check(found.about)
        self.clock.earlier = found.about["seconds"]
        return found

    def is_due(self, *, end_of_epoch: bool = False) -> bool:
        """Whether the last one is old enough, or there is none at the end of an epoch."""
        if end_of_epoch and not self._exists:
            return True
        limit = EPOCH_SECONDS if end_of_epoch else SECONDS
        return time.monotonic() - self._last >= limit

    def write(self, state: State, random: Sequence[torch.Tensor]) -> None:
        """Replace the file, whole or not at all; `random` are the states of all generators."""
        from safetensors.torch import save

        about = {
            "format_version": FORMAT_VERSION,
            "settings": self.settings,
            "seconds": self.clock.seconds,
            **state.about(),
        }
        data = save(state.tensors(random), metadata={_KEY: json.dumps(about)})
        with replacing(self.path) as partial:
            partial.write_bytes(data)
        self._last, self._exists = time.monotonic(), True

    def _check(self, about: dict[str, Any]) -> None:
        if about.get("format_version") != FORMAT_VERSION:
            raise StateError(
                f"{self.path}: this training has the format {about.get('format_version')} and "
                f"this version goes on from {FORMAT_VERSION}: {ANEW}"
            )
        found, wanted = about["settings"], json.loads(json.dumps(self.settings))
        different = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        if different:
            what = ", ".join(_difference(k, found.get(k), wanted.get(k)) for k in different)
            raise StateError(
                f"{self.path}: an unfinished training had other settings ({what}): give those to "
                f"go on, or {ANEW}"
            )


def _difference(name: str, found: Any, wanted: Any) -> str:
    if name in _TOLD:
        return _TOLD[name]
    return f"{name} {json.dumps(found)}, now {json.dumps(wanted)}"


def _load(path: Path) -> Earlier:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "null"))
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
        found = Earlier(tensors, about)
        known = (about["settings"], dict), (about["seconds"], float), (found.epoch, int)
        if not all(isinstance(value, kind) for value, kind in known):
            raise TypeError("its header is damaged")  # noqa: TRY301
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path}: is no training to go on with ({error}): {ANEW}") from error
    return found
