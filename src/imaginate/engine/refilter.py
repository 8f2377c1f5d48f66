"""Judge a finished run again, without generating: images move between `images/` and `rejected/`, nothing is deleted.

Each refiltering begins with the run as it was made: the given filters judge every image that the run itself kept, so
that looser filters, or none, bring back what an earlier one rejected. Images that the run itself rejected stay out
unless they are to be reconsidered.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imaginate import markdown
from imaginate.contract import Context, RunFilter
from imaginate.data import DataSpec
from imaginate.data.decoding import decode_tensor
from imaginate.decisions import Decision, add, merged, read_file, read_log
from imaginate.engine import own_scores, verdicts
from imaginate.engine.context import RunContext
from imaginate.engine.kept_rows import Changes, bring_into_effect
from imaginate.engine.recipe import Recipe, as_list, read_recipe
from imaginate.engine.refilter_seeds import SeedRequests, SeedSamples
from imaginate.engine.resolve import NamedFilter, ResolvedRecipe, resolve_to_refilter
from imaginate.engine.run_filters import other_side
from imaginate.engine.run_rows import Part, RunRows
from imaginate.engine.verdicts import AGAIN, REMOVED, check_classes
from imaginate.errors import ConfigError, RunError
from imaginate.files import KEPT, Folder
from imaginate.ownership import own
from imaginate.progress import Bar, bar
from imaginate.records import Candidate, Image, Request, Verdict, steady
from imaginate.runs import Row, RunFolder

BATCH = 64

Filters = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


@dataclass
class Refiltered:
    """What came of it. `rejected`: reasons of images that leave the kept ones; `restored`: how many come back;
    `judged`: how many were judged; `missing`: rows whose image was not stored; `decided`: images on which
    people had the last word."""

    path: str
    judged: int = 0
    restored: int = 0
    missing: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dry_run: bool = False
    decided: int = 0

    def _repr_html_(self) -> str:
        """For notebooks: the reasons, and how many images each took."""
        return markdown.table(self._rows(), str(self).split("\n", 1)[0])

    def to_pandas(self) -> Any:
        """A row a reason, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self._rows()).to_pandas()

    def _rows(self) -> list[dict[str, Any]]:
        return [{"reason": reason, "images": count} for reason, count in self.rejected.most_common()]

    def __str__(self) -> str:
        would = "would be " if self.dry_run else ""
        out = sum(self.rejected.values())
        lines = [f"{self.path}: {self.judged} images judged, {out} {would}rejected, {self.restored} {would}restored"]
        lines += [f"  {n:>8}  {reason}" for reason, n in self.rejected.most_common()]
        if self.decided:
            lines.append(f"{self.decided} images as people decided (decisions.jsonl)")
        if self.missing:
            lines.append(f"{self.missing} rejected images were not stored and cannot be judged")
        return "\n".join(lines)


def refilter(
    run: str | os.PathLike[str],
    filters: Filters = (),
    *,
    guide: str | None = None,
    data: str | None = None,
    held_out: str | None = None,
    held_out_split: str | None = None,
    reconsider: bool = False,
    accept_removed: bool = False,
    reviewed: bool = False,
    decisions: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    device: str = "auto",
    progress: bool = True,
) -> Refiltered:
    """Judge the new images of a finished run again; without any filter, all that was refiltered before comes back.

    `filters`: one or several, each a name, or a mapping with a name and settings (`{"name": "quality", "side": 64}`).
    `guide`: default the run's own. `data`: where the source dataset is now, if it was moved. `held_out`: reject
    near-duplicates of these images. `reconsider`: judge the images too that the run itself rejected. `accept_removed`:
    images that somebody removed from the folder are rejected as `removed by hand`; without filters, that is all that is
    done. `reviewed`: only bring into effect what people decided in `review`; that happens after filters, too.
    `decisions`: a log of such decisions that was exported elsewhere, which is added to the run's own first. `dry_run`:
    say what would change, change nothing. Raises RunError for what is no finished run, or one with images that are
    gone, ConfigError for a filter that cannot be used.
    """
    source = RunFolder(run)
    source.check_finished()
    if held_out_split and not held_out:
        raise ConfigError("--held-out-split needs --held-out PATH")
    chosen = as_list(filters)
    with own(source.store, "refilter", is_run=True):
        recipe = _recipe(source, chosen, guide, (held_out, held_out_split), device)
        spec = dataclasses.replace(recipe.data, path=data) if data else recipe.data
        gone = source.gone()
        if gone and not accept_removed:
            raise RunError(source.words_for_gone(gone))
        reviewed = reviewed or decisions is not None
        judged = bool(chosen or held_out or reconsider or not (accept_removed or reviewed))
        log = read_log(source.store) if source.store.local else []
        fingerprint = str(source.facts.get("fingerprint", ""))
        more: list[Decision] = []
        if decisions is not None:
            more = merged(log, read_file(decisions, fingerprint))
            check_classes(more, source.labels, os.fspath(decisions))
            log = sorted([*log, *more], key=lambda one: one.at)
        resolved = resolve_to_refilter(recipe)
        if more and not dry_run:  # only now: what is refused leaves the run as it was
            add(source.store, fingerprint, more)
        return _refilter(source, resolved, spec, _Wanted(set(gone), judged, reconsider, dry_run, progress, log))


