"""A table as one file that other programs read: .csv, .jsonl or .parquet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.files import replace_file

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = (".csv", ".jsonl", ".parquet")
MOST = 2**20  # characters of a first line


def columns_of(place: Path) -> list[str]:
    """The columns of a file in one of these forms; none of what cannot be read as such."""
    try:
        if place.suffix == ".parquet":
            import pyarrow.parquet as pq

            return list(pq.read_schema(place).names)
        with place.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(MOST)
        if place.suffix == ".csv":
            return next(csv.reader([first]), [])
        found = json.loads(first)
        return list(found) if isinstance(found, dict) else []
    except (OSError, ValueError, csv.Error):  # pyarrow's errors are among these
        return []


def write_table(place: Path, table: pa.Table) -> None:
    """Write the table in the form that the ending of `place` says, one of TABLES."""
    if place.suffix == ".parquet":
        import pyarrow.parquet as pq

        replace_file(place, lambda partial: pq.write_table(table, partial))
    elif place.suffix == ".csv":
        from pyarrow.csv import write_csv

        replace_file(place, lambda partial: write_csv(table, partial))
    else:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
        replace_file(place, lambda partial: partial.write_text(text, encoding="utf-8"))
