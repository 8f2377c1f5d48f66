"""The verdict on top of the page, the controls that it rests on, and what each arm is worth in real images."""

from __future__ import annotations

from collections.abc import Sequence

from imaginate.reports import words
from imaginate.reports.read import View
from imaginate.runs import Facts

SIGNS = {"use": "▲", "avoid": "▼", "open": "○", "judge": "!", "visible": "·", "detect": "·", "next": "→"}
CLASSES = {"use": "gain", "avoid": "loss", "open": "unclear", "judge": "judge"}


def verdict_view(results: Facts) -> list[View]:
    """The sentences that the study came with, in their order."""
    return [
        {"text": one["text"], "sign": SIGNS.get(one["kind"], "·"), "word": CLASSES.get(one["kind"], "none")}
        for one in results.get("verdict") or []
    ]


def seen(difference: Facts | None) -> str:
    """What stands under a difference: its p-values, and the smallest effect that would have been found."""
    if not difference or difference.get("p") is None:
        return ""
    parts = [f"p {_p(difference['p'])}"]
    for key, name in (("p_holm", "Holm"), ("p_sign_flip", "sign flips")):
        if difference.get(key) is not None:
            parts.append(f"{name} {_p(difference[key])}")
    if difference.get("smallest") is not None:
        parts.append(f"visible {100 * difference['smallest']:.1f}")
    return ", ".join(parts)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def controls_view(results: Facts) -> View | None:
    """The controls, a row each, and what is worth how many real images; None for studies without."""
    found, worth = results.get("controls"), results.get("worth") or []
    if not found and not worth:
        return None
    arms = results["arms"]
    titles = {arm["name"]: arm["title"] for arm in arms}
    classes = max(1, len(results["data"].get("classes") or []))
    rows = [
        {
            "title": f"{titles.get(one['more'], one['more'])} against {titles.get(one['less'], one['less'])}",
            "must": "more real images must help",
            **_row(one),
        }
        for one in (found or {}).get("positive") or []
    ]
    negative = (found or {}).get("negative")
    if negative:
        name = titles.get(negative["arm"], negative["arm"])
        rows.append({"title": f"{name} against the originals", "must": "nothing new must not help", **_row(negative)})
    return {
        "rows": rows,
        "fault": (found or {}).get("fault") or "",
        "can_judge": bool((found or {}).get("can_judge", True)),
        "worth": [_worth(one, titles, classes) for one in worth],
    }


def _row(gap: Facts) -> View:
    word = words.verdict(gap)
    return {
        "points": words.points(gap), "value": gap["mean"], "word": word, "finding": words.verdict_word(word),
        "sign": words.verdict_sign(word), "seen": seen(gap),
    }  # fmt: skip


def _worth(one: Facts, titles: Facts, classes: int) -> View:
    """`+4.0 [−1.0, more]`: real images a class, ends beyond the yardstick in words."""
    value, low, high = (None if one.get(key) is None else one[key] / classes for key in ("value", "low", "high"))
    least, most = one["least"] / classes, one["most"] / classes
    text = words.signed(value) if value is not None else _beyond(low, high, least, most)
    span = (
        f"[{words.signed(low) if low is not None else 'below ' + words.signed(least)}, "
        f"{words.signed(high) if high is not None else 'above ' + words.signed(most)}]"
    )
    return {
        "title": titles.get(one["arm"], one["arm"]),
        "text": f"{text} {span}",
        "value": least if value is None else value,
    }


def _beyond(low: float | None, high: float | None, least: float, most: float) -> str:
    if low is None and high is None:
        return "not known"
    return f"below {words.signed(least)}" if low is None else f"above {words.signed(most)}"


def measures_view(arms: Sequence[Facts]) -> View | None:
    """Macro F1, area under the ROC curve and calibration error of each arm, with the difference to the reference."""
    titles = {"macro_f1": "macro F1", "auroc": "AUROC", "calibration_error": "calibration error"}
    names = [name for name in titles if any(arm.get(name) for arm in arms)]
    if not names:
        return None
    rows = [
        {"title": arm["title"], "cells": [
            {
                "mean": words.accuracy(arm.get(name)),
                "value": (arm.get(name) or {}).get("mean"),
                "points": words.points((arm.get("difference") or {}).get(name)) if arm.get("difference") else "",
            }
            for name in names
        ]}
        for arm in arms
    ]  # fmt: skip
    return {"names": [titles[name] for name in names], "rows": rows}
