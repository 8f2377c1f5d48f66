"""A finished run grows: more copies, more seeds, more classes. What is there stays, bit for bit; only the rest is made.

The grown run is planned as if it were made at once. Its shards take the rows that the run has (`Earlier`) and ask the
method for the copies that no row has yet, by the same numbers and so with the same seeds: a method whose copies do not
depend on one another gives the same folder as at once. Whatever could take an image away is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imaginate.contract import Bounded
from imaginate.engine.own_scores import OWN
from imaginate.engine.plan import Plan
from imaginate.engine.recipe import changes, determining
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.engine.sizes import Size
from imaginate.engine.units import Unit
from imaginate.engine.verdicts import AGAIN, BY, REMOVED
from imaginate.errors import ImaginateError, RunError
from imaginate.files import EARLIER, KEPT, REJECTED, SEEDS, Folder, json_bytes
from imaginate.records import Candidate, LabelSpace, Verdict
from imaginate.runs import Row, RunFolder
from imaginate.write.names import folders_in_label_order
from imaginate.write.tables import BASE

if TYPE_CHECKING:
    import pyarrow as pa

GROWING = "growing"  # the key of run.json while a run grows: "clearing" its old shards, then "making" the new ones
# What may change: how many copies, and which part of the dataset, as long as all seeds that were there still are.
MAY_GROW = {
    "expand": ("copies", "per_class"),
    "select": ("balance_to",),
    "data": ("shots", "fraction", "classes", "imbalance"),
}


def is_growth(store: Folder, known: Mapping[str, Any], recipe: ResolvedRecipe, plan: Plan) -> bool:
    """Whether only the amounts changed since the run was finished, or seeds came. RunError where they did and an image
    of the run could not stay."""
    if not known.get("finished"):
        return False
    before, now = determining(recipe.completed(RunFolder(store).recipe)), determining(recipe.to_dict())
    if changes(_without_amounts(before), _without_amounts(now)):
        return False
    if not changes(before, now) and known.get("data_fingerprint") == plan.data_fingerprint:
        return False
    if not _has_all(store, plan):
        return False
    if reason := _why_not(store, known, recipe, plan):
        raise RunError(f"{store.root} cannot grow: {reason}; use a new folder")
    return _is_more(known, plan)


def _without_amounts(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {k: v for k, v in value.items() if k not in MAY_GROW.get(key, ())} if isinstance(value, Mapping) else value
        for key, value in recipe.items()
    }


def _has_all(store: Folder, plan: Plan) -> bool:
    """Whether every seed of the run is still there, with the bytes that it had."""
    before = set(store.get(SEEDS).decode(errors="surrogateescape").splitlines())
    before.difference_update(plan.seed_lines())
    return not before


def _is_changed(store: Folder) -> bool:
    """Whether a refiltering, or a decision of a person, is in effect."""
    if store.exists(EARLIER):  # it was about to grow, when this was asked before; nothing else changes such a run
        return False
    run = RunFolder(store)
    with run.parquet() as table:
        if not {OWN, BY}.isdisjoint(table.schema_arrow.names):
            return True
    reasons = (batch.column(0).to_pylist() for batch in run.batches(REJECTED, columns=("reason",)))
    return any(reason == REMOVED or reason.startswith(AGAIN) for some in reasons for reason in some)


def _is_more(known: Mapping[str, Any], plan: Plan) -> bool:
    """Whether no class gets fewer images than before."""
    classes = known["classes"]
    return all(one["new"] <= plan.counts.get(one["name"], {"new": -1})["new"] for one in classes)


def _why_not(store: Folder, known: Mapping[str, Any], recipe: ResolvedRecipe, plan: Plan) -> str:
    if recipe.select.ranked:
        return f"select {recipe.select.policy} (scope {recipe.select.scope}) would choose among all images again"
    if isinstance(recipe.method, Bounded) and (reason := recipe.method.bounded):
        return reason
    if _is_changed(store):
        return (
            "it was refiltered or reviewed since, which making it larger would undo (`imaginate refilter "
            f"{store.root}` takes a refiltering back)"
        )
    old = [str(one["name"]) for one in known["classes"]]
    folders = dict(zip(plan.labels.names, folders_in_label_order(plan.labels.names), strict=True))
    moved = [name for name, folder in zip(old, folders_in_label_order(old), strict=True) if folders.get(name) != folder]
    return f"with the new classes, the folder of class {moved[0]!r} would be another" if moved else ""


def begin(store: Folder, facts: Mapping[str, Any], describe: Callable[[], None]) -> None:
    """Write down that the run grows, and put its rows aside. Killed at any moment, the same command goes on.

    `facts`: run.json of the grown run; `describe` writes its recipe and its list of seeds."""
    names = [str(one["name"]) for one in RunFolder(store).facts["classes"]]
    put_aside(store, names)
    store.put("run.json", json_bytes({**facts, GROWING: "clearing"}))
    go_on(store, {**facts, GROWING: "clearing"}, describe)


def go_on(store: Folder, facts: Mapping[str, Any], describe: Callable[[], None]) -> None:
    """Remove the shards of the smaller run, if that is not done yet."""
    if facts.get(GROWING) != "clearing":
        return
    for name in store.names("shards"):
        if name[0].isdigit():
            store.remove(f"shards/{name}")
    describe()
    store.put("run.json", json_bytes({**facts, GROWING: "making"}))


def put_aside(store: Folder, classes: list[str]) -> None:
    """All rows of the finished run in one file, with the names of its classes in label order."""
    import io
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    store.remove(EARLIER)  # of a growth that was stopped before it began
    run = RunFolder(store)
    rows = pa.concat_tables([run.table(KEPT), run.table(REJECTED)], promote_options="permissive")
    out = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata({b"classes": json.dumps(classes).encode()}), out)
    store.put(EARLIER, out.getvalue())


@dataclass(frozen=True)
class Known:
    """What a run had of a unit before it grew: the row of the original, the rows of its first copies, these as they
    were judged, and the sizes of the kept ones."""

    original: Row | None = None
    rows: Sequence[Row] = ()
    judged: Sequence[tuple[Candidate, Verdict]] = ()
    sizes: Sequence[Size] = ()


class Earlier:
    """The rows of a run before it grew, by what they are copies of."""

    def __init__(self, store: Folder, labels: LabelSpace) -> None:
        import json

        self._store, self._labels = store, labels
        self._table: pa.Table = RunFolder(store).table(EARLIER)
        self._classes: list[str] = json.loads(self._table.schema.metadata[b"classes"])
        self._places: dict[str, list[int]] = {}
        keys = zip(self._table["seed_image"].to_pylist(), self._table["class_name"].to_pylist(), strict=True)
        for place, (seed, name) in enumerate(keys):
            self._places.setdefault(f"class/{name}" if seed is None else seed, []).append(place)
        self._empty = {name for name in self._table.column_names if self._table[name].null_count == len(self._table)}

    def known(self, unit: Unit, is_seen: Callable[[Row], bool]) -> Known:
        """What there is of a unit, its copies in the order of their numbers; with pictures where kept and `is_seen`.

        Of several units of one class each has the copies of its slots, and the spare ones that follow from these."""
        every = [self._row(place) for place in self._places.get(unit.key, ())]
        original = next((row for row in every if row["method"] is None), None)
        copies = [row for row in every if row["method"] is not None and _is_of(unit, row["copy"])]
        rows = sorted(copies, key=lambda row: int(row["copy"]))
        judged = [
            (self._candidate(unit, row, is_seen), Verdict(keep=row["kept"], reason=row["reason"])) for row in rows
        ]
        sizes = [self._size(row) for row in rows if row["kept"]]
        return Known(original, rows, judged, [size for size in sizes if size is not None])

    def _candidate(self, unit: Unit, row: Row, is_seen: Callable[[Row], bool]) -> Candidate:
        image = self._image(row) if row["kept"] and is_seen(row) else None
        return Candidate(key=unit.key, label=unit.label, copy=row["copy"], seed=row["rng_seed"], image=image)

    def kept_names(self) -> set[str]:
        """The file names of the images that were kept."""
        names, kept = self._table["file_name"].to_pylist(), self._table["kept"].to_pylist()
        return {name for name, is_kept in zip(names, kept, strict=True) if is_kept}

    def _size(self, row: Row) -> Size | None:
        """(width, height) of a row's image; None where its file is gone."""
        from PIL import Image

        try:
            with self._store.open(row["file_name"]) as file, Image.open(file) as opened:
                width, height = opened.size
        except (OSError, ImaginateError):
            return None
        return width, height

    def _image(self, row: Row) -> Any:
        """(3, h, w) uint8 of a row's image; None where its file is gone."""
        from imaginate.data.decoding import decode_tensor

        try:
            return decode_tensor(self._store.get(row["file_name"]))
        except ImaginateError:
            return None

    def _row(self, place: int) -> Row:
        """A row as a shard writes it: without what it does not know, and in the labels of today."""
        row: Row = self._table.slice(place, 1).to_pylist()[0]
        known = {k: v for k, v in row.items() if v is not None or k in BASE.names or k in self._empty}
        known["label"] = self._labels.index(known["class_name"])
        if known["soft_label"] is not None and tuple(self._classes) != self._labels.names:
            shares = dict(zip(self._classes, known["soft_label"], strict=True))
            known["soft_label"] = [shares.get(name, 0.0) for name in self._labels.names]
        return known


def _is_of(unit: Unit, copy: int) -> bool:
    if unit.wanted == unit.total:
        return True
    return unit.start <= copy % max(1, unit.total) < unit.stop
