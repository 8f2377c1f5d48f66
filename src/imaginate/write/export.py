"""A run in other forms: WebDataset tars, HF-style parquet, or a csv manifest. Streams: memory is one file's images."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from imaginate.data.labelling import as_line
from imaginate.errors import ConfigError, RunError
from imaginate.files import Folder, json_bytes
from imaginate.markdown import table as html_table
from imaginate.ownership import is_begun, own
from imaginate.processes import in_order, processors, side_by_side
from imaginate.progress import Bar, Silent, bar
from imaginate.runs import Row, RunFolder
from imaginate.write.annotation_exports import write_coco, write_fiftyone, write_label_studio, write_ultralytics
from imaginate.write.c2pa import Signer, check_credentials
from imaginate.write.croissant import croissant
from imaginate.write.images import to_png
from imaginate.write.tars import TarWriter

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("imaginate")
facts = logging.getLogger("imaginate.facts")
FORMATS = ("webdataset", "parquet", "csv", "fiftyone")  # every class name comes back as it is
_MOST_READERS, _READERS_OF_A_STORE, _AT_ONCE = 8, 16, 8  # threads that read ahead; files that each reads in turn
_MANY = 20_000  # images of which the files are written in other processes, which take half a second to start
_as_json = json.JSONEncoder(ensure_ascii=False).encode
IMPORTS = ("label-studio", "ultralytics", "coco")  # as these tools write names: without line breaks, or as folders

Written = TypeVar("Written")


class Exported(int):
    """How many images an export holds, with its folder in `path`, its `format`, and the images of each class in
    `classes`; a number wherever one is wanted."""

    path: str
    format: str
    classes: dict[str, int]

    def __new__(cls, images: int, path: str = "", form: str = "", classes: Mapping[str, int] | None = None) -> Exported:
        """A count that knows what it is of."""
        self = super().__new__(cls, images)
        self.path, self.format, self.classes = path, form, dict(classes or {})
        return self

    def __repr__(self) -> str:
        return f"Exported({self.path!r}, {int(self)} images as {self.format})"

    def __str__(self) -> str:
        return str(int(self))

    def _repr_html_(self) -> str:
        """For notebooks: the images of each class."""
        return html_table(self._rows(), f"{self.path}: {int(self)} images as {self.format}")

    def to_pandas(self) -> Any:
        """A row a class, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self._rows()).to_pandas()

    def _rows(self) -> list[dict[str, Any]]:
        return [{"class": name, "images": count} for name, count in self.classes.items()]


def export(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    form: str,
    *,
    per_file: int = 1000,
    c2pa_cert: str | None = None,
    c2pa_key: str | None = None,
    c2pa_timestamp: str | None = None,
    progress: bool = True,
) -> Exported:
    """Write the kept images of a run as `form` under `out`; returns their number, which also says where they are.

    webdataset: `shard-000000.tar` with `.png` (or what all images of the run are), `.cls` and `.json`, class names in
    `dataset_info.json`, which `datasets` passes over. parquet: `train-00000-of-0000N.parquet` with an `image` struct, a
    `label` with the class names, and every other column, described by `croissant.json`. csv: `manifest.csv` whose
    `file_name` are full paths of the run's images. fiftyone, label-studio, ultralytics, coco: what these tools import.
    Only an empty folder is written to, or one in which the same export was interrupted. `progress`: a bar is shown.

    `c2pa_cert` and `c2pa_key`, files in PEM: every new image gets a signed C2PA manifest that says how it came to be;
    `c2pa_timestamp`: the address of an authority that dates the signature.
    """
    if form not in (*FORMATS, *IMPORTS):
        raise ConfigError(f"format must be one of {', '.join((*FORMATS, *IMPORTS))}, got {form!r}")
    if per_file < 1:
        raise ConfigError(f"per_file must be in [1, inf), got {per_file}")
    credentials = check_credentials(c2pa_cert, c2pa_key, c2pa_timestamp)
    if credentials is not None and form == "csv":
        raise ConfigError("csv names the images of the run, which stay as they are: sign with another format")
    source, target = Folder(run), Folder(out)
    RunFolder(source).check_finished()
    _refuse_foreign(target)
    signer = None if credentials is None else Signer(credentials, RunFolder(source))
    what = {"run": os.fspath(run), "format": form, "per_file": per_file}
    with own(target, "export", what=what if signer is None else {**what, "c2pa_cert": c2pa_cert}):
        kept = _kept_rows(RunFolder(source))
        streams = {"webdataset": _webdataset, "parquet": _parquet, "csv": _csv}
        tools = {
            "fiftyone": write_fiftyone,
            "label-studio": write_label_studio,
            "ultralytics": write_ultralytics,
            "coco": write_coco,
        }
        with bar("exporting", kept.count, show=progress) as shown:
            pictures = Pictures(source, signer, shown)
            if form in streams:
                streams[form](pictures, target, kept, per_file)
            else:
                tools[form](pictures.with_rows(kept, "file_name", "label"), target, _class_names(source))
    if form not in streams and (mixed := kept.mixed()):
        facts.info(f"{mixed} images are mixtures of classes: {form} holds the main class of each alone")
    if signer is not None:
        facts.info(signer.words())
        signer.close()
    return Exported(kept.count, os.fspath(out), form, _by_class(kept, _class_names(source)))


