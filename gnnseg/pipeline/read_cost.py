"""What reading pixels takes: the pixels as they are stored, and what decoders hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnnseg.kernels.smooth import gaussian_weights
from gnnseg.superpixels.reader import MARGIN

if TYPE_CHECKING:
    from gnnseg.superpixels import PixelReader


def native_bytes(reader: PixelReader) -> int:
    """Bytes that a pixel takes while it is read, put in order of channels, and scaled."""
    size, channels = reader.image.dtype.itemsize, reader.scaling.num_channels
    wide = 4 if reader.image.dtype == "float16" else 0
    scaled = channels * max(2 * size, size + wide + 2) + 1
    if reader.mask is None:
        return scaled
    # A mask is read when the pixels are there, and becomes flags of a byte.
    return max(scaled, channels * size + 2 * reader.mask.dtype.itemsize + 1)


def decoding_bytes(reader: PixelReader, cells: int, halo: int = 0) -> int:
    """What decoders hold while so many cells a side are read, with a halo and the margins."""
    margin = MARGIN + gaussian_weights(reader.settings.sigma).size // 2
    wide = (cells + 2 * halo) * reader.settings.step + 2 * margin
    shape = min(reader.image.height, wide), min(reader.image.width, wide)
    sources = (source for source in (reader.image, reader.mask) if source is not None)
    return max(source.read_bytes(shape) for source in sources)  # one after the other
