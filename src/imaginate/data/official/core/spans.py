"""Stretches of equal size of one file, as sources that are read one at a time."""

from __future__ import annotations

from imaginate.data.official.core.tree import Tree
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.packed import PackedSource
from imaginate.data.sources.span import SpanSource
from imaginate.errors import DataError
from imaginate.records import ImageSource


def spans(tree: Tree, name: str, size: int, count: int, start: int = 0, step: int = 0) -> list[ImageSource]:
    """`count` stretches of `size` bytes from `start` on, one every `step` bytes (by default, every `size`)."""
    source, step = tree.source(name), step or size
    if isinstance(source, FileSource):
        return [SpanSource(source.path, start + n * step, size) for n in range(count)]
    if isinstance(source, SpanSource):
        return [SpanSource(source.path, source.offset + start + n * step, size) for n in range(count)]
    if isinstance(source, PackedSource):
        return [
            PackedSource(source.path, source.packing, source.start, source.offset + start + n * step, size)
            for n in range(count)
        ]
    raise DataError(f"{name} is packed in a zip: unpack it")
