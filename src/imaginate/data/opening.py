"""One door to every format: what a path holds is seen from its content, then split and subset are chosen."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from imaginate.data import classes, splits
from imaginate.data.dataset import Dataset, Listing, Skipped
from imaginate.data.listing import nothing
from imaginate.data.spec import DataSpec
from imaginate.data.subset import take_fraction, take_shots
from imaginate.errors import DataError, ImageError
from imaginate.records import Sample
from imaginate.settings import build

SUPPORTED = (
    "an image folder (also inside a zip or tar), a csv, tsv, jsonl or parquet file with image and label columns, a "
    "folder of parquet files, a HF dataset saved on disk, a MedMNIST-style npz, WebDataset tars, or a finished run"
)
Choose = Callable[[Any], str | None]


def open_dataset(source: str | os.PathLike[str] | DataSpec, **overrides: Any) -> Dataset:
    """The samples of a dataset, listed but not read. `overrides` are fields of DataSpec.

    Raises DataError in one line: nothing there, nothing that fits, no such split, no usable image.
    """
    given = asdict(source) if isinstance(source, DataSpec) else {"path": os.fspath(source)}
    spec = build(DataSpec, {**given, **overrides}, where="data")
    listing = read(spec)
    split = splits.choose(listing.splits, spec.split)
    chosen = [sample for sample in listing.samples if split is None or sample.split == split]
    skipped = [item for item in listing.skipped if split is None or item.split in (None, split)]
    notes = list(listing.notes)
    if spec.split is None and split is not None and len(listing.splits) > 1:
        notes.append(f"reading split {split!r}, one of {', '.join(listing.splits)}")
    chosen, broken, more = _subset(chosen, spec)
    _need_one(spec.path, chosen, [*skipped, *broken])
    labels, told = classes.describe(listing.labels, spec.path, spec.classes_file)
    return Dataset(
        name=os.path.basename(os.path.normpath(spec.path)).split(".")[0],
        spec=spec,
        format=listing.format,
        labels=labels,
        samples=tuple(chosen),
        skipped=(*skipped, *broken),
        split=split,
        splits=listing.splits,
        notes=(*notes, *told, *more),
    )


def verify(dataset: Dataset) -> Dataset:
    """The dataset without the images that cannot be decoded; those are in `skipped`. Reads every image once."""
    from imaginate.data.decoding import load

    good: list[Sample] = []
    bad: list[Skipped] = []
    for sample in dataset.samples:
        try:
            load(sample)
            good.append(sample)
        except ImageError as error:
            bad.append(Skipped(sample.id, str(error), sample.split))
    if not good:
        raise DataError(nothing(dataset.spec.path, [*dataset.skipped, *bad]))
    return replace(dataset, samples=tuple(good), skipped=(*dataset.skipped, *bad))


def read(spec: DataSpec) -> Listing:
    """The listing of whatever lies at the path. Raises DataError that says what was found and what is supported."""
    from imaginate.data import hfparquet, imagefolder, npz, zips

    path = spec.path

    def choose(there: Any) -> str | None:
        return splits.choose(there, spec.split)

    kind = detect(path)
    if kind == "npz":
        return npz.read(path)
    if kind == "zip":
        return zips.read(path)
    if kind == "parquet":
        return hfparquet.read(path, choose)
    if kind == "folder":
        return imagefolder.read(path)
    raise DataError(f"{path} is {kind}; supported: {SUPPORTED}")


def detect(path: str) -> str:
    """The format at a path, by content."""
    if os.path.isdir(path):
        return _detect_folder(path)
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise DataError(f"there is nothing at {path}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    if head[:4] == b"PAR1":
        return "parquet"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"
    if tarfile.is_tarfile(path):
        return "tar"
    return "an empty file" if not head else "a file of an unknown kind"


def _detect_folder(path: str) -> str:
    from imaginate.data import hfparquet

    names = set(os.listdir(path))
    if {"recipe.yaml", "metadata.parquet"} <= names:
        return "run"
    if hfparquet.files(path):
        return "parquet"
    return "folder"


def _subset(samples: list[Sample], spec: DataSpec) -> tuple[list[Sample], list[Skipped], list[str]]:
    """Fraction first, then shots; a note where a class has fewer images than asked."""
    from imaginate.data.decoding import load

    broken: list[Skipped] = []
    notes: list[str] = []
    if spec.fraction is not None:
        samples = take_fraction(samples, spec.fraction, spec.subset_seed)
    if spec.shots is not None:
        samples, broken = take_shots(samples, spec.shots, spec.subset_seed, load)
        counts: dict[int, int] = {}
        for sample in samples:
            counts[sample.label] = counts.get(sample.label, 0) + 1
        few = sum(count < spec.shots for count in counts.values())
        if few:
            notes.append(f"{few} of {len(counts)} classes have fewer than {spec.shots} images; all of theirs are used")
    return samples, broken, notes


def _need_one(path: str, samples: list[Sample], skipped: list[Skipped]) -> None:
    """DataError unless at least one image can be decoded; stops at the first that can."""
    from imaginate.data.decoding import load

    bad = list(skipped)
    for sample in samples:
        try:
            load(sample)
            return
        except ImageError as error:
            bad.append(Skipped(sample.id, str(error)))
    raise DataError(nothing(path, bad))
