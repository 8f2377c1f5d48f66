"""Which seeds a contact sheet shows: evenly spread, against a naive choice over all rows."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate import files
from imaginate.files import Folder
from imaginate.write.sheet import groups_of

seeds = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "é", "d/1", "d/2", "e"]))
rows = st.lists(st.tuples(st.integers(0, 3), seeds, st.sampled_from(["mixup", None])), max_size=40)


def _table(given: list[tuple[int, str | None, str | None]], front: str) -> pa.Table:
    label, seed, method = ([row[part] for row in given] for part in range(3))
    texts = [f"{front}{n}.png" for n in range(len(given))]
    return pa.table({
        "file_name": pa.array(texts, pa.string()), "label": pa.array(label, pa.int64()),
        "class_name": pa.array([str(c) for c in label], pa.string()), "origin": pa.array(texts, pa.string()),
        "seed_image": pa.array(seed, pa.string()), "method": pa.array(method, pa.string()),
        "copy": pa.array(range(len(given)), pa.int64()), "prompt": pa.array(texts, pa.string()),
        "reason": pa.array(texts, pa.string()), "kept": pa.array([True] * len(given), pa.bool_()),
    })  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(kept=rows, rejected=rows, limit=st.integers(1, 6), copies=st.integers(1, 3))
def test_a_sheet_shows_evenly_spread_seeds(kept, rejected, limit, copies):
    with tempfile.TemporaryDirectory() as folder:
        for name, some in ((files.KEPT, kept), (files.REJECTED, rejected)):
            pq.write_table(_table(some, name), Path(folder) / name)
        found = groups_of(Folder(folder), limit, copies)
    new = [(label, seed or "") for label, seed, method in [*kept, *rejected] if method]
    distinct = sorted(dict.fromkeys(new), key=lambda key: (key[0], new.index(key)))  # by class, then by first row
    step = max(1.0, len(distinct) / limit)
    chosen = sorted({distinct[int(i * step)] for i in range(min(limit, len(distinct)))})
    shown = [(members[0]["label"], members[0]["seed_image"] or "", len(members)) for _, members in found]
    assert shown == [(*key, min(copies, new.count(key))) for key in chosen]