@dataclass(frozen=True)
class _Wanted:
    """What is to be done: the images that are gone, whether any is judged, and how."""

    gone: Collection[str]
    is_judged: bool
    reconsider: bool
    dry_run: bool
    progress: bool
    log: Sequence[Decision]


def _recipe(
    run: RunFolder, filters: Filters, guide: str | None, held_out: tuple[str | None, str | None], device: str
) -> Recipe:
    """The run's recipe, with the filters, the guide and the device that are asked for now."""
    recipe = read_recipe({**run.recipe, "filters": list(filters)})
    path, split = held_out
    roles = dataclasses.replace(
        recipe.roles, guide=guide or recipe.roles.guide, held_out=path, held_out_split=split, device=device
    )
    return dataclasses.replace(recipe, roles=roles)


def _refilter(run: RunFolder, recipe: ResolvedRecipe, spec: DataSpec, wanted: _Wanted) -> Refiltered:
    store, labels = run.store, run.labels
    run.check_facts("classes", "totals", "wanted", "imaginate")
    if lost := [key for key in ("method", "expand", "write") if key not in run.recipe]:
        raise RunError(f"{run.root} is damaged: its recipe.yaml has no {', '.join(lost)}")
    if labels is None:
        raise RunError(f"{run.root} is damaged: its run.json lists no classes")
    rows, samples = RunRows(store), SeedSamples(spec, run)
    context = RunContext(recipe, labels, samples)
    filters = sorted(recipe.filters, key=lambda f: f.filter.scope == "run")
    context.prepare(*(f.filter for f in filters))
    outcome, reviewed = Refiltered(store.root, dry_run=wanted.dry_run), verdicts.Reviewed(wanted.log, labels)
    judge = _Judge(store, filters, context, samples, outcome)
    left: list[str] = []
    total = rows.count(AGAIN) if wanted.is_judged else 0
    with Changes() as changes, bar("judging", total, show=wanted.progress and wanted.is_judged) as shown:
        for part in (part for are_kept in (True, False) for part in rows.parts(are_kept=are_kept)):
            verdicts.take_back(part.rows)
            if wanted.is_judged:
                changes.may_leave_out(own_scores.take_back(part.rows))
            _accept_removed(part, wanted.gone, outcome)
            if wanted.is_judged:
                _judge_again(part.rows, judge, wanted.reconsider, outcome, shown)
                _count_taken_back(part, outcome)
            outcome.decided += reviewed.apply(part.rows)
            if not wanted.dry_run:
                left += reviewed.put_in_class_folders(run, part.rows)
                changes.add(part)
        if not wanted.dry_run:
            bring_into_effect(store, changes, filters)
            for name in set(left).difference(rows.names()) if left else ():
                store.remove(name)
            store.clean()
    return outcome


def _accept_removed(part: Part, gone: Collection[str], outcome: Refiltered) -> None:
    """Images that somebody removed are rejected, and their files are not looked for again."""
    for row in part.rows if gone and part.table == KEPT else ():
        if row["file_name"] in gone:
            row.update(kept=False, reason=REMOVED, file_name=None)
            outcome.rejected[REMOVED] += 1


def _judge_again(rows: Sequence[Row], judge: _Judge, reconsider: bool, outcome: Refiltered, shown: Bar) -> None:
    """Judge the new images that are kept, and those that an earlier refiltering rejected."""
    pool = [r for r in rows if r["method"] is not None and r["kept"]]
    pool += [r for r in rows if not r["kept"] and (reconsider or r["reason"].startswith(AGAIN))]
    for start in range(0, len(pool), BATCH):
        some = pool[start : start + BATCH]
        for row, verdict in judge.verdicts(some):
            _apply(row, verdict, row["kept"], outcome)
        shown.advance(len(some))


