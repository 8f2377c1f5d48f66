"""The idx format of MNIST: a big-endian header, then the numbers, row by row; packed by gzip or not."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imaginate.data.official.core.published import Row
from imaginate.data.official.core.tree import Tree, first, read
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.nested import NestedSource, whole
from imaginate.data.sources.packed import PackedSource
from imaginate.data.sources.raw import RawSource
from imaginate.data.sources.span import SpanSource
from imaginate.data.unpacked import unpacked
from imaginate.errors import DataError, ImageError
from imaginate.records import ImageSource

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


@dataclass(frozen=True, slots=True)
class Header:
    """Number type and shape of an idx file; the numbers begin at `start`."""

    dtype: str
    shape: tuple[int, ...]
    start: int


def header(data: bytes, name: str) -> Header:
    """From the first bytes. DataError where they are none of idx."""
    if len(data) < 8 or data[:2] != b"\0\0" or data[2] not in _TYPES or not 1 <= data[3] <= 4:
        raise DataError(f"{name} is no idx file, or damaged")
    shape = tuple(int.from_bytes(data[4 + 4 * n : 8 + 4 * n], "big") for n in range(data[3]))
    return Header(_TYPES[data[2]], shape, 4 + 4 * data[3])


def values(tree: Tree, name: str) -> Any:
    """All numbers of a small idx file, of labels."""
    data = read(tree, name)
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            raise DataError(f"{name} is damaged") from None
    head = header(data, name)
    found = np.frombuffer(data, head.dtype, offset=head.start)
    if found.size != math.prod(head.shape):
        raise DataError(f"{name} is damaged: it says that its shape is {head.shape}, and holds {found.size} numbers")
    return found.reshape(head.shape)


def images(tree: Tree, name: str) -> list[ImageSource]:
    """One source for each picture of an idx file, none of them read."""
    source = tree.source(name)
    if isinstance(source, SpanSource) and not name.endswith(".gz"):
        path, at, packing = source.path, source.offset, ""
        head = header(SpanSource(path, at, 16).read(), name)
    elif isinstance(source, FileSource) and not name.endswith(".gz"):
        path, at, packing = source.path, 0, ""
        head = header(SpanSource(path, 0, 16).read(), name)
    elif isinstance(source, FileSource):
        path, at, packing = source.path, 0, "gz"
        head = header(unpacked(path, "gz", 0, 0, 16), name)
    else:
        return _in_archive(source, name)
    count, height, width = _grey(head, name)
    size, start = height * width, at + head.start
    place = (
        (lambda n: PackedSource(path, "gz", 0, start + n * size, size))
        if packing
        else (lambda n: SpanSource(path, start + n * size, size))
    )
    return [RawSource(place(n), (height, width)) for n in range(count)]


def _in_archive(source: ImageSource, name: str) -> list[ImageSource]:
    """The pictures of a member of an archive, which may itself be packed: unpacked in memory."""
    try:
        head = header(whole(source)[:16], name)
    except ImageError as problem:
        raise DataError(f"{name}: {problem}") from None
    count, height, width = _grey(head, name)
    size = height * width
    return [RawSource(NestedSource(source, head.start + n * size, size), (height, width)) for n in range(count)]


def _grey(head: Header, name: str) -> tuple[int, int, int]:
    """The shape. DataError where it is none of grey pictures."""
    if len(head.shape) != 3 or head.dtype != ">u1":
        raise DataError(f"{name} holds no grey pictures of 8 bits: its shape is {head.shape}")
    return head.shape


def idx_file(tree: Tree, name: str) -> str | None:
    """The file of this name, packed by gzip or not; the plain one first."""
    return first(tree, (name, f"{name}.gz"))


def rows(tree: Tree, pairs: Mapping[str, tuple[str, str]]) -> list[Row]:
    """The images of pairs of files: split -> (images, labels). Labels of several columns have the class first."""
    found: list[Row] = []
    for split, (pictures, labels) in pairs.items():
        images_file, labels_file = idx_file(tree, pictures), idx_file(tree, labels)
        if images_file is None:
            continue
        if labels_file is None:
            raise DataError(f"{images_file} has no {labels} next to it")
        numbers = values(tree, labels_file)
        classes = (numbers if numbers.ndim == 1 else numbers[:, 0]).tolist()
        sources = images(tree, images_file)
        if len(classes) != len(sources):
            raise DataError(f"{images_file} holds {len(sources)} images, and {labels_file} {len(classes)} labels")
        found += [
            Row(f"{images_file}/{n}", label, split, source)
            for n, (label, source) in enumerate(zip(classes, sources, strict=True))
        ]
    return found


def mnist_pairs(before: str = "") -> dict[str, tuple[str, str]]:
    """The files of MNIST and of its namesakes."""
    return {
        split: (f"{before}{word}-images-idx3-ubyte", f"{before}{word}-labels-idx1-ubyte")
        for split, word in (("train", "train"), ("test", "t10k"))
    }


def is_mnist(tree: Tree) -> bool:
    """Whether the files have the names of MNIST's."""
    return any(idx_file(tree, pictures) for pictures, _ in mnist_pairs().values())


def says(tree: Tree, *words: str) -> bool:
    """Whether a folder on the way to the files holds one of these words in its name."""
    path = os.path.abspath(tree.path).lower()
    return any(word in part for part in path.split(os.sep)[-5:] for word in words)
