"""What is in a run: counts, rejects by reason, where each image came from, what guidance changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from imaginate.errors import ConfigError, lines_of_classes
from imaginate.markdown import picture_and_text
from imaginate.runs import KEPT, REJECTED, Columns, Facts, Row, RunFolder
from imaginate.workflows.image_words import about_image
from imaginate.workflows.inspect_counts import COUNTED, Summary, is_gain
from imaginate.workflows.licences import Licences, licences_of
from imaginate.write.sheet import contact_sheet

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class InspectedRun:
    """A run: its facts (`run.json`) and its tables (one row an image). `print` it for a summary. `unfinished`: how far
    it has come, where it is not finished; its tables are then those of its finished shards. A table is read when it is
    asked for; the summary holds a few rows at a time."""

    run: RunFolder
    facts: Facts
    unfinished: str = ""

    @cached_property
    def kept(self) -> pa.Table:
        """The kept images, seeds included."""
        return self._table(kept=True)

    @cached_property
    def rejected(self) -> pa.Table:
        """The rejected images, with the reason."""
        return self._table(kept=False)

    def _table(self, *, kept: bool) -> pa.Table:
        import pyarrow as pa

        if not self.unfinished:
            return self.run.table(KEPT if kept else REJECTED)
        parts = [pa.Table.from_batches([batch]) for batch in self._batches(kept=kept)]
        return pa.concat_tables(parts, promote_options="permissive")

    def _batches(self, *, kept: bool, columns: Columns | None = None) -> Iterator[pa.RecordBatch]:
        """One of the two tables in small pieces."""
        import pyarrow.compute as pc

        if not self.unfinished:
            yield from self.run.batches(KEPT if kept else REJECTED, columns=columns)
            return
        for name in self.run.finished_shards():
            for batch in self.run.batches(name, columns=columns, needed=("kept",)):
                is_kept = batch.column("kept")
                yield batch.filter(is_kept if kept else pc.invert(is_kept))

    def __repr__(self) -> str:
        kept, rejected = (sum(b.num_rows for b in self._batches(kept=k, columns=("kept",))) for k in (True, False))
        return f"InspectedRun({self.run.root!r}, {kept} images, {rejected} rejected)"

    def _repr_html_(self) -> str:
        """For notebooks: the summary and a contact sheet."""
        return picture_and_text(self.sheet(), str(self))

    def to_pandas(self) -> Any:
        """A row an image, kept or rejected, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.concat_tables([self.kept, self.rejected], promote_options="permissive").to_pandas()

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values."""
        kept = self._summary()
        return {
            "run": self.run.root, "method": self.run.method, "images": kept.rows, "origins": dict(kept.origins),
            "classes": dict(kept.classes), "rejected": dict(self._reasons()),
            "is_finished": not self.unfinished, "facts": dict(self.facts),
        }  # fmt: skip

    def images(self, part: str) -> list[Row]:
        """Every column of the images, kept or rejected, whose file name holds `part`. ConfigError for none."""
        import pyarrow.compute as pc

        found: list[Row] = []
        for kept in (True, False):
            for batch in self._batches(kept=kept):
                has = pc.match_substring(batch.column("file_name"), part)
                found += batch.filter(has).to_pylist()
        if not found:
            raise ConfigError(f"no image with {part!r} in its file name")
        return found

    def licences(self) -> Licences:
        """The licences of what the images come from, by the fields of the sources, and what they ask for."""
        return licences_of(self.run, self.kept)

    def in_words(self, part: str) -> list[str]:
        """What happened to these images, in a newcomer's words: a paragraph each."""
        return [about_image(row) for row in self.images(part)]

    def sheet(self, *, rows: int = 12) -> bytes:
        """A contact sheet of up to `rows` seeds with their copies, rejected ones included, as PNG bytes."""
        return contact_sheet(self.run.store, rows=rows)

    def __str__(self) -> str:
        kept, reasons = self._summary(), self._reasons()
        lines = [f"{self.run.root}: {kept.rows} images{self.unfinished}", ""]
        lines += [f"  {n:>8}  {origin}" for origin, n in kept.origins.most_common()]
        lines += ["", f"rejected: {sum(reasons.values())}"]
        lines += [f"  {n:>8}  {reason}" for reason, n in reasons.most_common()]
        totals, cost = self.facts.get("totals") or {}, self.facts.get("cost") or {}
        if totals.get("skipped_reasons"):
            lines += ["", f"seed images skipped: {totals['skipped']} (listed in skipped.csv)"]
            lines += [f"  {n:>8}  {reason}" for reason, n in totals["skipped_reasons"].items()]
        lines += ["", *_classes(self.facts, kept.new), "", *_per_seed(kept), *_gains(kept)]
        lines += _agreement(self.facts, str((self.run.recipe.get("roles") or {}).get("guide") or ""))
        gone = [] if self.unfinished else self.run.gone()
        lines += [self.run.words_for_gone(gone), ""] if gone else []
        lines += [f"note: {note}" for note in self.facts.get("data_notes") or ()]
        if cost.get("seconds_per_image"):
            rate = 1 / cost["seconds_per_image"]
            lines.append(f"cost: {cost['seconds']:.1f} s in all, {rate:,.1f} images/s")
        return "\n".join(lines)

    def _summary(self) -> Summary:
        found = Summary()
        for batch in self._batches(kept=True, columns=lambda name: name in COUNTED or is_gain(name)):
            found.add(batch)
        return found

    def _reasons(self) -> Counter[str]:
        reasons: Counter[str] = Counter()
        for batch in self._batches(kept=False, columns=("reason",)):
            reasons.update(batch.column("reason").to_pylist())
        return reasons


