"""HF-style parquet: an `image` column (struct of bytes and path, or bytes) and a `label`; one file, or a folder of
`<split>.parquet` / `<split>-00000-of-00004.parquet`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from imaginate.data import features, splits
from imaginate.data.arrow import schema_of
from imaginate.data.columns import FOLLOWED, groups_of
from imaginate.data.downloads import NAMES, SIZES, resized_by
from imaginate.data.labelling import Labeller, group_in
from imaginate.data.soft_labels import SoftLabels, column_in
from imaginate.data.sources.downloaded import DownloadedSource
from imaginate.data.sources.hf_parquet import ParquetSource
from imaginate.errors import DataError
from imaginate.records import GROUP, ImageSource, Listing, Part, Place, Sample, Skipped

_NOTHING: Mapping[str, Any] = {}  # one for all: 64 bytes a sample saved


class HfParquet:
    """Reads parquet with images in it; listing reads the label column alone."""

    layout: ClassVar[str] = "a parquet file, or a folder of them, with image and label columns"
    priority: ClassVar[int] = 60

    def recognises(self, place: Place) -> bool:
        """Columns of images and labels in the file, or in one of the folder's parquet files."""
        if place.is_remote or place.kind == "missing":
            return place.head[:4] == b"PAR1"
        if place.kind == "file" and place.head[:4] != b"PAR1":
            return False
        return any(features.holds_images(schema_of(file)) for file in _files(place.path))

    def read(self, place: Place, part: Part) -> Listing:
        """The rows of the wanted split."""
        if place.is_remote:
            raise DataError(f"{place.path}: parquet is read from a local disk; copy it there")
        return _read(place.path, part)


def _files(path: str) -> list[str]:
    """The parquet files of a folder (also in `data/` and in split folders), or the one file given."""
    if not os.path.isdir(path):
        return [path]
    inner = [name for name in os.listdir(path) if name == "data" or splits.known(name)]
    folders = [path, *(os.path.join(path, name) for name in inner)]
    return sorted(file for folder in folders for file in glob.glob(os.path.join(glob.escape(folder), "*.parquet")))


def _read(path: str, part: Part) -> Listing:
    """The rows of the chosen split; the label space is that of all splits."""
    found = _files(path)
    schemas = {file: schema_of(file) for file in found}
    columns = {file: features.find(schema, part=part, where=file) for file, schema in schemas.items()}
    unfit = [file for file in found if columns[file] is None]
    if unfit:
        raise DataError(features.unfit(schemas[unfit[0]], unfit[0]))
    by_file = {file: _split_of(file, path) for file in found}
    there = splits.ordered(split for split in by_file.values() if split)
    wanted = splits.choose(there, part.split)
    used = {file: column for file, column in columns.items() if column is not None}
    labeller = Labeller(_one_set_of_names(used), where=path, column=next(iter(used.values())).label)
    if not labeller.fixed:  # bare labels: the classes of every split count
        for file, column in used.items():
            labeller.see(_labels_of(file, column.label))
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    soft = SoftLabels.numbered(len(labeller.space))
    for file, column in used.items():
        if wanted is None or by_file[file] == wanted:
            stem = os.path.relpath(file, path) if os.path.isdir(path) else os.path.basename(file)
            rows = _rows(file, stem.removesuffix(".parquet"), column, by_file[file], labeller, soft, part.group_column)
            for row in rows:
                samples.append(row) if isinstance(row, Sample) else skipped.append(row)
    notes = (*labeller.notes, *soft.notes)
    return Listing(
        format="HF parquet", labels=labeller.space, samples=samples, skipped=skipped, splits=there, notes=notes,
        follows=FOLLOWED,
    )  # fmt: skip


def _one_set_of_names(used: Mapping[str, features.Columns]) -> tuple[str, ...] | None:
    """The class names that the files agree on; DataError where they do not."""
    first = next(iter(used))
    for file, column in used.items():
        if column.names != used[first].names:
            raise DataError(f"{file} has other class names than {first}")
    return used[first].names


def _split_of(file: str, root: str) -> str | None:
    """The split that a file's name says, else its folder's; a lone file of another name has none."""
    stem = os.path.basename(file).removesuffix(".parquet")
    if os.path.isdir(root):
        return splits.of_file(stem) or splits.known(os.path.basename(os.path.dirname(file)))
    return splits.of_file(stem)


def _labels_of(file: str, column: str) -> Sequence[Any]:
    """One column as Python values, the rest of the file unread."""
    import pyarrow.parquet as pq

    values: Sequence[Any] = (
        pq.read_table(file, columns=[column], use_threads=False, pre_buffer=False).column(0).to_pylist()
    )
    return values


def _downloads(file: str, count: int) -> Sequence[Mapping[str, Any]]:
    """What img2dataset says of each row; nothing in files that it did not write."""
    names = schema_of(file).names
    if not {*SIZES, "status"} <= set(names):
        return [_NOTHING] * count
    there = [name for name in (*NAMES, "status") if name in names]
    columns = [_labels_of(file, name) for name in there]
    return [dict(zip(there, row, strict=True)) for row in zip(*columns, strict=True)]


def _families(file: str, count: int, asked: str | None) -> Sequence[Mapping[str, Any]]:
    """What each row belongs together with: by the column that is asked for, or where `export` wrote the file."""
    columns = groups_of(schema_of(file).names, asked)
    found = list(zip(*(_labels_of(file, column) for column in columns), strict=True)) if columns else [()] * count
    return [_NOTHING if (name := group_in(row)) is None else {GROUP: name} for row in found]


def _rows(
    file: str,
    stem: str,
    column: features.Columns,
    split: str | None,
    labeller: Labeller,
    soft: SoftLabels,
    group_column: str | None,
) -> Iterator[Sample | Skipped]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(file)
    groups = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
    places = ((group, row) for group, count in enumerate(groups) for row in range(count))
    families, facts = _families(file, metadata.num_rows, group_column), _downloads(file, metadata.num_rows)
    mixed = column_in(schema_of(file).names)
    shares = _labels_of(file, mixed) if mixed else [None] * metadata.num_rows
    values = zip(places, _labels_of(file, column.label), families, facts, shares, strict=True)
    for number, ((group, row), value, meta, fact, share) in enumerate(values):
        failed = fact.get("status", "success") not in ("success", None)
        label = str(fact["status"]) if failed else labeller.label(value)
        name = f"{stem}/{number}"
        if isinstance(label, str):
            yield Skipped(name, label, split)
        else:
            source: ImageSource = ParquetSource(file, group, row, column.image)
            resized = resized_by(fact) if fact else None
            source = source if resized is None else DownloadedSource(source, resized)
            yield Sample(id=name, label=label, source=source, split=split, soft_label=soft.read(share), meta=meta)
