"""Change which images of a run are kept: rows move between the two tables, files between the two folders.

Safe to kill at any moment: a row never leaves both tables, `metadata.parquet` never names a file that is not there, and
the same command finishes what it began (a file is looked for in both places).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from imaginate.engine.resolve import NamedFilter
from imaginate.engine.run_filters import rejected_name
from imaginate.errors import RunError
from imaginate.files import KEPT, REJECTED, Folder, json_bytes
from imaginate.runs import RunFolder
from imaginate.settings import values_of
from imaginate.write import card, sheet, tables

AGAIN = "refilter: "

Row = dict[str, Any]


def read_rows(store: Folder) -> tuple[list[Row], list[Row]]:
    """Kept and rejected rows; a row that an interrupted change left in both tables counts as kept."""
    kept = [dict(r) for r in tables.read(store).to_pylist()]
    known = {row_key(r) for r in kept}
    refused = [dict(r) for r in tables.read(store, REJECTED).to_pylist()]
    for name in (r["file_name"] for r in [*kept, *refused] if r["file_name"] is not None):
        if not name.startswith(("images/", "rejected/")):
            raise RunError(f"{store.root} is damaged: its table names {name!r}, which is in neither of its folders")
    return kept, [r for r in refused if row_key(r) not in known]


def row_key(row: Row) -> tuple[Any, ...]:
    """What a row is, whichever table it is in, and whatever class people give it."""
    return (row["seed_image"], row["method"], row["copy"], row["rng_seed"])


def write_rows(store: Folder, kept: list[Row], refused: list[Row], filters: Sequence[NamedFilter]) -> None:
    """Write both tables and move the files, by the new `kept` of every row.

    The order matters: files that come back, then the tables (a row is always in one of them), then files that go."""
    back = [r for r in refused if r["kept"]]
    out = [r for r in kept if not r["kept"]]
    stay = [r for r in refused if not r["kept"]]
    for row in back:
        row["file_name"] = _moved(store, row["file_name"], to="images/")
    names = [r["file_name"] for r in out if r["file_name"] is not None]
    for row in out:
        row["file_name"] = None if row["file_name"] is None else rejected_name(row["file_name"])
    every = [*kept, *refused]
    order = _order(store)
    returning = [{**r, "kept": False, "reason": AGAIN + "returning"} for r in back]
    store.put(REJECTED, _encoded([*stay, *out, *returning], every, order))
    store.put(KEPT, _encoded([r for r in kept if r["kept"]] + back, every, order))
    store.put(REJECTED, _encoded([*stay, *out], every, order))
    # Also those that an interrupted change left on the wrong side.
    for name in [*names, *(r["file_name"] for r in stay if r["file_name"] is not None)]:
        _moved(store, name, to="rejected/")
    _write_facts(store, filters)


def _order(store: Folder) -> dict[tuple[Any, ...], int]:
    """The place of each row in the run, from its shards: what comes back, comes back to its place."""
    columns = ["seed_image", "method", "copy", "rng_seed"]
    shards = [n for n in store.names("shards") if n.endswith(".parquet")]
    rows = (r for n in shards for r in tables.read(store, f"shards/{n}").select(columns).to_pylist())
    return {row_key(row): place for place, row in enumerate(rows)}


def _encoded(rows: list[Row], every: list[Row], order: Mapping[tuple[Any, ...], int]) -> bytes:
    """Rows as parquet, in the run's order, with the columns and types that all rows of both tables need."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    rows = sorted(rows, key=lambda r: order.get(row_key(r), len(order)))
    pq.write_table(tables.fitted(tables.table(rows), tables.table(every).schema), out)
    return out.getvalue()


def _moved(store: Folder, name: str, *, to: str) -> str:
    """The image's name under `to`, after moving it there if it is not there yet."""
    target = to + name.split("/", 1)[1]
    source = other_side(target)
    if store.exists(source) and not store.exists(target):
        store.move(source, target)
    return target


def _write_facts(store: Folder, filters: Sequence[NamedFilter]) -> None:
    """`run.json`, the card and the contact sheet after the change; the history of refilterings is kept in run.json."""
    run = RunFolder(store)
    kept = run.rows(columns=("method",))
    reasons = Counter(row["reason"] for row in run.rows(REJECTED, columns=("reason",)))
    facts = dict(run.facts)
    facts["totals"]["kept"] = sum(r["method"] is not None for r in kept)
    facts["totals"]["rejected"] = dict(reasons.most_common())
    settings = [{"name": f.name, **{k: str(v) for k, v in values_of(f.filter).items()}} for f in filters]
    done = facts.get("refiltered", [])
    if not done or done[-1] != settings:  # equal where a killed process had come this far
        facts["refiltered"] = [*done, settings]
    store.put("run.json", json_bytes(facts))
    store.put("README.md", card.dataset_card(run.recipe, facts).encode())
    store.put("contact-sheet.png", sheet.contact_sheet(store))


def other_side(name: str) -> str:
    """The same image's place on the other side: `images/rose/x.png` and `rejected/rose/x.png`."""
    return rejected_name(name) if name.startswith("images/") else "images/" + name.split("/", 1)[1]