def inspect(run: str | os.PathLike[str]) -> InspectedRun:
    """What is in a run; of one that is not finished, in its finished shards. Raises RunError for a folder that is no
    run, has no image yet, or is damaged."""
    folder = RunFolder(run)
    if not folder.is_finished and folder.finished_shards():
        return _inspect_unfinished(folder)
    with folder.parquet(), folder.parquet(REJECTED):  # both are there and can be read
        folder.check_facts("classes", "totals", "cost")
    return InspectedRun(run=folder, facts=folder.facts)


def _inspect_unfinished(folder: RunFolder) -> InspectedRun:
    folder.check_facts("classes", "shards")
    names = folder.finished_shards()
    lost = folder.words_for_lost_table()
    further = f"it was finished, but {lost}" if lost else "the run's own command goes on"
    far = f" so far: {len(names)} of {folder.facts['shards']} shards are finished; {further}"
    return InspectedRun(run=folder, facts=folder.facts, unfinished=far)


def _classes(facts: Facts, new: Mapping[str, int]) -> list[str]:
    width = max([len(c["name"]) for c in facts["classes"]] + [5])
    lines = [f"{'class':<{width}}  {'seeds':>7}  {'wanted':>7}  {'new':>7}"]
    each = []
    for c in facts["classes"]:
        made = new.get(c["name"], 0)
        is_short = made < c["new"]
        words = f"{c['name']:<{width}}  {c['seeds']:>7}  {c['new']:>7}  {made:>7}{'  short' if is_short else ''}"
        each.append((words, is_short))
    return lines + lines_of_classes(each)


def _backbone(guide: str) -> str:
    """The network of a guide, without its images' size."""
    return guide.rpartition(":")[2].partition("@")[0]


def _agreement(facts: Facts, guide: str) -> list[str]:
    """How many copies still show their class, next to the seeds, and the classes where fewest do."""
    found = facts.get("agreement")
    if not found:
        return []
    seeds = "" if found["seeds"] is None else f", seeds {found['seeds']:.0%}"
    who = "an independent judge"
    if _backbone(str(found["judge"])) == _backbone(guide):
        who = f"{found['judge']}, which also guided them (--judge prototypes:BACKBONE takes another)"
    lines = [f"copies that still show their class, by {who}: {found['copies']:.0%}{seeds}"]
    rows = [(c["copies"][0] / c["copies"][1], name, c) for name, c in found["classes"].items() if c["copies"][1]]
    for share, name, c in sorted(rows, key=lambda row: (row[0], row[1]))[:3]:
        lines.append(f"  {share:>8.0%}  {name} ({c['copies'][0]} of {c['copies'][1]})")
    return [*lines, ""]


def _per_seed(kept: Summary) -> list[str]:
    """How many new images each seed has: the long tail of GIF Fig. 9."""
    tail = kept.images_per_seed()
    if not tail:
        return []
    return ["new images per seed:", *(f"  {tail[n]:>8}  seeds with {n}" for n in sorted(tail)), ""]


def _gains(kept: Summary) -> list[str]:
    """A histogram of each score that was measured before and after guidance."""
    lines: list[str] = []
    for name, gains in kept.gains.items():
        lines += _histogram(f"gain of {name[6:-7].replace('_', ' ')} by guidance", gains.tolist())
    return lines


def _histogram(title: str, values: list[float], bins: int = 10) -> list[str]:
    if not values:
        return []
    low, high = min(values), max(values)
    step = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / step))] += 1
    top = max(counts)
    lines = [f"{title}: mean {sum(values) / len(values):+.4f} over {len(values)} images"]
    lines += [f"  {low + i * step:>+9.4f}  {'#' * round(40 * n / top):<40} {n}" for i, n in enumerate(counts)]
    return [*lines, ""]
