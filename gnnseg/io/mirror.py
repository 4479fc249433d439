"""An image seen from behind: left and right change places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnseg.io.source import ImageSource, Reader


@dataclass(frozen=True)
class _MirroredReader:
    inner: Reader
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inner.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.inner.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.inner.chunks

    @property
    def resident_bytes(self) -> int:
        return self.inner.resident_bytes

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        """The part `index` of the mirror image."""
        width, part = self.shape[self.axis], index[self.axis]
        other = list(index)
        other[self.axis] = slice(width - part.stop, width - part.start)
        return np.flip(self.inner.read(tuple(other)), self.axis)

    def identity(self) -> bytes | None:
        """Nothing but the pixels says that it is mirrored."""
        return None


def mirrored(image: ImageSource) -> ImageSource:
    """The mirror image, read as lazily as the image itself.

    >>> from gnnseg.io import open_image
    >>> image = mirrored(open_image(np.arange(6, dtype=np.uint8).reshape(2, 3)))
    >>> image.read(image.bounds)[0].tolist()
    [[2, 1, 0], [5, 4, 3]]
    """
    return ImageSource(
        name=image.name,
        reader=_MirroredReader(image.reader, image.layout.x),
        layout=image.layout,
        num_channels=image.num_channels,
        is_rgb=image.is_rgb,
        pixel_size=image.pixel_size,
        plane_spacing=image.plane_spacing,
        unit=image.unit,
    )
