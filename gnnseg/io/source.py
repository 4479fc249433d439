"""The one thing every stage reads from: an image of any format, window by window."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gnnseg.blocks import Window
from gnnseg.errors import InputError, UsageError
from gnnseg.io.array_source import ArrayReader
from gnnseg.io.device_source import DeviceReader
from gnnseg.io.guard import reading
from gnnseg.io.units import MICROMETERS

if TYPE_CHECKING:
    from gnnseg.io.axes import Layout

_SAMPLES_PER_AXIS = 8
_SAMPLE_SIZE = 16


class Reader(Protocol):
    """An array in its stored axes, read by slices of step 1; safe to call from many threads."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def chunks(self) -> tuple[int, ...]: ...

    @property
    def resident_bytes(self) -> int: ...

    def read_bytes(self, sizes: tuple[int, ...]) -> int:
        """What reading a part of such sizes takes at most beside its pixels, on each thread."""
        ...

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        """The part `index`, with as many axes as `shape`."""
        ...

    def identity(self) -> bytes | None:
        """Bytes that change with the content, or None: then pixels are sampled."""
        ...


@dataclass(frozen=True)
class ImageSource:
    """An image that is read window by window.

    Sizes are in pixels. `pixel_size` is (y, x) and `plane_spacing` that of Z, in `unit`; `axes`
    are those of the stored array; `chunk` is the (y, x) unit that reads cheaply;
    `resident_bytes` is what the reader itself may keep in memory, for all threads together.
    """

    name: str
    reader: Reader
    layout: Layout
    num_channels: int
    is_rgb: bool = False
    pixel_size: tuple[float, float] | None = None
    plane_spacing: float | None = None
    unit: str | None = None
    dtype: np.dtype[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", native_dtype(self.reader.dtype, self.name))

    @property
    def height(self) -> int:
        return self.layout.shape[self.layout.y]

    @property
    def width(self) -> int:
        return self.layout.shape[self.layout.x]

    @property
    def bounds(self) -> Window:
        """The whole image, in pixels."""
        return Window(0, self.height, 0, self.width)

    @property
    def num_planes(self) -> int:
        return self.layout.num_planes

    @property
    def is_stack(self) -> bool:
        """Whether there is more than one plane."""
        return self.layout.plane is not None

    @property
    def axes(self) -> str:
        return self.layout.axes

    @property
    def pixel_size_um(self) -> tuple[float, float] | None:
        """The pixel size (y, x) in micrometres, None where the image does not tell."""
        factor = MICROMETERS.get(self.unit or "")
        if self.pixel_size is None or factor is None:
            return None
        return self.pixel_size[0] * factor, self.pixel_size[1] * factor

    @property
    def chunk(self) -> tuple[int, int]:
        return self.reader.chunks[self.layout.y], self.reader.chunks[self.layout.x]

    @property
    def resident_bytes(self) -> int:
        return self.reader.resident_bytes

    def read_bytes(self, shape: tuple[int, int]) -> int:
        """What reading a window of `shape` takes beside its pixels, on each thread that reads."""
        index = self.layout.index(Window(0, shape[0], 0, shape[1]), 0, self.num_channels)
        return self.reader.read_bytes(tuple(part.stop - part.start for part in index))

    def read(self, window: Window, plane: int = 0) -> np.ndarray:
        """The pixels of `window` as a C-contiguous (C, h, w) array of `dtype`.

        Raises UsageError for a window or plane outside the image, InputError for damaged data.
        """
        self._check(window, plane)
        if window.size == 0:
            return np.empty((self.num_channels, *window.shape), self.dtype)
        index = self.layout.index(window, plane, self.num_channels)
        with reading(self.name):
            return np.ascontiguousarray(self._by_channel(self.reader.read(index), window))

    def _by_channel(self, data: np.ndarray, window: Window) -> np.ndarray:
        """What a reader gave as (C, h, w)."""
        data = data.transpose(self.layout.order).reshape(self.num_channels, *window.shape)
        return np.asarray(data, self.dtype)

    @property
    def is_boolean(self) -> bool:
        """Whether the pixels that are read as 0 and 1 are true and false."""
        return np.dtype(self.reader.dtype).kind == "b"

    @property
    def is_on_device(self) -> bool:
        """Whether the pixels lie on a GPU."""
        return isinstance(self.reader, DeviceReader)

    def read_there(self, window: Window, plane: int = 0) -> Any:
        """The pixels of `window` as (C, h, w) where the image lies: in memory, or on a GPU.

        In memory they are not copied where that can be helped: they have any strides, and may be
        the caller's own, to be read at once and never written.
        """
        self._check(window, plane)
        if isinstance(self.reader, DeviceReader):
            return self.reader.read_there(self.layout, window, plane, self.num_channels)
        index = self.layout.index(window, plane, self.num_channels)
        with reading(self.name):
            if isinstance(self.reader, ArrayReader):
                return self._by_channel(self.reader.array[index], window)
            return self._by_channel(self.reader.read(index), window)

    def _check(self, window: Window, plane: int) -> None:
        if window.clip(self.bounds) != window or not 0 <= plane < self.num_planes:
            raise UsageError(
                f"{self.name}: {window} of plane {plane} is outside an image of "
                f"{self.height} x {self.width} pixels and {self.num_planes} planes"
            )

    def fingerprint(self) -> str:
        """A hash of what the image is and holds, the same wherever the file lies.

        Cheap for any size: big files and arrays are sampled at places fixed by coordinates.
        """
        about = [self.layout.shape, self.layout.axes, self.layout.fixed, self.num_channels]
        digest = hashlib.sha256(json.dumps([*about, self.dtype.str]).encode())
        with reading(self.name):
            identity = self.reader.identity()
        if identity is None:
            self._hash_samples(digest)
        else:
            digest.update(identity)
        return digest.hexdigest()

    def _hash_samples(self, digest: Any) -> None:
        rows = _sample_starts(self.height)
        cols = _sample_starts(self.width)
        for plane in sorted({0, self.num_planes // 2, self.num_planes - 1}):
            for y in rows:
                for x in cols:
                    window = Window(y, y + _SAMPLE_SIZE, x, x + _SAMPLE_SIZE).clip(self.bounds)
                    digest.update(self.read(window, plane).tobytes())


def require_memory(image: ImageSource) -> None:
    """Raise UsageError for an image on a GPU, where only single stages work."""
    if image.is_on_device:
        raise UsageError(
            f"{image.name}: lies on a GPU, where superpixels, supervoxels, region_graph and paint "
            "work; bring it to memory"
        )


def _sample_starts(length: int) -> list[int]:
    last = max(0, length - _SAMPLE_SIZE)
    return sorted({last * i // (_SAMPLES_PER_AXIS - 1) for i in range(_SAMPLES_PER_AXIS)})


def native_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """The dtype that reads give: booleans as uint8, numbers in native byte order."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise InputError(f"{name}: pixels of type {dtype} are not supported; use real numbers")
    return dtype.newbyteorder("=")
