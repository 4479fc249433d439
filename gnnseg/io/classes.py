"""The class table: names and colours that reach every output format."""

from __future__ import annotations

import colorsys
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnnseg.errors import InputError, MissingInputError, UsageError

MAX_CLASSES = 65_000
Color = tuple[int, int, int]

_OKABE_ITO: tuple[Color, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
    (120, 120, 120),
)


def default_colors(n: int) -> tuple[Color, ...]:
    """`n` distinct colours: the Okabe-Ito palette first, then hues spread by the golden ratio.

    >>> default_colors(2)
    ((0, 114, 178), (230, 159, 0))
    """
    if n < 0:
        raise UsageError(f"the number of colours must not be negative, got {n}")
    extra = (_spread_color(i) for i in range(max(0, n - len(_OKABE_ITO))))
    return (*_OKABE_ITO[:n], *extra)


def _spread_color(i: int) -> Color:
    hue = (0.11 + 0.618033988749895 * i) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.15 * (i % 4), 0.95 - 0.12 * (i % 3))
    return round(255 * red), round(255 * green), round(255 * blue)


@dataclass(frozen=True)
class ClassInfo:
    """Class names and RGB colours, in index order; `ignore_index` marks pixels without a label.

    >>> classes = ClassInfo(("background", "nucleus"))
    >>> classes.num_classes, classes.colors[1]
    (2, (230, 159, 0))
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...] = ()
    ignore_index: int = 255

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        colors = tuple(tuple(c) for c in self.colors) or default_colors(len(self.names))
        object.__setattr__(self, "colors", colors)
        self._check()

    def _check(self) -> None:
        count = len(self.names)
        if not 1 <= count <= MAX_CLASSES:
            raise UsageError(f"a class table needs 1 to {MAX_CLASSES} classes, got {count}")
        if not all(isinstance(name, str) and name for name in self.names):
            raise UsageError(f"class names must be non-empty text, got {self.names[:8]!r}")
        if len(set(self.names)) != count:
            raise UsageError("class names must differ from each other")
        if len(self.colors) != count:
            raise UsageError(f"{count} classes need {count} colours, got {len(self.colors)}")
        if not all(_is_color(color) for color in self.colors):
            raise UsageError("a colour is three integers from 0 to 255: [red, green, blue]")
        if self.ignore_index < count:
            raise UsageError(
                f"ignore_index marks pixels without a label and can be no class: with {count} "
                f"classes, which are 0 to {count - 1}, it must be {count} or more, "
                f"got {self.ignore_index}"
            )

    @property
    def num_classes(self) -> int:
        return len(self.names)

    def to_dict(self) -> dict[str, Any]:
        """The content of a classes.json."""
        return {
            "ignore_index": self.ignore_index,
            "classes": [
                {"id": i, "name": name, "color": list(color)}
                for i, (name, color) in enumerate(zip(self.names, self.colors, strict=True))
            ],
        }

    @classmethod
    def from_dict(cls, data: Any, *, name: str = "class table") -> ClassInfo:
        """Read the form of `to_dict`; colours may be absent. Raises InputError naming `name`."""
        entries = data.get("classes") if isinstance(data, dict) else None
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise InputError(f'{name}: needs a list "classes" of {{"id", "name", "color"}} objects')
        ids = [entry.get("id", i) for i, entry in enumerate(entries)]
        if sorted(ids, key=str) != sorted(range(len(entries)), key=str):
            raise InputError(f"{name}: class ids must be 0 to {len(entries) - 1}, got {ids[:8]}")
        entries = [entry for _, entry in sorted(zip(ids, entries, strict=True), key=_first)]
        defaults = default_colors(len(entries))
        colors = tuple(e.get("color", defaults[i]) for i, e in enumerate(entries))
        try:
            return cls(
                names=tuple(entry["name"] for entry in entries),
                colors=tuple(tuple(color) for color in colors),
                ignore_index=int(data.get("ignore_index", 255)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{name}: {error}") from error

    @classmethod
    def load(cls, path: str | Path) -> ClassInfo:
        """Read a classes.json."""
        path = Path(path)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise MissingInputError(f"{path}: no such class table") from error
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: is no readable JSON class table: {error}") from error
        return cls.from_dict(data, name=str(path))

    def save(self, path: str | Path) -> None:
        """Write a classes.json, whole or not at all."""
        from gnnseg.io.atomic import replacing

        with replacing(path) as partial:
            text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
            partial.write_text(text + "\n", encoding="utf-8")


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _is_color(color: tuple[Any, ...]) -> bool:
    return len(color) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in color)
