"""The scores of a run's images: before and after guidance, of kept and of rejected images."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from imaginate.reports import plots, words
from imaginate.reports.read import RunContents, View

if TYPE_CHECKING:
    import pyarrow as pa

MOST = 9
MEANING = {
    "kept": "the guide's probability of the seed's class (GIF Eq. 5, class maintenance)",
    "entropy gain": "entropy of the guide's prediction, copy minus seed (GIF Eq. 5)",
    "informativeness": "class maintenance and entropy gain together (GIF Eq. 5)",
    "diversity": "how far a copy is from the mean of its seed's copies (GIF Eq. 6)",
    "total": "what guidance raises: informativeness and diversity",
}


def scores(run: RunContents) -> list[View]:
    """A plot for each score: guidance pairs over all new images, other scores for kept and rejected ones."""
    names = [c[6:] for c in run.kept.column_names if c.startswith("score_")]
    out: list[View] = []
    used: set[str] = set()
    for name in names:
        after = _partner(name, names)
        if after:
            used |= {name, after}
            out.append(_guided(run, name, after))
    for name in names:
        if name not in used:
            pairs = [("kept", _values(run.kept, name)), ("rejected", _values(run.rejected, name))]
            out.append(_score(name, pairs))
    return [s for s in out if s["plot"]][:MOST]


def guidance(run: RunContents) -> str:
    """How often the guide still sees the seed's class, before and after guidance; empty without guidance."""
    needed = ("info_seed_class", "info_class_before", "info_class_after")
    if any(column not in run.kept.column_names for column in needed):
        return ""
    found = [
        row for table in (run.kept, run.rejected) for row in zip(*(_column(table, c) for c in needed), strict=True)
    ]
    found = [row for row in found if None not in row]
    if not found:
        return ""
    before, after = (sum(row[0] == row[i] for row in found) / len(found) for i in (1, 2))
    return (
        f"The guide sees the seed's class in {words.percent(before)} % of the copies before guidance, and in "
        f"{words.percent(after)} % after it ({words.count(len(found), 'copy', 'copies')}, rejected ones included)."
    )


def _partner(name: str, names: list[str]) -> str | None:
    if not name.endswith("_before"):
        return None
    stem = name.removesuffix("_before")
    return next((n for n in (f"{stem}_after", stem) if n in names), None)


def _guided(run: RunContents, before: str, after: str) -> View:
    pairs = [
        (a, b)
        for table in (run.kept, run.rejected)
        for a, b in zip(_column(table, f"score_{before}"), _column(table, f"score_{after}"), strict=True)
        if a is not None and b is not None
    ]
    view = _score(
        before.removesuffix("_before"),
        [("before guidance", [a for a, _ in pairs]), ("after guidance", [b for _, b in pairs])],
    )
    if pairs:
        higher = sum(b > a for a, b in pairs) / len(pairs)
        view["note"] = f"Higher after guidance in {words.percent(higher)} % of the images."
    return view


def _score(name: str, groups: list[tuple[str, list[float]]]) -> View:
    groups = [(t, vs) for t, vs in groups if vs]
    label = name.replace("_", " ")
    rows = [
        {"title": t, "mark": Markup(plots.legend_mark(i)), "median": words.number(median(vs)), "n": len(vs)}
        for i, (t, vs) in enumerate(groups)
    ]
    plot = Markup(plots.histograms(groups, label=label))
    return {"name": label, "meaning": MEANING.get(label, ""), "plot": plot, "rows": rows, "note": ""}


def _column(table: pa.Table, name: str) -> list[Any]:
    """The values of a column; null in every row where the table has none of that name."""
    return list(table.column(name).to_pylist()) if name in table.column_names else [None] * table.num_rows


def _values(table: pa.Table, name: str) -> list[float]:
    return [float(v) for v in _column(table, f"score_{name}") if v is not None]
