"""Judge a finished run again, without generating: images move between `images/` and `rejected/`, nothing is deleted.

The given filters judge every kept new image, and every image that an earlier rejudging refused (so that looser filters,
or none, bring it back). Images that the run itself rejected stay out unless they are to be reconsidered.

Safe to kill at any moment: a row never leaves both tables, `metadata.parquet` never names a file that is not there, and
the same command finishes what it began (a file is looked for in both places).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imaginate import registry
from imaginate.engine.context import RunContext
from imaginate.engine.run_filters import rejected_name
from imaginate.errors import ConfigError, DataError, RunError
from imaginate.files import Folder, json_bytes
from imaginate.records import Candidate, Image, Request, Sample, Verdict
from imaginate.write import card, sheet, tables

AGAIN = "refilter: "
# Filters that look at the candidate alone: they work where the source dataset is no longer there.
SEEDLESS = ("aesthetic", "held-out", "near-duplicate", "quality", "safety")

Row = dict[str, Any]


@dataclass
class Outcome:
    """`rejected`: reasons of images that leave the kept ones; `restored`: how many come back; `judged`: how many were
    looked at; `missing`: rows whose image was not stored."""

    judged: int = 0
    restored: int = 0
    missing: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Judge:
    """A filter under its registered name."""

    name: str
    judge: Any

    @property
    def column(self) -> str:
        """The table's column for its score."""
        return f"score_{self.name.replace('-', '_')}"


def make_judges(filters: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Judge]:
    """The filters in the order given, those that judge the whole run last."""
    made = [Judge(name, registry.make("filters", name, values)) for name, values in filters]
    return sorted(made, key=lambda j: j.judge.scope == "run")


def refilter(
    store: Folder,
    judges: Sequence[Judge],
    context: RunContext,
    samples: Mapping[str, Sample],
    *,
    reconsider: bool = False,
    dry_run: bool = False,
    batch: int = 64,
    seen: Callable[[int], None] = lambda n: None,
) -> Outcome:
    """Apply `judges` to the run in `store` and write the outcome, unless `dry_run`. `samples`: seeds by id.

    Raises RunError where a seed image is needed and not there.
    """
    kept, refused = _rows(store)
    pool = [r for r in kept if r["method"] is not None]
    pool += [r for r in refused if reconsider or r["reason"].startswith(AGAIN)]
    outcome = Outcome()
    verdicts = _judged(store, pool, judges, context, samples, outcome, batch, seen)
    before = {id(r) for r in kept}
    for row, verdict in verdicts:
        was = id(row) in before
        outcome.judged += 1
        outcome.restored += int(verdict.keep and not was)
        if was and not verdict.keep:
            outcome.rejected[verdict.reason] += 1
        row["kept"] = verdict.keep
        if verdict.keep or was or row["reason"].startswith(AGAIN):
            row["reason"] = "" if verdict.keep else AGAIN + verdict.reason
    if not dry_run:
        _write(store, kept, refused, judges)
    return outcome


def _rows(store: Folder) -> tuple[list[Row], list[Row]]:
    """Kept and rejected rows; a row that an interrupted rejudging left in both tables counts as kept."""
    kept = [dict(r) for r in tables.read(store).to_pylist()]
    known = {_key(r) for r in kept}
    refused = [dict(r) for r in tables.read(store, tables.REJECTED).to_pylist()]
    return kept, [r for r in refused if _key(r) not in known]


def _key(row: Row) -> tuple[Any, ...]:
    return (row["label"], row["seed_image"], row["method"], row["copy"], row["rng_seed"])


