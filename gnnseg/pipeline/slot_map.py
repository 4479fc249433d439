"""Slots on disk: the array of a run, and the slot map that another run wrote."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.blocks import Lattice
from gnnseg.errors import DiskError, InputError
from gnnseg.io.guard import reading
from gnnseg.io.zarr_output import FLAT_KEYS
from gnnseg.kernels.slots import MASKED
from gnnseg.pipeline.single import SLOT_KIND, VOLUME_SLOT_KIND
from gnnseg.superpixels import VolumeLattice

SLOTS = "slots"
NOT_COMPUTED = MASKED + 1
"""What an array of slots holds where nothing was written."""
_CONFIG = {"write_empty_chunks": True}


@dataclass(frozen=True)
class SlotArray:
    """Slots (Z, Y, X) uint8 on disk; whoever reads them gets all that were asked for.

    A chunk that is lost would otherwise read as pixels that belong to no superpixel. It is a
    `DiskError`, and an `InputError` where the array is an input.
    """

    array: Any
    is_input: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        depth, height, width = self.array.shape
        return depth, height, width

    @property
    def chunks(self) -> tuple[int, int, int]:
        depth, height, width = self.array.chunks
        return depth, height, width

    def __getitem__(self, index: tuple[int | slice, ...]) -> np.ndarray:
        name = str(self.array.store_path)
        with reading(name) if self.is_input else nullcontext():
            slots = np.asarray(self.array[index])
        if slots.max(initial=0) != NOT_COMPUTED:
            return slots
        if self.is_input:
            raise InputError(f"{name}: a chunk is missing; make the slot map anew")
        raise DiskError(f"{name}: a chunk is missing; use --overwrite to start anew")

    def __setitem__(self, index: tuple[int | slice, ...], slots: np.ndarray) -> None:
        self.array[index] = slots


def create_slots(root: Any, shape: tuple[int, int, int], chunks: tuple[int, int, int]) -> None:
    """Create the array of slots (Z, Y, X) in a zarr group."""
    from zarr.codecs import ZstdCodec

    root.create_array(
        SLOTS,
        shape=shape,
        chunks=chunks,
        dtype=np.uint8,
        fill_value=NOT_COMPUTED,
        chunk_key_encoding=FLAT_KEYS,
        compressors=ZstdCodec(level=1, checksum=True),
        config=_CONFIG,
    )


def open_slots(root: Any) -> SlotArray:
    """The array of slots of a run; empty chunks are written too. KeyError if it is missing."""
    return SlotArray(root[SLOTS].with_config(_CONFIG))


def open_slot_map(path: Path) -> tuple[SlotArray, Lattice | VolumeLattice]:
    """A finished slot map and its lattice; InputError for anything else."""
    from gnnseg.io.zarr_guard import guarded_array
    from gnnseg.io.zarr_source import open_node

    try:
        group = open_node(path)
    except InputError as error:
        raise InputError(f"{path}: is no slot map of gnnseg: {error}") from error
    try:
        about: Any = group.attrs["gnnseg"]
        if about.get("kind") not in (SLOT_KIND, VOLUME_SLOT_KIND) or not about.get("complete"):
            raise InputError(f"{path}: is no complete slot map; `gnnseg superpixels` makes one")
        slots = SlotArray(guarded_array(group[SLOTS]), is_input=True)
        _, height, width = slots.shape
        plane = Lattice(height, width, int(about["step"]))
        if about["kind"] == SLOT_KIND:
            return slots, plane
        return slots, _volume_lattice(slots, int(about["step_z"]), plane)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no readable slot map of gnnseg: {error}") from error


def _volume_lattice(slots: SlotArray, step_z: int, plane: Lattice) -> VolumeLattice:
    """The lattice of a volume's slots; ValueError if their chunks do not hold whole cells."""
    lattice = VolumeLattice(slots.shape[0], step_z, plane)
    if min(lattice.steps) < 1 or any(np.remainder(slots.chunks, lattice.steps)):
        raise ValueError(f"chunks of {slots.chunks} voxels and cells of {lattice.steps}")
    return lattice
