#!/usr/bin/env bash
# lancedb 0.40.0: a cosine search never returns a row whose vector is zero, and a query of zeros returns no rows at all.
#
# The cosine distance to a zero vector is no number, and rows without a distance are dropped in silence, with an index and
# without one, whatever the limit: a search that asks for all rows of a table gives fewer than count_rows. Embeddings of
# zeros are common (a failed picture that was filled up, a ReLU network on a black one). The same
# rows are found by "l2" and "dot", where "dot" is 1 minus the product and "l2" is the square. hnswlib and
# scikit-learn return such rows, at distance 1. Whoever pages through a table by search, or removes duplicates so, misses
# them; a query of zeros looks like an empty table.
#
# Seen:   1000 rows, 100 of zeros; all rows by l2 1000, by dot 1000, by cosine 900, by cosine with an index 900;
#         of a query of zeros: by cosine 0
# Exits 0 while lancedb behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check lancedb==0.40.0 pyarrow==26.0.1 numpy
PLACE="$place" "$place/venv/bin/python" - <<'PYTHON'
import os
import sys
import warnings

import lancedb
import numpy as np
import pyarrow

warnings.simplefilter("ignore")
vectors = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)
vectors[:100] = 0
column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), 16)
database = lancedb.connect(os.path.join(os.environ["PLACE"], "database"))
table = database.create_table("vectors", pyarrow.table({"number": pyarrow.array(range(1000)), "vector": column}))


def rows(query, kind):
    return len(table.search(query).distance_type(kind).limit(2000).nprobes(4).to_list())


counts = {kind: rows(vectors[500], kind) for kind in ("l2", "dot", "cosine")}
of_zeros = rows(np.zeros(16, np.float32), "cosine")
table.create_index(metric="cosine", index_type="IVF_FLAT", num_partitions=4)
indexed = rows(vectors[500], "cosine")
print("lancedb", lancedb.__version__, "rows:", table.count_rows())
print(f"all rows: {counts}, by cosine with an index: {indexed}; of a query of zeros: {of_zeros}")
is_so = counts == {"l2": 1000, "dot": 1000, "cosine": 900} and indexed == 900 and of_zeros == 0
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
