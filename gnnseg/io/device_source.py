"""Arrays on a GPU: CuPy's, Numba's, and tensors of PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.kernels.arrays import on_host

if TYPE_CHECKING:
    from gnnseg.io.axes import Layout


@dataclass(frozen=True, eq=False)
class DeviceReader:
    """An array on a GPU, as Numba sees it."""

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.shape

    @property
    def resident_bytes(self) -> int:
        return 0

    def read_bytes(self, _sizes: tuple[int, ...]) -> int:
        return 0

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        return on_host(self.array[index])

    def identity(self) -> bytes | None:
        return None

    def read_there(self, layout: Layout, window: Window, plane: int, num_channels: int) -> Any:
        """The pixels of a window as a new (C, h, w) array on the GPU, of a type kernels know."""
        from gnnseg.kernels.cuda.arrays import cut, stacked, turned

        index: list[Any] = [part.start for part in layout.index(window, plane, 1)]
        index[layout.y], index[layout.x] = window.slices
        channels = []
        for channel in range(num_channels):
            if layout.channel is not None:
                index[layout.channel] = channel
            part = cut(self.array, tuple(index))
            channels.append(part if layout.y < layout.x else turned(part))
        known = {"b": np.uint8, "f2": np.float32}
        dtype = known.get(self.dtype.kind) or known.get(self.dtype.str[1:]) or self.dtype
        return stacked(channels, dtype)
