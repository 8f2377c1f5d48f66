"""Who gains and who pays: the change of every class's accuracy, arm by arm (RET Fig. 5A), and what chance would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup

from imaginate.reports import plots, words
from imaginate.reports.read import View
from imaginate.runs import Facts

Row = Facts
Finding = Literal["gain", "loss", "unclear", "single", "barred", "few", "absent", "none"]
MOST = 200  # rows of one arm's table: 15 arms stay below a megabyte
FINDINGS: dict[Finding, str] = {
    "gain": "gain",
    "loss": "loss",
    "unclear": "unclear",
    "single": "one seed: no verdict",
    "barred": "no verdict: held-out images",
    "few": "too few held-out images",
    "absent": "no held-out image",
    "none": words.MISSING,
}


def classes_view(arms: Sequence[Facts], reference: str, data: Facts, level: float) -> View:
    """The section on classes: a plot, a tally and a table for each arm that was compared with the reference."""
    titles = class_titles(data)
    found = [view for arm in arms if (view := arm_view(arm, reference, titles))]
    return {"arms": found, "chance": chance(found, level), "most": MOST}


def class_titles(data: Facts) -> dict[str, str]:
    """Class name -> what the page calls it: its title, with the name where two classes share a title."""
    names = [str(name) for name in data.get("classes") or []]
    titles = [str(title) for title in data.get("titles") or []]
    if len(titles) != len(names):
        return {name: name for name in names}
    often = Counter(titles)
    return {n: t if often[t] == 1 else f"{t} ({n})" for n, t in zip(names, titles, strict=True)}


def class_finding(row: Row) -> Finding:
    """What can be said of one class: a verdict only where it has an interval."""
    if row.get("change") is None:
        return "absent" if row.get("held_out") == 0 else "none"
    word = words.verdict(row)
    return "few" if word == "none" else word


def arm_view(arm: Facts, reference: str, titles: Mapping[str, str]) -> View | None:
    """One arm: the plot, the tally, the extremes and the table; None where it was not compared."""
    rows = [{**_possible(r), "title": titles.get(str(r["class"]), str(r["class"]))} for r in arm.get("per_class") or []]
    known = sorted((r for r in rows if r.get("change") is not None), key=lambda r: -r["change"])
    if not known:
        return None
    tally = Counter(class_finding(r) for r in rows)
    judged = [r for r in known if class_finding(r) not in ("few", "single", "barred")]
    some = min(5 if len(judged) > 20 else 3, len(judged) // 2)
    shown = _shown(rows, judged or known)
    return {
        "title": arm["title"],
        "plot": Markup(plots.class_changes(known, arm["title"], reference)),
        "tally": tally,
        "counted": len(judged),
        "total": len(rows),
        "best": [_cells(r) for r in judged[:some]],
        "worst": [_cells(r) for r in judged[::-1][:some]],
        "table": [_cells(r) for r in shown],
        "cut": len(shown) < len(rows),
    }


def _shown(rows: Sequence[Row], ranked: Sequence[Row]) -> list[Row]:
    """The table's rows by falling change: every class of up to MOST, else the highest and the lowest of `ranked`."""
    if len(rows) > MOST:
        half = MOST // 2
        return list(ranked) if len(ranked) <= MOST else [*ranked[:half], *ranked[-half:]]
    return sorted(rows, key=lambda r: (r.get("change") is None, -(r.get("change") or 0.0)))


def chance(arms: Sequence[View], level: float) -> str:
    """How many intervals miss 0 although nothing changed, in one sentence; empty without intervals."""
    counted = [a["counted"] for a in arms]
    if not sum(counted):
        return ""
    found = sum(a["tally"]["gain"] + a["tally"]["loss"] for a in arms)
    by_chance, every = (words.number((1 - level) * n) for n in (max(counted), sum(counted)))
    text = (
        f"Even if nothing had changed, a {100 * level:g} % interval would miss 0 for about "
        f"{words.number((1 - level) * 100)} in 100 classes: for about {by_chance} of "
        f"{words.count(max(counted), 'class', 'classes')}"
    )
    if len(arms) > 1:
        text += f" in each arm, and about {every} over all {len(arms)} arms"
    return f"{text}. Here it does so for {words.number(found)}."


def class_rows(name: str, results: Facts) -> list[View]:
    """One flat record for every arm and class, unrounded; `name` is the study's."""
    data = results["data"]
    titles = dict(zip(data.get("classes") or [], data.get("titles") or [], strict=False))
    return [
        {
            "study": name,
            "dataset": data.get("name"),
            "arm": arm["name"],
            "title": arm["title"],
            "class": r["class"],
            "class_title": titles.get(r["class"], r["class"]),
            **{key: r.get(key) for key in ("held_out", "accuracy", "change", "low", "high")},
            "finding": "reference" if arm.get("reference") else FINDINGS[class_finding(r)],
        }
        for arm in results["arms"]
        for r in arm.get("per_class") or []
    ]


def _possible(r: Row) -> View:
    """Interval ends cut to what a difference of two shares can be, [-1, 1]: few seeds make them wider than that."""
    ends = {side: min(1.0, max(-1.0, r[side])) for side in ("low", "high") if r.get(side) is not None}
    return {**r, **ends}


def _cells(r: Row) -> View:
    change, share = r.get("change"), r.get("accuracy")
    word = class_finding(r)
    return {
        "name": r["title"],
        "points": words.points({**r, "mean": change}),
        "value": "" if change is None else f"{change:.4g}",
        "accuracy": words.percent(share),
        "held_out": r.get("held_out"),
        "word": word,
        "finding": FINDINGS[word],
    }