def _count_taken_back(part: Part, outcome: Refiltered) -> None:
    """Images that an earlier refiltering reconsidered, and this one does not."""
    for row in part.rows if part.table == KEPT else ():
        if not row["kept"] and row["reason"] != REMOVED and not row["reason"].startswith(AGAIN):
            outcome.rejected[row["reason"]] += 1


def _apply(row: Row, verdict: Verdict, was_kept: bool, outcome: Refiltered) -> None:
    """Write a verdict into its row, and count it."""
    outcome.judged += 1
    outcome.restored += int(verdict.keep and not was_kept)
    if was_kept and not verdict.keep:
        outcome.rejected[verdict.reason] += 1
    if verdict.keep and not was_kept and not row["reason"].startswith(AGAIN):  # the run's own no
        own_scores.put(row, {"kept": True, "reason": ""})
    row["kept"] = verdict.keep
    if verdict.keep or was_kept or row["reason"].startswith(AGAIN):
        row["reason"] = "" if verdict.keep else AGAIN + verdict.reason


class _Judge:
    """All filters, with what those that compare images have seen."""

    def __init__(
        self,
        store: Folder,
        filters: Sequence[NamedFilter],
        context: Context,
        samples: SeedSamples,
        outcome: Refiltered,
    ) -> None:
        self._store, self._filters, self._context, self._outcome = store, filters, context, outcome
        self._seeds = SeedRequests(samples, needed=any(f.filter.needs_seed for f in filters))
        self._memories = {f.name: f.filter.empty_memory() for f in filters if isinstance(f.filter, RunFilter)}

    def verdicts(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Verdict]]:
        """Each row with its verdict, in order; rows without a stored image are counted and left as they are."""
        there = [(r, place) for r in rows if (place := _place(self._store, r)) is not None]
        self._outcome.missing += len(rows) - len(there)
        verdicts = [Verdict(keep=True) for _ in there]
        if self._filters:
            candidates = [_candidate(r, decode_tensor(self._store.get(place))) for r, place in there]
            requests = [self._seeds.request(r) for r, _ in there]
        for f in self._filters:
            alive = [i for i, v in enumerate(verdicts) if v.keep]
            asked = [candidates[i] for i in alive], [requests[i] for i in alive]
            for i, verdict in zip(alive, _ask(f, *asked, self._context, self._memories), strict=True):
                verdicts[i] = verdict
                found: Row = {f"info_{name}": value for name, value in verdict.info.items()}
                if verdict.score is not None:
                    found[f"score_{f.column}"] = steady(verdict.score)
                if found:
                    own_scores.put(there[i][0], found)
        yield from zip((r for r, _ in there), verdicts, strict=True)


def _ask(
    named: NamedFilter,
    candidates: Sequence[Candidate],
    requests: Sequence[Request],
    context: Context,
    memories: Mapping[str, Any],
) -> list[Verdict]:
    """The verdicts of one filter on the images that are still kept."""
    if not candidates:
        return []
    if not isinstance(named.filter, RunFilter):
        return list(named.filter.judge(candidates, requests, context))
    if not named.filter.by_signature:
        raise ConfigError(f"refilter judges {named.name} by hash alone: leave out its cosine")
    from imaginate.ops.similarity import signature

    signed = [signature(c.image[None])[0] for c in candidates]
    judge, memory = named.filter.judge_next, memories[named.name]
    return [judge(memory, f"{c.key}/{c.copy}", s) for c, s in zip(candidates, signed, strict=True)]


def _place(store: Folder, row: Row) -> str | None:
    """Where its image is, in either folder; None where it was not stored."""
    if row["file_name"] is None:
        return None
    for place in (row["file_name"], other_side(row["file_name"])):
        if store.exists(place):
            return str(place)
    raise RunError(f"{store.root} is damaged: {row['file_name']} is gone")


def _candidate(row: Row, image: Image) -> Candidate:
    key = row["seed_image"] or f"class/{row['class_name']}"
    scores = {k.removeprefix("score_"): v for k, v in row.items() if k.startswith("score_") and v is not None}
    return Candidate(key=key, label=row["label"], copy=row["copy"], seed=row["rng_seed"], image=image, scores=scores)
