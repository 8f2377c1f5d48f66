"""Embed and index: units -> images -> embeddings -> rows, streaming, resumable, nothing embedded twice.

Threads read, decode and hash while the guide embeds. Rows are committed in pieces of at most `COMMIT_ROWS` rows,
`COMMIT_BYTES` bytes or `COMMIT_SECONDS` of work; a unit is marked as finished only after its last row is committed. So
a killed build loses at most the piece in flight, the same command goes on, and memory does not grow with the pool.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from itertools import islice
from typing import Any

from imaginate.contract import Guide
from imaginate.errors import ConfigError, DataError, RunError
from imaginate.ownership import own
from imaginate.pool.known import KnownIds
from imaginate.pool.list_index import bring_up_to_date
from imaginate.pool.listing import units_of
from imaginate.pool.prepare import Prepared, prepare, unusable
from imaginate.pool.probe import check_guide, check_weights, new_header
from imaginate.pool.recall import measure
from imaginate.pool.rows import Header
from imaginate.pool.settings import Building
from imaginate.pool.table import PoolTable
from imaginate.pool.units import KEYS, Item, Unit
from imaginate.processes import in_order

COMMIT_ROWS, COMMIT_BYTES, COMMIT_SECONDS = 8192, 64 * 2**20, 60.0


@dataclass
class Tally:
    """What one build did: images added, already there, and skipped by reason; units left out as finished.
    `filled_in`: images that were there and about which more is known now. `replaced`: images that were added under the
    name that an image of the pool has; that one stays."""

    added: int = 0
    known: int = 0
    filled_in: int = 0
    finished_units: int = 0
    replaced: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [f"{self.added:,} images added, {self.known:,} were there already"]
        if self.filled_in:
            facts = "captions, scores, licences, URLs"
            lines.append(f"{self.filled_in:,} of these have facts now that they lacked ({facts})")
        if self.replaced:
            lines.append(
                f"{self.replaced:,} of those added have the name of another image of the pool: their files were "
                "replaced since; what they showed before stays in the pool (build it anew to be without it)"
            )
        if self.finished_units:
            lines.append(f"{self.finished_units:,} finished pieces of the sources were not read again")
        return "\n".join([*lines, *(f"skipped {count:,}: {reason}" for reason, count in self.skipped.most_common())])

    def _repr_html_(self) -> str:
        """For notebooks: what is printed."""
        return f"<pre>{escape(str(self))}</pre>"


def build_pool(
    path: str,
    sources: Sequence[str],
    guide: Guide,
    settings: Building | None = None,
    *,
    advance: Callable[[int], None] = lambda count: None,
) -> Tally:
    """Add the images of `sources` to the pool at `path`, which is created where there is none, and index it.

    Raises ModelError where the pool was built with another guide, DataError for a source that cannot be read.
    """
    settings = settings or Building()
    header = new_header(guide, settings.store)
    PoolTable.check_foreign(path)
    share = "" if settings.part == "1/1" else settings.part
    with own(path, "pool build", share=share) as owned:
        return _build(PoolTable.create(path, header), header, sources, guide, settings, advance, owned.is_resumed)


def _build(
    table: PoolTable,
    header: Header,
    sources: Sequence[str],
    guide: Guide,
    settings: Building,
    advance: Callable[[int], None],
    is_resumed: bool,
) -> Tally:
    """The same, by the owner of the folder."""
    path = table.path
    if table.header != header:
        check_guide(table.header, guide, path)
        check_weights(table.header, header, path)
    if table.header.store != settings.store:
        kept = table.header.store
        raise RunError(f"pool {path} keeps {kept}, not {settings.store}: add with --store {kept}")
    writer = _Writer(table, guide, Tally(), advance)
    with ThreadPoolExecutor(settings.threads) as threads:
        work = _work(_wanted(table, sources, settings, writer), settings.batch)
        for done in in_order(threads, writer.prepare, work, settings.threads + 2):
            writer.take(done)
    writer.flush()
    _refuse_empty(table, writer.tally, path)
    _finish(table, settings, guide, is_resumed)
    return writer.tally


def _refuse_empty(table: PoolTable, tally: Tally, path: str) -> None:
    """DataError for a pool without an image, with the reasons."""
    if len(table) or not tally.skipped:
        return
    why = ", ".join(f"{count:,} {reason}" for reason, count in tally.skipped.most_common(3))
    way_on = ""
    if KEYS in tally.skipped:
        way_on = "; name the tars themselves as the source, or write the index again with its metadata (urls)"
    raise DataError(f"no image could be added to {path}: {why}{way_on}")


def _finish(table: PoolTable, settings: Building, guide: Guide, is_resumed: bool) -> None:
    """Merge small pieces and remove what a killed build left; index anew where there is no index yet or most rows came
    after it, and measure the index."""
    table.tidy(is_alone=is_resumed and settings.part == "1/1")
    if len(table) and settings.part.endswith("/1"):
        table.index_ids()
        if table.built_index().folder:
            bring_up_to_date(table, settings.index)
        elif table.indexed() is None or table.stale():
            table.index_vectors(settings.index)
        if table.indexed() is not None and not table.recall().by_queries:
            measure(table, guide)


def _wanted(table: PoolTable, sources: Sequence[str], settings: Building, writer: _Writer) -> Iterator[Unit]:
    """The units of this builder's share that are not finished yet."""
    share, shares = _part(settings.part)
    finished = table.finished()
    number = 0
    for source in sources:
        for unit in units_of(source, settings.split):
            number += 1
            if number % shares != share % shares:
                continue
            if finished.get(unit.name) == unit.stamp:
                writer.tally.finished_units += 1
            else:
                if unit.name in finished:
                    writer.changed.add(unit.name)
                yield unit


