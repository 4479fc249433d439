"""Reading Zarr stores of unknown origin: files stay inside the store, chunks inside their size."""

from __future__ import annotations

import bz2
import lzma
import math
import os
import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numcodecs.abc import Codec
from zarr.codecs import BloscCodec, GzipCodec, ShardingCodec, ZstdCodec
from zarr.storage import LocalStore

from gnnseg.errors import InputError
from gnnseg.io.guard import DamagedError

_SLACK = 1 << 16
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class GuardedStore(LocalStore):
    """A read-only folder store whose keys lead to regular files inside the folder only."""

    def _check(self, key: str) -> None:
        path = self.root / key
        if key.startswith("/") or ".." in key.split("/"):
            raise InputError(f"{self.root}: the path {key!r} leaves the store")
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        root, real = os.path.realpath(self.root), os.path.realpath(path)
        if real != root and not real.startswith(root + os.sep):
            raise InputError(f"{self.root}: {key} is a link that leaves the store")
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise InputError(f"{self.root}: {key} is no regular file (a device, pipe or socket)")

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        self._check(key)
        return await super().get(key, prototype, byte_range)

    def get_sync(self, key: str, *, prototype: Any = None, byte_range: Any = None) -> Any:
        self._check(key)
        return super().get_sync(key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
        key_ranges = list(key_ranges)
        for key, _ in key_ranges:
            self._check(key)
        return await super().get_partial_values(prototype, key_ranges)


def refuse(nbytes: int | None, limit: int) -> None:
    """Raise DamagedError when a compressed chunk claims to unpack to more than `limit` bytes."""
    if nbytes is not None and nbytes > limit:
        raise DamagedError(f"a chunk unpacks to {nbytes:,} bytes, far beyond its shape ({limit:,})")


def zstd_size(data: bytes) -> int | None:
    """The content size that the first frame states, None where it states none (RFC 8878)."""
    if len(data) < 6 or data[:4] != _ZSTD_MAGIC:
        return None
    descriptor = data[4]
    single, flag = descriptor >> 5 & 1, descriptor >> 6
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    width = (single, 2, 4, 8)[flag]
    if width == 0 or len(data) < start + width:
        return None
    return int.from_bytes(data[start : start + width], "little") + (256 if width == 2 else 0)


def unzstd(data: bytes, limit: int, decode: Callable[[], Any]) -> Any:
    """Decode a zstd chunk by `decode`, or within `limit` where its size is not stated."""
    size = zstd_size(data)
    if size is None:
        import imagecodecs

        return imagecodecs.zstd_decode(data, out=limit)
    refuse(size, limit)
    return decode()


def inflate(data: bytes, limit: int) -> bytes:
    """Unpack zlib or gzip data, with several members, to at most `limit` bytes."""
    return _unpack(lambda: zlib.decompressobj(wbits=47), data, limit)


def _unpack(make: Callable[[], Any], data: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    while data:
        decoder = make()
        parts.append(decoder.decompress(data, limit + 1 - total))
        total += len(parts[-1])
        refuse(total, limit)
        if not decoder.eof:
            raise DamagedError("a chunk is cut short")
        data = decoder.unused_data
    return b"".join(parts)


def _limit(spec: Any) -> int:
    itemsize = np.dtype(spec.dtype.to_native_dtype()).itemsize
    return 2 * math.prod(spec.shape) * itemsize + _SLACK


class _SafeZstd(ZstdCodec):
    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        data = unzstd(
            chunk_bytes.to_bytes(),
            _limit(chunk_spec),
            lambda: super(_SafeZstd, self)._decode_sync(chunk_bytes, chunk_spec),
        )
        return chunk_spec.prototype.buffer.from_bytes(data) if isinstance(data, bytes) else data


class _SafeGzip(GzipCodec):
    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        data = inflate(chunk_bytes.to_bytes(), _limit(chunk_spec))
        return chunk_spec.prototype.buffer.from_bytes(data)


class _SafeBlosc(BloscCodec):
    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        head = chunk_bytes[:16].to_bytes()
        refuse(blosc_size(head), _limit(chunk_spec))
        return await super()._decode_single(chunk_bytes, chunk_spec)


def blosc_size(head: bytes) -> int | None:
    """The unpacked size in a Blosc header."""
    return struct.unpack_from("<I", head, 4)[0] if len(head) >= 8 else None


def guarded_codec(codec: Any) -> Any:
    """A codec of Zarr v3 that refuses chunks which unpack to far more than their shape."""
    if isinstance(codec, ShardingCodec):
        return ShardingCodec(
            chunk_shape=codec.chunk_shape,
            codecs=tuple(guarded_codec(inner) for inner in codec.codecs),
            index_codecs=codec.index_codecs,
            index_location=codec.index_location,
        )
    if isinstance(codec, ZstdCodec):
        return _SafeZstd(level=codec.level, checksum=codec.checksum)
    if isinstance(codec, GzipCodec):
        return _SafeGzip(level=codec.level)
    if isinstance(codec, BloscCodec):
        options: Any = codec.to_dict()["configuration"]
        return _SafeBlosc(**options)
    return codec


@dataclass
class GuardedCompressor(Codec):
    """A compressor of Zarr v2 that refuses chunks which unpack to more than `limit` bytes."""

    inner: Any
    limit: int

    @property
    def codec_id(self) -> str:  # type: ignore[override]
        return str(self.inner.codec_id)

    def encode(self, buf: Any) -> Any:
        return self.inner.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        data = bytes(memoryview(buf).cast("B"))
        kind = self.codec_id
        if kind in ("zlib", "gzip"):
            return inflate(data, self.limit)
        if kind == "bz2":
            return _unpack(bz2.BZ2Decompressor, data, self.limit)
        if kind == "lzma":
            return _unpack(lzma.LZMADecompressor, data, self.limit)
        if kind == "zstd":
            return unzstd(data, self.limit, lambda: self.inner.decode(data))
        if kind == "blosc":
            refuse(blosc_size(data), self.limit)
        if kind == "lz4" and len(data) >= 4:
            refuse(int.from_bytes(data[:4], "little"), self.limit)
        return self.inner.decode(buf, out)

    def get_config(self) -> dict[str, Any]:
        return dict(self.inner.get_config())


def guarded_array(array: Any) -> Any:
    """The same Zarr array, whose chunks are checked before and while they are unpacked."""
    from zarr.core.array import Array, AsyncArray

    metadata = array.metadata
    if metadata.zarr_format == 3:
        codecs = tuple(guarded_codec(codec) for codec in metadata.codecs)
        metadata = _with(metadata, codecs=codecs)
    elif metadata.compressor is not None:
        limit = 2 * math.prod(metadata.chunks) * array.dtype.itemsize + _SLACK
        metadata = _with(metadata, compressor=GuardedCompressor(metadata.compressor, limit))
    return Array(AsyncArray(metadata=metadata, store_path=array.store_path))


def _with(metadata: Any, **changes: Any) -> Any:
    # The metadata classes are frozen dataclasses whose __init__ takes other names than their
    # fields, so dataclasses.replace cannot copy them.
    import copy

    metadata = copy.copy(metadata)
    for key, value in changes.items():
        object.__setattr__(metadata, key, value)
    return metadata
