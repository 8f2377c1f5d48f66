"""A member of a zip, found by its offset, so that a worker need not read the archive's directory again."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

from imaginate.data.reading import MAX_BYTES, read_span
from imaginate.errors import ImageError

METHODS = (0, 8, 12, 14)  # stored, deflate, bzip2, lzma


@dataclass(frozen=True, slots=True)
class ZipSource:
    """A member of a zip: where its local header is, its packed and real size, method and checksum."""

    is_whole_file: ClassVar[bool] = False

    path: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int

    def read(self) -> bytes:
        """The member's bytes, unpacked and checked."""
        if self.size > MAX_BYTES:
            raise ImageError("file too large")
        header = read_span(self.path, self.offset, 30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise ImageError("damaged archive")
        name, extra = struct.unpack("<HH", header[26:30])
        data = self._unpack(read_span(self.path, self.offset + 30 + name + extra, self.packed))
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise ImageError("damaged archive")
        return data

    def _unpack(self, data: bytes) -> bytes:
        try:
            if self.method == 0:
                return data
            if self.method == 8:
                return zlib.decompressobj(-15).decompress(data, self.size + 1)
            if self.method == 12:
                return bz2.BZ2Decompressor().decompress(data, self.size + 1)
            if self.method == 14:
                return _unlzma(data, self.size)
        except (zlib.error, OSError, lzma.LZMAError, EOFError):
            raise ImageError("damaged archive") from None
        raise ImageError("unsupported compression")


def _unlzma(data: bytes, size: int) -> bytes:
    """Zip method 14: four bytes of version and length, the LZMA1 properties, then the raw stream."""
    length = struct.unpack("<H", data[2:4])[0]
    filters: Any = [lzma._decode_filter_properties(lzma.FILTER_LZMA1, data[4 : 4 + length])]  # type: ignore[attr-defined]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(data[4 + length :], size)
