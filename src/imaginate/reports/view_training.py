"""What each arm was trained on, for how long, and on what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imaginate.reports import words
from imaginate.reports.read import View
from imaginate.runs import Facts

IMAGES = ("original", "synthetic", "real")


def training_view(arms: Sequence[Facts]) -> View:
    """A row for each arm; the device is in one sentence where it is the same for all, else in a column."""
    devices = {_device(unit) for arm in arms for unit in _units(arm)} - {""}
    mixed = len(devices) > 1
    note = "Not all classifiers were trained on the same device in the same precision." if mixed else ""
    return {
        "rows": [_row(arm) for arm in arms],
        "mixed": mixed,
        "left_out": any((arm.get("images") or {}).get("excluded") for arm in arms),
        "note": note or (f"All were trained on {next(iter(devices))}." if devices else ""),
    }


def budget_note(results: Facts) -> str:
    """What every arm was given to train with; unequal budgets, and training that stopped early, are said to be so."""
    protocol = results["protocol"]
    recipe = protocol.get("recipe_settings") or {}
    units = [u for arm in results["arms"] if not arm.get("baseline") for u in _units(arm)]
    if str(protocol.get("arch")).startswith("probe:"):
        return "The head of every arm was fitted to its end, on the frozen features of each of its images once."
    if protocol.get("budget") == "updates":
        limit = words.number(protocol.get("updates"))
        early = _early(units, recipe, "pass over the original images", "passes over the original images")
        if early:
            return f"Every arm was given up to {limit} updates, whatever its size. {early}"
        return f"Every arm was trained for the same number of updates ({limit}), whatever its size."
    epochs = recipe.get("epochs") or protocol.get("epochs")
    length = words.count(epochs, "epoch") if epochs else "the same number of epochs"
    early = _early(units, recipe, "epoch", "epochs")
    return (
        f"Every arm was trained for {'up to ' if early else ''}{length}, so a larger set got more updates"
        f"{_brackets(_span(u['updates'] for u in units))}: part of a gain may be training time and not the new images."
        f"{' ' if early else ''}{early}"
    )


def _early(units: Sequence[Facts], recipe: Facts, one: str, many: str) -> str:
    stopped = [unit["updates"] for unit in units if unit.get("stopped_early")]
    if not stopped:
        return ""
    patience = recipe.get("patience")
    rule = f"no better validation accuracy for {words.count(patience, one, many)}" if patience else ""
    return (
        f"{words.number(len(stopped))} of {words.count(len(units), 'classifier')} stopped earlier, after "
        f"{_span(stopped)} updates, by the same rule for every arm{_brackets(rule)}."
    )


def _row(arm: Facts) -> View:
    images, units = arm.get("images") or {}, _units(arm)
    excluded = {str(k): int(n) for k, n in (images.get("excluded") or {}).items() if n}
    trained = arm.get("kind") != "clip-zero-shot"
    return {
        "title": arm["title"],
        **{k: images.get(k) if trained else None for k in IMAGES},
        "left_out": sum(excluded.values()),
        "reasons": [f"{words.number(n)}: {reason}" for reason, n in excluded.items()],
        "updates": _span(unit["updates"] for unit in units) or "–",
        "updates_value": max((unit["updates"] for unit in units), default=None),
        "early": sum(bool(unit.get("stopped_early")) for unit in units),
        "passes": _span(unit.get("epochs") for unit in units) or "–",
        "passes_value": max((unit["epochs"] for unit in units if unit.get("epochs")), default=None),
        "device": words.listed(sorted({_device(unit) for unit in units} - {""})) if units else "–",
    }


def _units(arm: Facts) -> list[Facts]:
    """The classifiers of an arm that were trained by updates."""
    return [unit for unit in arm.get("units") or [] if unit.get("updates")]


def _span(values: Iterable[float | None]) -> str:
    """`150`, or `812 to 3 900`."""
    known = [v for v in values if v]
    if not known:
        return ""
    low, high = (words.number(v) for v in (min(known), max(known)))
    return low if low == high else f"{low} to {high}"


def _brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _device(unit: Facts) -> str:
    """`cuda in bfloat16`, as far as it is known."""
    device, precision = unit.get("device"), unit.get("precision")
    return f"{device} in {precision}" if device and precision else str(device or "")
