"""What the page says about one run: counts, rejects, pictures, scores, metrics, cost, provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from imaginate.errors import ConfigError
from imaginate.reports import scores, sheets, words
from imaginate.reports.read import RunContents, View
from imaginate.reports.scatter import ImageMap, scatter
from imaginate.reports.thumbs import Thumb, thumb, thumb_of
from imaginate.runs import Facts
from imaginate.settings import check_price

ReadImage = Callable[[Mapping[str, Any], str], bytes | None]
DrawMap = Callable[[str, tuple[str, str | None] | None], ImageMap | None]
MOST_CLASSES = 200  # rows of a run's table of classes


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a report is made: `hourly_price` in `currency` for costs; how many seeds and copies a sheet shows;
    `read_image` (dataset: the data section of a recipe, with `read_as` of a study, sample id) -> bytes finds pictures
    that are not in a run's own folder;
    `draw_map` (run folder, `held_out`) places its images, and those of a held-out dataset and split, in a plane."""

    hourly_price: float | None = None
    currency: str = "$"
    seeds: int = 8
    copies: int = 5
    read_image: ReadImage | None = None
    draw_map: DrawMap | None = None
    held_out: tuple[str, str | None] | None = None

    def __post_init__(self) -> None:
        check_price(self.hourly_price)
        for name, value in (("seeds", self.seeds), ("copies", self.copies)):
            if value < 1:
                raise ConfigError(f"{name} must be >= 1, got {value}")


def run_view(run: RunContents, options: Options, *, title: str = "") -> View:
    """Everything that the page's run section needs."""
    rows = sheets.Rows(run)
    recipe = run.recipe
    data = recipe.get("data") or {}

    def read_seed(name: str) -> bytes | None:
        return options.read_image(data, name) if options.read_image else None

    seen, classes = counts(run), _classes(run)
    sheet = sheets.sheet(rows, seeds=options.seeds, copies=options.copies, read_seed=read_seed)
    return {
        "title": title or run.name,
        "name": run.name,
        "method": (recipe.get("method") or {}).get("name") or _first(run, "method") or "unknown method",
        "counts": seen,
        "facts": _facts(run, seen),
        "reasons": _reasons(run),
        "classes": classes if len(classes) <= MOST_CLASSES else _fewest(classes),
        "class_count": len(classes),
        "judged": bool(run.facts.get("agreement")),
        "sheet": sheet,
        "sheet_cells": max((len(group.cells) for group in sheet), default=1),
        "rejects": sheets.rejects(rows, read_seed=read_seed),
        "scores": scores.scores(run),
        "guidance": scores.guidance(run),
        "map": _map(run, options),
        "metrics": _metrics(run.evaluation),
        "alike": _alike(run, options),
        "cost": cost(run, options),
        "provenance": provenance(run),
        "recipe": run.recipe_text,
        "stale": run.stale,
        "warnings": [
            *run.warnings,
            *([run.stale] if run.stale else []),
            *((run.evaluation or {}).get("warnings") or []),
        ],
    }


def _map(run: RunContents, options: Options) -> Markup | None:
    drawn = options.draw_map(run.folder.root, options.held_out) if options.draw_map else None
    return None if drawn is None else Markup(scatter(drawn))


def counts(run: RunContents) -> dict[str, int]:
    """Images by fate, counted from the rows themselves."""
    is_new = [m is not None for m in run.kept.column("method").to_pylist()]
    totals = run.facts.get("totals") or {}
    return {
        "originals": len(is_new) - sum(is_new),
        "kept": sum(is_new),
        "rejected": run.rejected.num_rows,
        "skipped": int(totals.get("skipped") or 0),
        "wanted": int(run.facts.get("wanted") or 0),
    }


def _facts(run: RunContents, seen: Mapping[str, int]) -> list[tuple[str, str]]:
    candidates = seen["kept"] + seen["rejected"]
    ratio = f"{seen['kept'] / seen['originals']:.3g} new for each original" if seen["originals"] else ""
    pairs = [
        ("originals", words.number(seen["originals"])),
        (
            "new, kept",
            words.number(seen["kept"]) + (f" of {words.number(seen['wanted'])} wanted" if seen["wanted"] else ""),
        ),
        ("expansion", ratio),
        (
            "rejected",
            f"{words.number(seen['rejected'])} ({words.percent(seen['rejected'] / candidates)} % of all candidates)"
            if candidates
            else "0",
        ),
        ("seed images skipped", words.number(seen["skipped"]) if seen["skipped"] else ""),
        ("still show their class", _agreement(run.facts.get("agreement"))),
    ]
    return [(name, value) for name, value in pairs if value]


def _agreement(found: Facts | None) -> str:
    """How many new images the judge sees as their class, next to the same of the seeds; empty where nobody judged."""
    if not found:
        return ""
    seeds = "" if found.get("seeds") is None else f", seeds {words.percent(found['seeds'])} %"
    return f"{words.percent(found['copies'])} % of the new images{seeds} (judge: {found['judge']})"


