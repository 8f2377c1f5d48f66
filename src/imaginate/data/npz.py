"""MedMNIST-style npz: `<split>_images` and `<split>_labels` (n,) or (n, 1); grey, colour or with alpha.

Arrays stored as they are get mapped; packed ones are unpacked once per process, or piece by piece where they are
large. Single images are PNG-encoded when their bytes are asked for. Pickled objects are refused.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from imaginate.data import splits
from imaginate.data.dataset import Listing, Skipped
from imaginate.data.decoding import Pixels, encode_png, to_rgb
from imaginate.data.labelling import Labeller
from imaginate.data.unpacked import stamp, unpacked
from imaginate.errors import DataError, ImageError
from imaginate.records import Sample

ARRAY_BYTES = 256 * 2**20
_IMAGE_KEY = re.compile(r"^(?:(?P<before>\w+?)_)?(?:images?|x|data)(?:_(?P<after>\w+))?$", re.IGNORECASE)
_LABEL_WORDS = ("labels", "label", "y", "targets", "target")
_NAME_KEYS = ("class_names", "classes", "label_names", "names")


@dataclass(frozen=True, slots=True)
class NpzSource:
    """One image of an array in an npz."""

    path: str
    key: str
    index: int

    def pixels(self) -> Pixels:
        """(h, w, 3) uint8, without the detour over PNG."""
        return to_rgb(array(self.path, self.key)[self.index])

    def read(self) -> bytes:
        """The image as PNG."""
        return encode_png(self.pixels())


@dataclass(frozen=True, slots=True)
class PackedArray:
    """A large packed array, of which one image at a time is unpacked."""

    path: str
    start: int
    before: int
    shape: tuple[int, ...]
    dtype: Any

    def __getitem__(self, index: int) -> Any:
        size = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        data = unpacked(self.path, "deflate", self.start, self.before + index * size, size)
        if len(data) < size:
            raise ImageError("damaged npz")
        return np.frombuffer(data, self.dtype).reshape(self.shape[1:])


def array(path: str, key: str) -> Any:
    """An array of an npz: mapped where it is stored as it is, in memory where it is small, else unpacked in pieces."""
    try:
        return _array(path, key, stamp(path))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        raise ImageError("damaged npz") from None


@lru_cache(maxsize=8)
def _array(path: str, key: str, stamp: tuple[int, int]) -> Any:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(key + ".npy")
        with archive.open(info) as member:
            shape, fortran, dtype = _header(member)
            before = member.tell()
    start = _data_start(path, info)
    if info.compress_type == zipfile.ZIP_STORED and not fortran:
        return np.memmap(path, dtype, "r", start + before, shape)
    if info.file_size > ARRAY_BYTES and info.compress_type == zipfile.ZIP_DEFLATED and not fortran:
        return PackedArray(path, start, before, shape, dtype)
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[key]


def _data_start(path: str, info: zipfile.ZipInfo) -> int:
    """Where a member's data begin: after its local header, whose length the directory does not tell."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
    return info.header_offset + 30 + int(lengths.sum())


def _header(member: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(member)
    return shape, fortran, dtype


def read(path: str) -> Listing:
    """All images of all splits; listing reads the labels alone."""
    with _open(path) as arrays:
        pairs = _pairs(arrays.files)
        if not pairs:
            there = ", ".join(arrays.files) or "nothing"
            raise DataError(f"{path} has no <split>_images with <split>_labels; it has {there}")
        names = _names(arrays, path)
        labels = {key: _labels(arrays, path, key, label_key) for key, (label_key, _) in pairs.items()}
    labeller = _labeller(names, list(labels.values()))
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for key, (_, split) in pairs.items():
        for number, value in enumerate(labels[key].tolist()):
            label = labeller.label(value)
            if isinstance(label, str):
                skipped.append(Skipped(f"{key}/{number}", label, split))
            else:
                source = NpzSource(path, key, number)
                samples.append(Sample(id=f"{key}/{number}", label=label, source=source, split=split))
    splits_there = splits.ordered(split for _, split in pairs.values() if split)
    return Listing(format="npz", labels=labeller.space, samples=samples, skipped=skipped, splits=splits_there)


def _labeller(names: list[str] | None, labels: list[Any]) -> Labeller:
    """Numbers count from 0 to the largest of any split, so that a class missing from one split keeps its label."""
    numbers = [int(values.max()) for values in labels if values.dtype.kind in "iu" and values.size]
    if names is None and len(numbers) == len(labels):
        names = [str(number) for number in range(max(numbers) + 1)]
    labeller = Labeller(names)
    for values in labels:
        labeller.see(values.tolist())
    return labeller


@contextmanager
def _open(path: str) -> Iterator[Any]:
    with open(path, "rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot read {path} as npz: {error}") from None
        yield arrays


def _pairs(keys: list[str]) -> dict[str, tuple[str, str | None]]:
    """Image key -> (label key, split)."""
    found: dict[str, tuple[str, str | None]] = {}
    for key in keys:
        match = _IMAGE_KEY.match(key)
        if match is None:
            continue
        word = match["before"] or match["after"]
        options = (
            [f"{word}_{w}" for w in _LABEL_WORDS] + [f"{w}_{word}" for w in _LABEL_WORDS] if word else _LABEL_WORDS
        )
        lower = {k.lower(): k for k in keys}
        label = next((lower[o.lower()] for o in options if o.lower() in lower), None)
        if label is not None:
            found[key] = (label, splits.canonical(word) if word else None)
    return found


def _labels(arrays: Any, path: str, key: str, label_key: str) -> Any:
    """(n,) labels of the images under `key`; DataError where the shapes do not fit one label an image."""
    try:
        values = arrays[label_key]
    except ValueError:
        raise DataError(f"{path}: {label_key} holds pickled objects, which are not read") from None
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    with zipfile.ZipFile(path) as archive, archive.open(key + ".npy") as member:
        shape, _, dtype = _header(member)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
        raise DataError(f"{path}: {key} must be (n, h, w) or (n, h, w, 1, 3 or 4), got {shape}")
    if dtype.kind not in "buif":
        raise DataError(f"{path}: {key} must hold numbers, got {dtype}")
    if values.shape != (shape[0],):
        raise DataError(f"{path}: {label_key} must be ({shape[0]},) or ({shape[0]}, 1), got {values.shape}")
    return values.astype(np.int64) if values.dtype.kind == "b" else values


def _names(arrays: Any, path: str) -> list[str] | None:
    for key in _NAME_KEYS:
        if key in arrays.files:
            try:
                return [str(name) for name in arrays[key].tolist()]
            except ValueError:
                raise DataError(f"{path}: {key} holds pickled objects, which are not read") from None
    return None