def _judged(
    store: Folder,
    pool: Sequence[Row],
    judges: Sequence[Judge],
    context: RunContext,
    samples: Mapping[str, Sample],
    outcome: Outcome,
    batch: int,
    seen: Callable[[int], None],
) -> Iterator[tuple[Row, Verdict]]:
    """Each row with its verdict, in table order; rows without a stored image are counted and left as they are."""
    seeds = _Seeds(samples, needed=any(j.name not in SEEDLESS for j in judges))
    memories = {j.name: j.judge.index() for j in judges if hasattr(j.judge, "judge_signature")}
    for start in range(0, len(pool), batch):
        rows = pool[start : start + batch]
        found = [(r, image) for r in rows if (image := _image(store, r)) is not None]
        outcome.missing += len(rows) - len(found)
        candidates = [_candidate(r, image) for r, image in found]
        requests = [seeds.request(r) for r, _ in found]
        verdicts = [Verdict(keep=True) for _ in found]
        for j in judges:
            alive = [i for i, v in enumerate(verdicts) if v.keep]
            given = _ask(j, [candidates[i] for i in alive], [requests[i] for i in alive], context, memories.get(j.name))
            for i, verdict in zip(alive, given, strict=True):
                verdicts[i] = verdict
                if verdict.score is not None:
                    found[i][0][j.column] = verdict.score
                found[i][0].update({f"info_{name}": value for name, value in verdict.info.items()})
        yield from zip((r for r, _ in found), verdicts, strict=True)
        seen(len(rows))


def _ask(
    j: Judge, candidates: Sequence[Candidate], requests: Sequence[Request], context: RunContext, memory: Any
) -> list[Verdict]:
    if not candidates:
        return []
    if memory is None:
        return list(j.judge.judge(candidates, requests, context))
    if getattr(j.judge, "cosine", None) is not None:
        raise ConfigError(f"refilter judges {j.name} by hash alone: leave out its cosine")
    from imaginate.ops.similarity import signature

    signed = [signature(c.image[None])[0] for c in candidates]
    return [j.judge.judge_signature(memory, f"{c.key}/{c.copy}", s) for c, s in zip(candidates, signed, strict=True)]


class _Seeds:
    """Requests with their seed images; one image is kept, since the copies of a seed lie together."""

    def __init__(self, samples: Mapping[str, Sample], needed: bool) -> None:
        self._samples, self._needed = samples, needed
        self._last: tuple[str, Image] = ("", None)

    def request(self, row: Row) -> Request:
        """What the row's image answered. Raises RunError for a seed image that is needed and not there."""
        key = row["seed_image"]
        sample = self._samples.get(key) if key is not None else None
        if key is None or not self._needed:
            return Request(key=key or f"class/{row['class_name']}", label=row["label"], copies=(), seeds=())
        if sample is None:
            raise RunError(f"seed image {key} is not in the source dataset; give --data PATH to where it lies now")
        if self._last[0] != key:
            from imaginate.data import load

            self._last = (key, load(sample))
        return Request(key=key, label=row["label"], copies=(), seeds=(), sample=sample, image=self._last[1])


def _image(store: Folder, row: Row) -> Image:
    """(3, h, w) uint8, wherever the file lies now; None where it was not stored."""
    from imaginate.data.decoding import decode_tensor

    if row["file_name"] is None:
        return None
    for place in (row["file_name"], _twin(row["file_name"])):
        if store.exists(place):
            return decode_tensor(store.get(place))
    raise RunError(f"{store.root} is damaged: {row['file_name']} is gone")


def _twin(name: str) -> str:
    """The same image's place on the other side."""
    return rejected_name(name) if name.startswith("images/") else "images/" + name.split("/", 1)[1]


def _candidate(row: Row, image: Image) -> Candidate:
    key = row["seed_image"] or f"class/{row['class_name']}"
    scores = {k.removeprefix("score_"): v for k, v in row.items() if k.startswith("score_") and v is not None}
    return Candidate(key=key, label=row["label"], copy=row["copy"], seed=row["rng_seed"], image=image, scores=scores)


