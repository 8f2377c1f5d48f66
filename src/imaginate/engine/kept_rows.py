"""Change which images of a run are kept: rows move between the two tables, files between the two folders.

Safe to kill at any moment: a row never leaves both tables, `metadata.parquet` never names a file that is not there, and
the same command finishes what it began (a file is looked for in both places). The rows as they are to be are on disk,
not in memory, until the last one is known.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imaginate.engine.own_scores import OWN
from imaginate.engine.resolve import NamedFilter
from imaginate.engine.run_filters import other_side, rejected_name
from imaginate.engine.run_rows import Part
from imaginate.engine.verdicts import AGAIN, AT, BEFORE, BY, WORD
from imaginate.files import KEPT, REJECTED, Folder, json_bytes
from imaginate.runs import RunFolder
from imaginate.settings import values_of
from imaginate.write import card, sheet, tables

WINDOW = 16_384  # rows of a run that are in memory at a time
_PLACE, _WAS_KEPT = pa.field("#place", pa.int64()), pa.field("#was_kept", pa.bool_())  # no columns of a run


class Changes:
    """All rows of a run as they are to be, in a folder for temporary files."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="imaginate-refilter-")
        self._parts: list[tuple[int, int]] = []  # the place of a part's first row, and the part's number
        self._schemas: list[pa.Schema] = []
        self._filled: set[str] = set()  # columns with any value
        self._may_go = {OWN, BY, AT, WORD, BEFORE}

    def __enter__(self) -> Changes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._folder.cleanup()

    def add(self, part: Part) -> None:
        """These rows; each gets the file name that it will have."""
        was_kept = part.table == KEPT
        for row in part.rows:
            if was_kept and not row["kept"]:
                row["file_name"] = None if row["file_name"] is None else rejected_name(row["file_name"])
            elif row["kept"] and not was_kept:
                row["file_name"] = "images/" + row["file_name"].split("/", 1)[1]
        found = tables.table(part.rows)
        self._schemas.append(tables.filled(found))
        self._filled.update(name for name in found.column_names if found[name].null_count < found.num_rows)
        found = found.append_column(_PLACE, pa.array(part.places, pa.int64()))
        found = found.append_column(_WAS_KEPT, pa.array([was_kept] * found.num_rows))
        with pa.ipc.new_file(self._path(len(self._parts)), found.schema) as file:
            file.write_table(found)
        self._parts.append((part.places[0], len(self._parts)))

    @property
    def schema(self) -> pa.Schema:
        """The columns and types that all rows need."""
        gone = self._may_go - self._filled
        return pa.schema(field for field in tables.unified(self._schemas) if field.name not in gone)

    def may_leave_out(self, columns: Iterable[str]) -> None:
        """These columns are not the run's own: they go where no row has a value any more."""
        self._may_go.update(columns)

    def windows(self) -> Iterator[pa.Table]:
        """All rows in the run's order, as tables of some thousand."""
        schema = pa.schema([*self.schema, _PLACE, _WAS_KEPT])
        waiting, opened = sorted(self._parts, reverse=True), list[pa.Table]()
        end = 0
        while waiting or opened:
            end = max(end + WINDOW, waiting[-1][0] + 1 if not opened else 0)
            while waiting and waiting[-1][0] < end:
                with pa.OSFile(self._path(waiting.pop()[1])) as file:
                    opened.append(tables.fitted(pa.ipc.open_file(file).read_all(), schema))
            cuts = [int(np.searchsorted(table.column(_PLACE.name).to_numpy(), end)) for table in opened]
            yield pa.concat_tables(t.slice(0, cut) for t, cut in zip(opened, cuts, strict=True)).sort_by(_PLACE.name)
            opened = [t.slice(cut) for t, cut in zip(opened, cuts, strict=True) if cut < t.num_rows]

    def _path(self, number: int) -> str:
        return os.path.join(self._folder.name, f"{number:06d}.arrow")


def bring_into_effect(store: Folder, changes: Changes, filters: Sequence[NamedFilter]) -> None:
    """Write both tables and move the files, by the new `kept` of every row.

    The order matters: files that come back, then the tables (a row is always in one of them), then files that go."""
    for name in _names(changes, kept=True):
        _move(store, name)
    _write(store, REJECTED, changes.schema, map(_refused_and_returning, changes.windows()))
    _write(store, KEPT, changes.schema, (rows.filter(rows["kept"]) for rows in changes.windows()))
    _write(store, REJECTED, changes.schema, (rows.filter(pc.invert(rows["kept"])) for rows in changes.windows()))
    for name in _names(changes, kept=False):  # also those that an interrupted change left on the wrong side
        _move(store, name)
    _write_facts(store, filters)


def _names(changes: Changes, *, kept: bool) -> Iterator[str]:
    """The names of the files that come back, or of all that are rejected."""
    for rows in changes.windows():
        is_meant = pc.and_(rows["kept"], pc.invert(rows[_WAS_KEPT.name])) if kept else pc.invert(rows["kept"])
        yield from (name for name in rows["file_name"].filter(is_meant).to_pylist() if name is not None)


def _refused_and_returning(rows: pa.Table) -> pa.Table:
    """The rows of `rejected.parquet` while some come back, which say so."""
    rows = rows.filter(pc.or_(pc.invert(rows["kept"]), pc.invert(rows[_WAS_KEPT.name])))
    reasons = pc.if_else(rows["kept"], AGAIN + "returning", rows["reason"])
    nowhere = pa.array([False] * rows.num_rows, pa.bool_())
    for name, column in (("reason", reasons), ("kept", nowhere)):
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), column)
    return rows


def _write(store: Folder, name: str, schema: pa.Schema, parts: Iterable[pa.Table]) -> None:
    with store.writing(name) as file, tables.writer(file, schema) as writer:
        for rows in parts:
            writer.write(rows.select(schema.names))


def _move(store: Folder, target: str) -> None:
    """Move an image to where its row says, if it is not there yet."""
    source = other_side(target)
    if store.exists(source) and not store.exists(target):
        store.move(source, target)


def _write_facts(store: Folder, filters: Sequence[NamedFilter]) -> None:
    """`run.json`, the card and the contact sheet after the change; the history of refilterings is kept in run.json."""
    run = RunFolder(store)
    reasons: Counter[str] = Counter()
    for batch in run.batches(REJECTED, columns=("reason",)):
        reasons.update(batch.column(0).to_pylist())
    facts = dict(run.facts)
    facts["totals"]["kept"] = sum(len(b) - b.column(0).null_count for b in run.batches(columns=("method",)))
    facts["totals"]["rejected"] = dict(reasons.most_common())
    settings = [{"name": f.name, **{k: str(v) for k, v in values_of(f.filter).items()}} for f in filters]
    done = facts.get("refiltered", [])
    if not done or done[-1] != settings:  # equal where a killed process had come this far
        facts["refiltered"] = [*done, settings]
    store.put("run.json", json_bytes(facts))
    store.put("README.md", card.dataset_card(run.recipe, facts).encode())
    store.put("contact-sheet.png", sheet.contact_sheet(store))
