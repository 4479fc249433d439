"""Which stored axis is Y, X, Z or a channel: known or asked for, never silently guessed.

Letters: `Y` rows, `X` columns, `Z` planes, `C` channels, `S` colour samples, `T` time. Other
letters of a format (`I`, `Q`: "some sequence") are unknown and must have length 1 or be named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gnnseg.blocks import Window
from gnnseg.errors import InputError, UsageError
from gnnseg.io.guard import MAX_CHANNELS

KNOWN = "TZCSYX"


@dataclass(frozen=True)
class Layout:
    """Where the axes of a stored array lie.

    `shape` and `axes` are those of the stored array; `channel` and `plane` are positions or None;
    `fixed` holds (position, index) of every axis that is read at one point only.
    """

    shape: tuple[int, ...]
    axes: str
    y: int
    x: int
    channel: int | None = None
    plane: int | None = None
    fixed: tuple[tuple[int, int], ...] = ()

    @property
    def num_channels(self) -> int:
        return 1 if self.channel is None else self.shape[self.channel]

    @property
    def num_planes(self) -> int:
        return 1 if self.plane is None else self.shape[self.plane]

    def index(self, window: Window, plane: int, num_channels: int) -> tuple[slice, ...]:
        """One slice per stored axis."""
        index = [slice(0, 1)] * len(self.shape)
        for position, value in self.fixed:
            index[position] = slice(value, value + 1)
        if self.plane is not None:
            index[self.plane] = slice(plane, plane + 1)
        if self.channel is not None:
            index[self.channel] = slice(0, num_channels)
        index[self.y], index[self.x] = window.slices
        return tuple(index)

    @property
    def order(self) -> tuple[int, ...]:
        """The transpose that leads to (axes of length 1, C, Y, X)."""
        last = [p for p in (self.channel, self.y, self.x) if p is not None]
        return (*(p for p in range(len(self.shape)) if p not in last), *last)


def resolve_axes(
    shape: tuple[int, ...],
    *,
    name: str,
    found: str | None = None,
    given: str | None = None,
    select: Mapping[str, int] | None = None,
) -> Layout:
    """The layout of an array of `shape`, from what the user gave, else from what the file says.

    Without either: two axes are YX, three with a last axis of 3 or 4 are YXC, leading axes of
    length 1 are dropped; anything else raises InputError, which asks for `axes`.

    >>> resolve_axes((60, 80, 3), name="photo").channel
    2
    """
    if len(shape) < 2:
        raise InputError(f"{name}: has {len(shape)} axes and an image needs two or more")
    if 0 in shape:
        raise InputError(f"{name}: is empty, its shape is {_times(shape)}")
    if given is not None:
        axes = _given_axes(given, shape)
    else:
        axes = _found_axes(found, shape, name) if found else _guess_axes(shape, name)
    return _layout(axes, shape, name, dict(select or {}))


def _given_axes(given: str, shape: tuple[int, ...]) -> str:
    axes = given.upper()
    if len(set(axes)) != len(axes) or not set("YX") <= set(axes) <= set(KNOWN):
        raise UsageError(
            f"axes must hold Y and X and may hold T, Z, C, S, once each; got {given!r}"
        )
    if len(axes) == len(shape):
        return axes
    wide = [i for i, size in enumerate(shape) if size > 1]
    if len(axes) != len(wide):
        raise UsageError(f"axes={given!r} names {len(axes)} axes, the array is {_times(shape)}")
    letters = dict(zip(wide, axes, strict=True))
    return "".join(letters.get(i, "?") for i in range(len(shape)))


def _found_axes(found: str, shape: tuple[int, ...], name: str) -> str:
    axes = found.upper()
    if len(axes) != len(shape):
        raise InputError(f"{name}: its metadata name the axes {found!r}, it is {_times(shape)}")
    return axes


def _guess_axes(shape: tuple[int, ...], name: str) -> str:
    lead = 0
    while len(shape) - lead > 2 and shape[lead] == 1 and shape[lead:][-1] not in (3, 4):
        lead += 1
    while len(shape) - lead > 3 and shape[lead] == 1:
        lead += 1
    rest = shape[lead:]
    if len(rest) == 2:
        return "?" * lead + "YX"
    if len(rest) == 3 and rest[-1] in (1, 3, 4):
        return "?" * lead + "YXC"
    raise InputError(
        f"{name}: cannot tell planes from channels in an array of {_times(shape)}; "
        "pass axes, such as axes='ZYX', 'CYX' or 'YXC'"
    )


def _layout(axes: str, shape: tuple[int, ...], name: str, select: dict[str, int]) -> Layout:
    where = {letter: i for i, letter in enumerate(axes) if letter in KNOWN}
    if not {"Y", "X"} <= set(where):
        raise InputError(f"{name}: has the axes {axes!r}, none of them Y and X; pass axes")
    fixed = _selected(select, where, shape, name)
    for i, letter in enumerate(axes):
        if letter in "YX" or i in fixed or shape[i] == 1:
            continue
        if letter not in "ZCS":
            raise InputError(_unread(letter, axes, shape, name))
    channel = _channel(where, shape, fixed, axes, name)
    plane = where.get("Z")
    plane = None if plane in fixed or plane is None or shape[plane] == 1 else plane
    return Layout(shape, axes, where["Y"], where["X"], channel, plane, tuple(sorted(fixed.items())))


def _selected(
    select: dict[str, int], where: dict[str, int], shape: tuple[int, ...], name: str
) -> dict[int, int]:
    fixed = {}
    for letter, value in select.items():
        position = where.get(letter.upper())
        if position is None or letter.upper() in "YX":
            raise UsageError(f"{name}: has no axis {letter!r} to select from, only {list(where)}")
        if not 0 <= value < shape[position]:
            raise UsageError(
                f"{name}: select {letter}={value} is outside 0 to {shape[position] - 1}"
            )
        fixed[position] = int(value)
    return fixed


def _channel(
    where: dict[str, int], shape: tuple[int, ...], fixed: dict[int, int], axes: str, name: str
) -> int | None:
    wide = [where[k] for k in "CS" if k in where and where[k] not in fixed and shape[where[k]] > 1]
    if len(wide) > 1:
        raise InputError(
            f"{name}: has channels and colour samples ({axes}, {_times(shape)}); "
            "choose one channel with select={'C': 0}"
        )
    if not wide:
        return None
    if shape[wide[0]] > MAX_CHANNELS:
        raise InputError(
            f"{name}: has {shape[wide[0]]} channels and at most {MAX_CHANNELS} are read; "
            f"is {axes!r} right? Pass axes otherwise"
        )
    return wide[0]


def _unread(letter: str, axes: str, shape: tuple[int, ...], name: str) -> str:
    size = shape[axes.index(letter)]
    if letter == "T":
        return (
            f"{name}: has {size} time points ({axes}, {_times(shape)}); "
            "choose one with select={'T': 0}, or call the axis planes with axes"
        )
    return (
        f"{name}: holds {size} pages or planes whose meaning is unknown ({axes}, {_times(shape)}); "
        f"pass axes, such as axes={axes.replace(letter, 'Z').replace('S', 'C')!r}"
    )


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
