"""A table as one file that other programs read: .csv, .jsonl or .parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.files import replace_file

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = (".csv", ".jsonl", ".parquet")


def write_table(place: Path, table: pa.Table) -> None:
    """Write the table in the form that the ending of `place` says, one of TABLES."""
    if place.suffix == ".parquet":
        import pyarrow.parquet as pq

        replace_file(place, lambda partial: pq.write_table(table, partial))
    elif place.suffix == ".csv":
        import pyarrow.csv as csv

        replace_file(place, lambda partial: csv.write_csv(table, partial))
    else:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
        replace_file(place, lambda partial: partial.write_text(text, encoding="utf-8"))