def _by_class(kept: _Kept, names: Sequence[str]) -> dict[str, int]:
    """The images of each class, in the order of the labels."""
    counts: Counter[int] = Counter()
    for batch in kept.batches("file_name", "label"):
        counts.update(batch.column("label").to_pylist())
    return {name: counts[label] for label, name in enumerate(names)}


@dataclass(frozen=True)
class Pictures:
    """The images of a run as they are exported: signed, where somebody signs, and counted in a bar."""

    source: Folder
    signer: Signer | None = None
    shown: Bar = field(default_factory=Silent)

    def signed(self, name: str, data: bytes) -> bytes:
        """Bytes of the image `name` that are passed on; with a manifest, where somebody signs."""
        return data if self.signer is None else self.signer.sign(data, name)

    @property
    def may_be_shared(self) -> bool:
        """Whether other processes can pass the images on, too: who signs counts, and a store answers many threads."""
        return self.source.local and self.signer is None

    def ahead(self, names: Sequence[str], *, as_png: bool = False) -> Iterator[bytes]:
        """The bytes of each image; read ahead in threads, for a disk or a store answers many at once. `as_png`: as a
        PNG that says of itself what its file said."""

        def found(some: Sequence[str]) -> list[tuple[str, bytes]]:
            return [self._as_png(name) if as_png else (name, self.source.get(name)) for name in some]

        count = min(processors(), _MOST_READERS) if self.source.local else _READERS_OF_A_STORE
        groups = (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
        with ThreadPoolExecutor(count) as threads:
            for group in in_order(threads, found, groups, count + 2):
                yield from (self.signed(name, data) for name, data in group)
                self.shown.advance(len(group))

    def with_rows(self, kept: _Kept, *columns: str) -> Iterator[tuple[Row, bytes]]:
        """The kept rows, each with its image, which is read ahead."""
        for batch in kept.batches(*columns):
            yield from zip(batch.to_pylist(), self.ahead(batch.column("file_name").to_pylist()), strict=True)

    def _as_png(self, name: str) -> tuple[str, bytes]:
        data = self.source.get(name)
        return (name, data) if name.endswith(".png") else (os.path.splitext(name)[0] + ".png", to_png(data))


@dataclass(frozen=True)
class _Kept:
    """The kept rows of a run, without images that somebody removed: a few in memory at a time, as often as asked."""

    run: RunFolder
    count: int
    schema: pa.Schema
    gone: frozenset[str]

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """All rows in order, in pieces as they are read; of these columns, all by default."""
        import pyarrow as pa
        import pyarrow.compute as pc

        gone = pa.array(sorted(self.gone), pa.string())
        for batch in self.run.batches(columns=columns or None):
            yield batch.filter(pc.invert(pc.is_in(batch.column("file_name"), gone))) if self.gone else batch

    def mixed(self) -> int:
        """The images that are of several classes at once."""
        return sum(
            len(batch) - batch.column("soft_label").null_count for batch in self.batches("file_name", "soft_label")
        )

    def tables(self, size: int) -> Iterator[pa.Table]:
        """The same in tables of `size` rows, the last one with the rest."""
        import pyarrow as pa

        left = self.schema.empty_table()
        for batch in self.batches():
            left = pa.concat_tables([left, pa.Table.from_batches([batch])])
            while left.num_rows >= size:
                yield left.slice(0, size)
                left = left.slice(size)
        if left.num_rows:
            yield left


def _kept_rows(run: RunFolder) -> _Kept:
    """The kept rows; images that somebody removed from the folder are counted, and left out."""
    gone = run.gone()
    if gone:
        log.warning(f"left out: {run.words_for_gone(gone)}")
    with run.parquet() as table:
        return _Kept(run, table.metadata.num_rows - len(gone), table.schema_arrow, frozenset(gone))


def _refuse_foreign(target: Folder) -> None:
    """RunError for a folder that holds anything else than an export that was begun and is not finished."""
    if target.exists("") and not is_begun(target, "export"):
        raise RunError(f"{target.root} is not empty; choose a new or empty folder")


def _each_file(
    write: Callable[..., Written], pictures: Pictures, target: Folder, kept: _Kept, per_file: int, *more: Any
) -> Iterator[Written]:
    """`write(pictures, target, number, rows, *more)` of every file of an export, in order: where there are many images,
    on all processors, each of which writes whole files."""
    parts = enumerate(kept.tables(per_file))
    count = min(processors(), _MOST_READERS, kept.count // per_file)
    if count < 2 or kept.count < _MANY or not (pictures.may_be_shared and target.local):
        yield from (write(pictures, target, number, rows, *more) for number, rows in parts)
        return
    theirs = Pictures(pictures.source)
    calls = ((theirs, target, number, rows, *more) for number, rows in parts)
    for number, written in enumerate(side_by_side(write, calls, count, ["imaginate.write.export", "pyarrow.parquet"])):
        pictures.shown.advance(min(per_file, kept.count - number * per_file))
        yield written


def _webdataset(pictures: Pictures, target: Folder, kept: _Kept, per_file: int) -> None:
    endings, has_blanks = _seen_before(kept)
    ending = endings.pop() if len(endings) == 1 else None
    for _ in _each_file(_write_tar, pictures, target, kept, per_file, per_file, ending, has_blanks):
        pass
    features = {"cls": {"names": _class_names(pictures.source), "_type": "ClassLabel"}}
    target.put("dataset_info.json", json_bytes({"features": features}))


def _write_tar(
    pictures: Pictures,
    target: Folder,
    number: int,
    rows: pa.Table,
    per_file: int,
    ending: str | None,
    has_blanks: Collection[str],
) -> None:
    """One tar. `ending`: that of all images of the run; None where they differ, and are written as PNG."""
    with target.writing(f"shard-{number:06d}.tar") as file, closing(TarWriter(file)) as tar:
        images = pictures.ahead(rows.column("file_name").to_pylist(), as_png=ending is None)
        for index, (row, image) in enumerate(zip(_of_one_type(rows, has_blanks), images, strict=True)):
            key = f"{number * per_file + index:09d}"
            tar.add(key + (ending or ".png"), image)
            tar.add(f"{key}.cls", str(row["label"]).encode())
            tar.add(f"{key}.json", _as_json(row).encode())


def _seen_before(kept: _Kept) -> tuple[set[str], set[str]]:
    """The endings of the images' names, and the columns that are empty in some row."""
    endings, has_blanks = set(), set()
    for batch in kept.batches():
        endings |= {os.path.splitext(name)[1] for name in batch.column("file_name").to_pylist()}
        has_blanks |= {name for name in batch.schema.names if batch.column(name).null_count}
    return endings, has_blanks


def _of_one_type(table: pa.Table, has_blanks: Collection[str]) -> Iterator[dict[str, Any]]:
    """Rows whose fields have one type in every row: what is missing in some row is a text in all, "" for nothing."""
    columns: list[Sequence[Any]] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count == len(column):
            columns.append([""] * len(column))
        else:
            values = column.to_pylist()
            columns.append([_text(value) for value in values] if name in has_blanks else values)
    return (dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _parquet(pictures: Pictures, target: Folder, kept: _Kept, per_file: int) -> None:
    files = max(1, -(-kept.count // per_file))
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    source = pictures.source
    features["label"] = {"names": _class_names(source), "_type": "ClassLabel"}
    for column in kept.schema:
        if column.name not in ("file_name", "label"):
            features[column.name] = _feature(column.type)
    info = json.dumps({"info": {"features": features}})
    written = list(_each_file(_write_parquet, pictures, target, kept, per_file, files, info))
    found = RunFolder(source)
    words = f"{kept.count} images, expanded by {found.method} with imaginate"
    about = croissant(os.path.basename(source.root), words, written, kept.schema, features["label"]["names"])
    target.put("croissant.json", json_bytes(about))


def _write_parquet(
    pictures: Pictures, target: Folder, number: int, rows: pa.Table, files: int, info: str
) -> tuple[str, str]:
    """One parquet file; its name, and the SHA-256 of its bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = rows.column("file_name").to_pylist()
    read = zip(names, pictures.ahead(names), strict=True)
    images = pa.array([{"bytes": image, "path": name} for name, image in read])
    part = rows.drop_columns(["file_name"]).add_column(0, "image", images)
    part = part.replace_schema_metadata({"huggingface": info})
    out = io.BytesIO()
    pq.write_table(part, out)
    name, data = f"train-{number:05d}-of-{files:05d}.parquet", out.getvalue()
    target.put(name, data)
    return name, hashlib.sha256(data).hexdigest()


def _feature(kind: Any) -> dict[str, Any]:
    import pyarrow as pa

    if pa.types.is_list(kind):
        return {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "List"}
    words = {pa.float64(): "float64", pa.int64(): "int64", pa.bool_(): "bool"}
    return {"dtype": words.get(kind, "string"), "_type": "Value"}


def _csv(pictures: Pictures, target: Folder, kept: _Kept, per_file: int) -> None:
    source = pictures.source
    with target.writing("manifest.csv") as file, io.TextIOWrapper(file, "utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(kept.schema.names)
        for batch in kept.batches():
            for row in batch.to_pylist():
                path = source.readable(row["file_name"])
                row["file_name"] = os.path.abspath(path) if source.local else path
                row["class_name"] = as_line(row["class_name"])
                writer.writerow([json.dumps(v) if isinstance(v, list) else v for v in row.values()])
            pictures.shown.advance(len(batch))


def _class_names(source: Folder) -> list[str]:
    labels = RunFolder(source).labels
    return list(labels.names) if labels is not None else []
