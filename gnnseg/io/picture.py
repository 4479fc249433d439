"""Pictures for people, marked so that gnnseg replaces those alone that it drew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gnnseg.errors import InputError, StateError
from gnnseg.io.atomic import check_replaceable, replacing
from gnnseg.io.raster_source import opened_image

MARK = {"Software": "gnnseg"}
"""Text that every picture has in its PNG."""


@contextmanager
def replacing_picture(path: str | Path) -> Iterator[Path]:
    """As `replacing`, for a PNG with the `MARK`; raises StateError in place of another file."""
    check_picture(Path(path))
    with replacing(path) as partial:
        yield partial


def check_picture(path: Path) -> None:
    """Raise StateError where a picture is to be drawn and a file lies that gnnseg did not draw."""
    check_replaceable(path, overwrite=True)
    if path.exists() and not _has_mark(path):
        raise StateError(
            f"{path}: exists and is no picture that gnnseg drew, so it is not replaced; move it "
            "away, or choose another name"
        )


def _has_mark(path: Path) -> bool:
    try:
        with opened_image(path) as image:
            return all(image.info.get(name) == text for name, text in MARK.items())
    except InputError:
        return False