def _reasons(run: RunContents) -> list[View]:
    found = Counter(str(r) for r in run.rejected.column("reason").to_pylist()) if run.rejected.num_rows else Counter()
    skipped = (run.facts.get("totals") or {}).get("skipped_reasons") or {}
    most = max([*found.values(), *skipped.values()], default=1)
    rejected = [{"reason": r, "count": n, "share": n / most, "what": "new image"} for r, n in found.most_common()]
    return rejected + [
        {"reason": r, "count": n, "share": n / most, "what": "seed image skipped"} for r, n in skipped.items()
    ]


def _classes(run: RunContents) -> list[View]:
    known = [(str(c.get("name")), str(c.get("display") or c.get("name"))) for c in run.facts.get("classes") or []]
    real: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for name, method in zip(*(run.kept.column(c).to_pylist() for c in ("class_name", "method")), strict=True):
        (real if method is None else kept)[str(name)] += 1
    refused = Counter(str(n) for n in run.rejected.column("class_name").to_pylist())
    names = dict(known) or {n: n for n in sorted({*real, *kept, *refused})}
    shown = (run.facts.get("agreement") or {}).get("classes") or {}
    return [
        {"name": n, "title": t, "originals": real[n], "kept": kept[n], "rejected": refused[n]}
        | {f"{what}_shown": _share(shown.get(n, {}).get(what)) for what in ("copies", "seeds")}
        for n, t in names.items()
    ]


def _share(counted: Sequence[int] | None) -> float | None:
    """Right of judged as a share; None of none."""
    return counted[0] / counted[1] if counted and counted[1] else None


def _fewest(classes: list[View]) -> list[View]:
    """The classes with the fewest new images, where a page cannot hold them all."""
    return sorted(classes, key=lambda c: c["kept"])[:MOST_CLASSES]


def _metrics(evaluation: Facts | None) -> View | None:
    if not evaluation or not evaluation.get("metrics"):
        return None
    against = evaluation.get("against") or {}
    rows = [
        {**m, "new": words.number(m.get("value")), "old": words.number(m.get("originals"))}
        for m in evaluation["metrics"]
    ]
    return {
        "rows": rows,
        "features": (evaluation.get("features") or {}).get("name", "unknown features"),
        "against": f"{against.get('path', '?')}" + (f" ({against['split']})" if against.get("split") else ""),
        "images": evaluation.get("images") or {},
    }


def _alike(run: RunContents, options: Options) -> View | None:
    """Leaks and duplicates found by `imaginate evaluate`, with pictures where they can be had."""
    evaluation = run.evaluation or {}
    if "leaks" not in evaluation:
        return None
    against = evaluation.get("against") or {}

    def held_out(name: str) -> Thumb | None:
        reader = options.read_image
        data = reader(against, name) if reader else None
        return thumb(data) if data else None

    leaks, twins = evaluation["leaks"], evaluation.get("duplicates") or {}
    return {
        "leaks": leaks,
        "twins": twins,
        "leak_pairs": [_pair(run, p, held_out(p["second"])) for p in (leaks.get("examples") or [])[:8]],
        "twin_pairs": [_pair(run, p, thumb_of(run.folder, p["second"])) for p in (twins.get("examples") or [])[:8]],
    }


def _pair(run: RunContents, pair: Facts, second: Thumb | None) -> View:
    return {**pair, "first_thumb": thumb_of(run.folder, pair["first"]), "second_thumb": second}


def cost(run: RunContents, options: Options) -> View | None:
    """Seconds and, given a price, money for each kept image (GIF Table 6)."""
    found = run.facts.get("cost") or {}
    seconds, each = found.get("seconds"), found.get("seconds_per_image")
    if seconds is None:
        return None
    price = options.hourly_price
    return {
        "seconds": seconds,
        "each": each,
        "total": words.seconds(seconds),
        "per_image": words.seconds(each) if each is not None else "–",
        "money": None if price is None else money(seconds / 3600 * price, options.currency),
        "money_per_image": None if price is None or each is None else money(each / 3600 * price, options.currency),
        "money_value": None if price is None or each is None else each / 3600 * price,
    }


def money(value: float, currency: str) -> str:
    """An amount with enough digits to show that cheap is not free."""
    return f"{currency} {value:.2f}" if value >= 1 else f"{currency} {words.number(value, 2)}"


def provenance(run: RunContents) -> list[tuple[str, str]]:
    """Versions, machine and fingerprints."""
    facts = run.facts
    machine = facts.get("machine") or {}
    sessions = facts.get("sessions") or []
    versions = ", ".join(f"{k} {v}" for k, v in (facts.get("versions") or {}).items())
    shown = ", ".join(f"{k} {v}" for k, v in machine.items() if v is not None)
    pairs = [
        ("run folder", run.name),
        ("imaginate", str(facts.get("imaginate") or "")),
        ("recipe fingerprint", str(facts.get("fingerprint") or "")),
        ("data fingerprint", str(facts.get("data_fingerprint") or "")),
        ("sessions", words.count(len(sessions), "session") if sessions else ""),
        ("machine", shown),
        ("versions", versions),
    ]
    return [(name, value) for name, value in pairs if value]


def _first(run: RunContents, column: str) -> str | None:
    return next((str(v) for v in run.kept.column(column).to_pylist() if v is not None), None)
