#!/usr/bin/env bash
# mlcroissant 1.1.1: a CSV column that the metadata declare as text is read as numbers and gaps first, then made text.
#
# Croissant's metadata give every field a data type, so one expects "007" of a sc:Text field back as "007". The CSV is
# read with pandas' guesses and the type is applied to what those leave: identifiers lose their zeros ("007" is b"7"),
# one identifier like "1e5" turns all into floats (b"7.0"), and the classes "None" and "NA" become missing. sc:Boolean
# of "no" is true, as of any text. Nothing is said. It bites whoever joins such identifiers with file names or patients,
# splits by them (1e5 and 100000 are one), or has a class "None" (no finding). The same table as Parquet comes back as
# it is.
#
# Seen:   CSV 007 b'7', next to 1e5 b'7.0'; classes None, NA missing; no True   Parquet b'007', b'None', b'NA'
# Exits 0 while mlcroissant behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check mlcroissant==1.1.1 pandas==3.1.1 pyarrow==26.0.1
cd "$place"
HOME="$place" "$place/venv/bin/python" - 2>notes <<'PYTHON' || { cat notes; exit 1; }
import hashlib
import json
import sys
from importlib.metadata import version

import mlcroissant as mlc
import pyarrow
import pyarrow.parquet

KINDS = {"id": mlc.DataType.TEXT, "class": mlc.DataType.TEXT, "sure": mlc.DataType.BOOL}


def rows(file, form, names):
    """The rows of `file` as mlcroissant gives them, by metadata that declare each column's type."""
    fields = [
        mlc.Field(
            id=f"rows/{name}",
            name=name,
            data_types=KINDS[name],
            source=mlc.Source(file_object=file, extract=mlc.Extract(column=name)),
        )
        for name in names
    ]
    digest = hashlib.sha256(open(file, "rb").read()).hexdigest()
    held = mlc.FileObject(id=file, name=file, content_url=file, encoding_formats=[form], sha256=digest)
    metadata = mlc.Metadata(
        name="rows",
        description="rows",
        url="https://example.org",
        license="CC0-1.0",
        distribution=[held],
        record_sets=[mlc.RecordSet(id="rows", name="rows", fields=fields)],
    )
    with open("croissant.json", "w") as out:
        json.dump(metadata.to_json(), out, default=str)
    return [[row[f"rows/{name}"] for name in names] for row in mlc.Dataset("croissant.json").records("rows")]


def of_csv(identifiers, names=("id", "class")):
    with open("rows.csv", "w") as out:
        out.write(",".join(names) + "\n")
        for identifier, word in zip(identifiers, ("None", "NA", "nodule")):
            out.write(",".join((identifier, word, "no")[: len(names)]) + "\n")
    return rows("rows.csv", "text/csv", names)


plain, mixed = of_csv(("007", "008", "0012")), of_csv(("007", "008", "1e5"))
truth = of_csv(("007", "008", "0012"), ("id", "class", "sure"))[2][2]
table = pyarrow.table({"id": ["007", "008", "0012"], "class": ["None", "NA", "nodule"]})
pyarrow.parquet.write_table(table, "rows.parquet")
parquet = rows("rows.parquet", "application/x-parquet", ("id", "class"))
print("mlcroissant", version("mlcroissant"), "pandas", version("pandas"))
print("CSV:", plain, "with 1e5:", [row[0] for row in mixed], "no as sc:Boolean:", truth)
print("Parquet:", parquet)
missing = [row[1] is None or row[1] != row[1] for row in plain]
is_so = [row[0] for row in plain] == [b"7", b"8", b"12"] and [row[0] for row in mixed] == [b"7.0", b"8.0", b"100000.0"]
is_so = is_so and missing == [True, True, False] and truth is True
is_so = is_so and parquet == [[b"007", b"None"], [b"008", b"NA"], [b"0012", b"nodule"]]
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
