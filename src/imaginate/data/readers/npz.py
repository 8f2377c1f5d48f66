"""MedMNIST-style npz: `<split>_images` and `<split>_labels` (n,) or (n, 1); grey, colour or with alpha."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from imaginate.data import splits
from imaginate.data.archives import is_zip
from imaginate.data.arrays import header
from imaginate.data.labelling import Labeller
from imaginate.data.sources.npz import NpzSource
from imaginate.errors import DataError
from imaginate.limits import LABEL_BYTES
from imaginate.records import Listing, Part, Place, Sample, Skipped

_IMAGE_KEY = re.compile(r"^(?:(?P<before>\w+?)_)?(?:images?|x|data)(?:_(?P<after>\w+))?$", re.IGNORECASE)
_LABEL_WORDS = ("labels", "label", "y", "targets", "target")
_NAME_KEYS = ("class_names", "classes", "label_names", "names")


class Npz:
    """Reads arrays of images with arrays of labels; images are PNG-encoded when their bytes are asked for."""

    layout: ClassVar[str] = "a MedMNIST-style npz"
    priority: ClassVar[int] = 30

    def recognises(self, place: Place) -> bool:
        """A zip of arrays and nothing else."""
        if place.is_remote:
            return place.path.endswith(".npz")
        return is_zip(place) and _has_only_arrays(place.path)

    def read(self, place: Place, part: Part) -> Listing:
        """All splits; the labels are read, the images are not."""
        if place.is_remote:
            raise DataError(f"{place.path}: npz is read from a local disk; copy it there")
        return _read(place.path)


def _has_only_arrays(path: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return path.endswith(".npz")
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read(path: str) -> Listing:
    """All images of all splits; listing reads the labels alone."""
    with _open(path) as arrays:
        pairs = _pairs(arrays.files)
        if not pairs:
            there = ", ".join(arrays.files) or "nothing"
            raise DataError(f"{path} has no <split>_images with <split>_labels; it has {there}")
        names = _names(arrays, path)
        labels = {key: _labels(arrays, path, key, label_key) for key, (label_key, _) in pairs.items()}
    labeller = _labeller(names, list(labels.values()), path)
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


def _labeller(names: list[str] | None, labels: list[Any], path: str) -> Labeller:
    """Numbers count from 0 to the largest of any split, so that a class missing from one split keeps its label."""
    numbers = [int(values.max()) for values in labels if values.dtype.kind in "iu" and values.size]
    if names is None and len(numbers) == len(labels):
        names = [str(number) for number in range(max(numbers) + 1)]
    labeller = Labeller(names, where=path)
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
    values = _array(arrays, path, label_key)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2 and values.dtype.kind in "buif" and ((values == 1).sum(1) == 1).all():
        values = values.argmax(1) if set(np.unique(values)) <= {0, 1} else values  # a 1 in the column of the class
    shape, dtype = _stated(path, key)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
        raise DataError(f"{path}: {key} must be (n, h, w) or (n, h, w, 1, 3 or 4), got {shape}")
    if dtype.kind not in "buif":
        raise DataError(f"{path}: {key} must hold numbers, got {dtype}")
    if values.shape != (shape[0],):
        raise DataError(f"{path}: {label_key} must be ({shape[0]},) or ({shape[0]}, 1), got {values.shape}")
    return values.astype(np.int64) if values.dtype.kind == "b" else values


def _array(arrays: Any, path: str, key: str) -> Any:
    """An array that is read whole, of labels or names."""
    shape, dtype = _stated(path, key)
    if math.prod(shape) * dtype.itemsize > LABEL_BYTES:
        raise DataError(
            f"{path}: {key} has {math.prod(shape):,} values, more than the {LABEL_BYTES:,} bytes of a limit"
        )
    try:
        return arrays[key]
    except ValueError:
        raise DataError(f"{path}: {key} holds pickled objects, which are not read") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        raise DataError(f"{path}: {key} cannot be read: {error or 'out of memory'}") from None


def _stated(path: str, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and number type of an array. DataError where it holds another amount of numbers than it says."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(key + ".npy")
            with archive.open(info) as member:
                shape, _, dtype = header(member)
                size = info.file_size - member.tell()
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: {key} cannot be read: {error}") from None
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize != size:
        raise DataError(f"{path} is damaged: {key} says that its shape is {shape}, and has {size} bytes")
    return shape, dtype


def _names(arrays: Any, path: str) -> list[str] | None:
    for key in _NAME_KEYS:
        if key in arrays.files:
            return [str(name) for name in _array(arrays, path, key).tolist()]
    return None