def _write(store: Folder, kept: list[Row], refused: list[Row], judges: Sequence[Judge]) -> None:
    """The order matters: files that come back, then the tables (a row is always in one of them), then files that go."""
    back = [r for r in refused if r["kept"]]
    out = [r for r in kept if not r["kept"]]
    stay = [r for r in refused if not r["kept"]]
    for row in back:
        row["file_name"] = _moved(store, row["file_name"], to="images/")
    names = [r["file_name"] for r in out]
    for row in out:
        row["file_name"] = rejected_name(row["file_name"])
    every = [*kept, *refused]
    order = _order(store)
    returning = [{**r, "kept": False, "reason": AGAIN + "returning"} for r in back]
    store.put(tables.REJECTED, _encoded([*stay, *out, *returning], every, order))
    store.put(tables.KEPT, _encoded([r for r in kept if r["kept"]] + back, every, order))
    store.put(tables.REJECTED, _encoded([*stay, *out], every, order))
    # Also those that an interrupted rejudging left on the wrong side.
    for name in [*names, *(r["file_name"] for r in stay if r["file_name"] is not None)]:
        _moved(store, name, to="rejected/")
    _facts(store, judges)


def _order(store: Folder) -> dict[tuple[Any, ...], int]:
    """The place of each row in the run, from its shards: what comes back, comes back to its place."""
    columns = ["label", "seed_image", "method", "copy", "rng_seed"]
    shards = [n for n in store.names("shards") if n.endswith(".parquet")]
    rows = (r for n in shards for r in tables.read(store, f"shards/{n}").select(columns).to_pylist())
    return {_key(row): place for place, row in enumerate(rows)}


def _encoded(rows: list[Row], every: list[Row], order: Mapping[tuple[Any, ...], int]) -> bytes:
    """Rows as parquet, in the run's order, with the columns and types that all rows of both tables need."""
    import io

    import pyarrow.parquet as pq

    out = io.BytesIO()
    rows = sorted(rows, key=lambda r: order.get(_key(r), len(order)))
    pq.write_table(tables.fitted(tables.table(rows), tables.table(every).schema), out)
    return out.getvalue()


def _moved(store: Folder, name: str, *, to: str) -> str:
    """The image's name under `to`, after moving it there if it is not there yet."""
    target = to + name.split("/", 1)[1]
    source = _twin(target)
    if store.exists(source) and not store.exists(target):
        store.move(source, target)
    return target


def _facts(store: Folder, judges: Sequence[Judge]) -> None:
    """`run.json`, the card and the contact sheet after the change; the history of rejudgings is kept in run.json."""
    import yaml

    kept = tables.read(store, tables.KEPT).to_pylist()
    reasons = Counter(tables.read(store, tables.REJECTED).column("reason").to_pylist())
    facts = json.loads(store.get("run.json"))
    facts["totals"]["kept"] = sum(r["method"] is not None for r in kept)
    facts["totals"]["rejected"] = dict(reasons.most_common())
    settings = [{"name": j.name, **{k: str(v) for k, v in vars(j.judge).items()}} for j in judges]
    facts["refiltered"] = [*facts.get("refiltered", []), settings]
    store.put("run.json", json_bytes(facts))
    store.put("README.md", card.dataset_card(yaml.safe_load(store.get("recipe.yaml")), facts).encode())
    store.put("contact-sheet.png", sheet.contact_sheet(store))


def open_samples(path: Any, originals: Sequence[Row], store: Folder) -> dict[str, Sample]:
    """Seeds by id, from the source dataset (a DataSpec); where it is gone, from the originals kept in the run."""
    from imaginate.data import open_dataset

    try:
        return {s.id: s for s in open_dataset(path).samples}
    except DataError:
        kept = [r for r in originals if r["method"] is None and r["file_name"]]
        return {r["seed_image"]: _kept_sample(r, store) for r in kept}


def _kept_sample(row: Row, store: Folder) -> Sample:
    return Sample(id=row["seed_image"], label=row["label"], source=_InRun(store, row["file_name"]))


@dataclass(frozen=True)
class _InRun:
    """An original that lies in the run folder."""

    store: Folder
    name: str

    def read(self) -> bytes:
        """The file's bytes."""
        return self.store.get(self.name)
