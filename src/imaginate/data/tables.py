"""Tables of images and labels as rows: csv, tsv, jsonl and parquet, as people and programs write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import IO, Any

from imaginate.data.decoding import has_image_suffix
from imaginate.data.table_splits import Row
from imaginate.data.urls import open_binary
from imaginate.errors import DataError
from imaginate.limits import parse_json

TEXT_TABLES = (".csv", ".tsv", ".jsonl")
SUFFIXES = (*TEXT_TABLES, ".parquet")
FEW = 50


@dataclass(frozen=True)
class TableFile:
    """A table, not yet read: where it is, its bytes where they are in an archive, the code page of its text, and
    whether its first line may be a header."""

    path: str
    data: bytes | None = None
    encoding: str | None = None
    has_header: bool = True

    @property
    def is_parquet(self) -> bool:
        """By its name."""
        return self.path.lower().endswith(".parquet")

    @property
    def is_exact(self) -> bool:
        """Whether a text in it is what was meant, to the last blank: in a csv, blanks around it may be for the eye."""
        return self.path.lower().endswith((".jsonl", ".parquet"))

    def columns(self) -> list[str]:
        """The names of its columns, none for a table without rows. One without a header has `column 1`, `column 2`."""
        return list(self._columns)

    @cached_property
    def _columns(self) -> Sequence[str]:
        if self.is_parquet:
            with self._open() as file:
                return list(_parquet(file, self.path).schema_arrow.names)
        found: dict[str, None] = {}
        # the lines of a csv have the columns of its header, those of a jsonl each their own
        for row in self._text_rows() if self.is_exact else islice(self._text_rows(), 1):
            found.update(dict.fromkeys(column for column in row if column))
        return list(found)

    def header(self) -> list[str]:
        """The names of its columns as they stand there, one that is there twice twice."""
        if self.is_exact:
            return self.columns()
        with self._stream() as stream:
            return list(self._reader(stream).fieldnames or ())

    def first_rows(self) -> list[Row]:
        """A few rows."""
        if self.is_parquet:
            with self._open() as file:
                batches = _parquet(file, self.path).iter_batches(FEW, use_threads=False)
                rows: list[Row] = [row for batch in islice(batches, 1) for row in batch.to_pylist()]
                return rows
        return list(islice(self._text_rows(), FEW))

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows; of parquet, these columns alone."""
        if self.is_parquet:
            with self._open() as file:
                rows: list[Row] = _parquet(file, self.path).read(columns=list(columns), use_threads=False).to_pylist()
            yield from rows
        else:
            yield from self._text_rows()

    def _open(self) -> AbstractContextManager[IO[bytes]]:
        return _held(self.data) if self.data is not None else open_binary(self.path)

    @contextmanager
    def _stream(self) -> Iterator[io.TextIOWrapper]:
        with self._open() as raw:
            start = raw.read(4)
            raw.seek(0)
            wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))
            encoding = self.encoding or ("utf-16" if wide else "utf-8-sig")
            try:
                stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
            except LookupError:
                raise DataError(f"there is no encoding {encoding!r}") from None
            with stream:
                yield stream

    def _text_rows(self) -> Iterator[Row]:
        """The lines of a csv, tsv or jsonl; DataError with the line number where one is broken."""
        number = 0
        try:
            with self._stream() as stream:
                if self.path.lower().endswith(".jsonl"):
                    for line in stream:
                        if line.strip():
                            yield _object(parse_json(line))
                        number += 1
                else:
                    reader = self._reader(stream)
                    for values in reader:
                        number = reader.line_num
                        yield values
        except (OSError, ValueError, csv.Error) as error:
            way_on = "; its code page can be named with --encoding" if isinstance(error, UnicodeDecodeError) else ""
            raise DataError(f"cannot read {self.path} after line {number}: {error}{way_on}") from None

    def _reader(self, stream: io.TextIOWrapper) -> csv.DictReader[str]:
        """Rows by the header's names; a first line `sep=;` as Excel writes it is no header."""
        header = stream.readline()
        lines: Iterator[str] = iter(stream)
        if header.lower().startswith("sep="):
            header = stream.readline()
        delimiter = _delimiter(self.path, header)
        cells = [cell.strip().strip('"') for cell in header.split(delimiter)]
        is_bare = not self.has_header or any(map(has_image_suffix, cells))
        names = [f"column {n + 1}" for n in range(len(cells))] if is_bare else None
        return csv.DictReader(chain([header], lines), fieldnames=names, delimiter=delimiter, strict=True)


@contextmanager
def _held(data: bytes) -> Iterator[IO[bytes]]:
    yield io.BytesIO(data)


def _parquet(file: IO[bytes], path: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} as parquet: {str(error).splitlines()[0]}") from None


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a line is not a JSON object")
    return value


def _delimiter(file: str, header: str) -> str:
    return "\t" if file.lower().endswith(".tsv") else max(",;\t|", key=header.count)
