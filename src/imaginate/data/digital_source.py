"""What a picture's own file says of its origin: the IPTC digital source type, of those that mean a generative model.

A copy of a picture that says so has to say so too, whatever is done to it.
"""

from __future__ import annotations

from imaginate.errors import ImageError
from imaginate.records import DigitalSource, FileBacked, Sample

GENERATED: tuple[DigitalSource, ...] = ("compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia")
_WORDS = tuple((word, f"digitalsourcetype/{word}".encode()) for word in GENERATED)


def source_in(data: bytes) -> DigitalSource | None:
    """The type that the bytes of an image file name, in XMP or in a C2PA manifest; None where they name none of both.

    Both hold the address of the type as plain text, so that no parser has to read what strangers wrote.
    """
    return next((word for word, mark in _WORDS if mark in data), None)


def source_of(sample: Sample) -> DigitalSource | None:
    """The same of a sample that is one file of its own; None for others, and for one that cannot be read."""
    if not isinstance(sample.source, FileBacked) or not sample.source.is_whole_file:
        return None
    try:
        return source_in(sample.source.read())
    except ImageError:
        return None