def _part(text: str) -> tuple[int, int]:
    share, _, shares = text.partition("/")
    if not (share.isdigit() and shares.isdigit() and 1 <= int(share) <= int(shares)):
        raise ConfigError(f"part must be like 3/16, got {text!r}")
    return int(share), int(shares)


Piece = tuple[Unit, list[Item], bool]


def _work(units: Iterable[Unit], size: int) -> Iterator[Piece]:
    """Items in batches, none across two units; the last batch of a unit (perhaps empty) says so."""
    for unit in units:
        items = unit.items()
        batch = list(islice(items, size))
        while batch:
            after = list(islice(items, size))
            yield unit, batch, not after
            batch = after
            if not after:
                break
        else:
            yield unit, [], True


class _Writer:
    """Gathers rows, embeds them, and commits rows, skipped images and finished units, in this order."""

    def __init__(self, table: PoolTable, guide: Guide, tally: Tally, advance: Callable[[int], None]) -> None:
        self.table, self.guide, self.tally, self.advance = table, guide, tally, advance
        self.changed: set[str] = set()  # units that were finished before, with another content
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._known = KnownIds(table)
        self._fresh: set[str] = set()
        self._later: dict[str, dict[str, Any]] = {}
        self._skipped: list[tuple[str, str]] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._units: list[Unit] = []
        self._open: Unit | None = None
        self._since = time.monotonic()

    def prepare(self, piece: Piece) -> tuple[Unit, Prepared, bool]:
        """In a thread: read, hash, leave out what is there, decode."""
        unit, items, last = piece
        store = self.table.header.store
        return unit, prepare(items, self.guide, store=store, known=self._known.of), last

    def take(self, done: tuple[Unit, Prepared, bool]) -> None:
        """Embed a prepared batch and put it with the rows that wait to be committed."""
        unit, batch, last = done
        since = self._known.of([row["id"] for row in batch.rows])  # committed since it was prepared
        new = [i for i, row in enumerate(batch.rows) if row["id"] not in self._fresh and row["id"] not in since]
        again, bad = len(batch.rows) - len(new), len(batch.skipped)
        for i, vector in zip(new, batch.embedded(self.guide, new), strict=True):
            row = {**batch.rows[i], "vector": vector}
            if reason := unusable(vector):
                batch.skipped.append((row["source"], reason))
                continue
            self._rows.append(row)
            self._fresh.add(row["id"])
            self._bytes += len(row["image"] or b"")
        self._skipped += batch.skipped
        if unit.name in self.changed:
            self.tally.replaced += self.table.count_named([batch.rows[i]["source"] for i in new])
        for key, facts in batch.later.items():
            self._later[key] = {**facts, **self._later.get(key, {})}
        counts = {
            "added": len(new) - (len(batch.skipped) - bad),
            "known": batch.known + again,
            "skipped": len(batch.skipped),
        }
        for name, count in counts.items():
            self._counts[unit.name, name] += count
        self.tally.added += counts["added"]
        self.tally.known += counts["known"]
        self.tally.skipped.update(reason for _, reason in batch.skipped)
        self.advance(sum(counts.values()))
        self._open = None if last else unit
        if last:
            self._units.append(unit)
        full = len(self._rows) >= COMMIT_ROWS or self._bytes >= COMMIT_BYTES or len(self._units) >= 4096
        if full or time.monotonic() - self._since > COMMIT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit all that waits."""
        if self._rows:
            self.table.append_rows(self._rows)
            self._known.add([row["id"] for row in self._rows])
            if self._open is not None:
                self.table.append_started(self._open)
        self.tally.filled_in += self.table.fill_in(self._later)
        if self._skipped:
            self.table.append_skipped(self._skipped)
        if self._units:
            kinds = ("added", "known", "skipped")
            self.table.append_units([(u, {k: self._counts.pop((u.name, k), 0) for k in kinds}) for u in self._units])
        self._rows, self._skipped, self._units, self._bytes = [], [], [], 0
        self._fresh.clear()
        self._later.clear()
        self._since = time.monotonic()
