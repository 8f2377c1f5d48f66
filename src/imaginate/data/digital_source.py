"""What a picture's own file says of its origin: the IPTC digital source type, of those that mean a generative model.

A copy of a picture that says so has to say so too, whatever is done to it.
"""

from __future__ import annotations

import re
import zlib

from imaginate.errors import ImageError
from imaginate.records import DigitalSource, FileBacked, Sample

GENERATED: tuple[DigitalSource, ...] = (
    "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic", "trainedAlgorithmicMedia",
)  # fmt: skip
MOST_XMP = 1 << 20  # bytes of a packet, unpacked
_ANY = re.compile(rb"digitalsourcetype/(\w{1,60})")
_PACKED = b"iTXtXML:com.adobe.xmp\0\1\0"  # keyword, compressed, by deflate
_FRONT = b"digitalsourcetype/"
_WORDS = tuple((word, _FRONT + word.encode()) for word in GENERATED)


def source_in(data: bytes) -> DigitalSource | None:
    """The type that the bytes of an image file name, in XMP or in a C2PA manifest; None where they name none of both.

    Both hold the address of the type as plain text, so that no parser has to read what strangers wrote.
    """
    packed = _compressed(data)
    if _FRONT not in data and not packed:  # nearly always
        return None
    said = data + packed
    return next((word for word, mark in _WORDS if mark in said), None)


def as_generated(word: object) -> DigitalSource | None:
    """A word of a row as one of those that mean a generative model; None for any other."""
    return next((one for one in GENERATED if one == word), None)


def any_source_in(data: bytes) -> str:
    """The type that the bytes of an image file name, of all that there are; "" where they name none."""
    found = _ANY.search(data)
    return found.group(1).decode() if found else ""


def _compressed(data: bytes) -> bytes:
    """The XMP of a PNG that holds it compressed; nothing of any other file."""
    at = data.find(_PACKED) if data.startswith(b"\x89PNG") else -1
    if at < 0:
        return b""
    try:
        body = data[at + len(_PACKED) :].split(b"\0", 2)[2]  # language, translated keyword, packet
        return zlib.decompressobj().decompress(body, MOST_XMP)
    except (zlib.error, IndexError):
        return b""


def source_of(sample: Sample) -> DigitalSource | None:
    """The same of a sample that is one file of its own; None for others, and for one that cannot be read."""
    if not isinstance(sample.source, FileBacked) or not sample.source.is_whole_file:
        return None
    try:
        return source_in(sample.source.read())
    except ImageError:
        return None
