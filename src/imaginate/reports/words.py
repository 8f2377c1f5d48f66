"""Numbers and findings in words: plain, exact, and never more than the interval allows."""

from __future__ import annotations

import math
from typing import Literal

from imaginate.errors import listed as listed
from imaginate.runs import Facts

Verdict = Literal["gain", "loss", "unclear", "single", "barred", "none"]
MISSING = "not measured"
ONE_SEED = "one seed"
BARRED = "no verdict"
MINUS = "−"
GROUP = "\u202f"  # a narrow space that does not break


def verdict(difference: Facts | None) -> Verdict:
    """What an interval says: a gain only if all of it is above 0, a loss only if all of it is below; of one seed,
    whose luck cannot be separated from a difference, nothing."""
    if not difference or difference.get("low") is None or difference.get("high") is None:
        return "none"
    if difference.get("verdict") == ONE_SEED:
        return "single"
    if difference.get("verdict") == BARRED:
        return "barred"
    if difference["low"] > 0:
        return "gain"
    return "loss" if difference["high"] < 0 else "unclear"


def verdict_word(word: Verdict) -> str:
    """The verdict as the table prints it."""
    return {
        "gain": "gain", "loss": "loss", "unclear": "no clear difference", "single": f"{ONE_SEED}: no verdict",
        "barred": "no verdict: held-out images",
        "none": MISSING,
    }[word]  # fmt: skip


def verdict_sign(word: Verdict) -> str:
    """A sign next to the word, so that colour is never the only cue."""
    return {"gain": "▲", "loss": "▼", "unclear": "○", "single": "○", "barred": "!", "none": "–"}[word]


def signed(value: float, digits: int = 1) -> str:
    """`+3.1` or `−0.4`, with a real minus; what rounds to zero has no sign."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def percent(value: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as per cent, without the sign."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def accuracy(summary: Facts | None) -> str:
    """`41.2 ± 0.4`: mean and standard error over the trained classifiers, in per cent."""
    if not summary or summary.get("mean") is None:
        return "–"
    error = summary.get("se")
    return percent(summary["mean"]) + (f" ± {percent(error)}" if error is not None else "")


def points(difference: Facts | None) -> str:
    """`+3.1 [+1.2, +4.9]`: a difference of two accuracies and its interval, in percentage points."""
    if not difference or difference.get("mean") is None:
        return "–"
    text = signed(100 * difference["mean"])
    if difference.get("low") is None or difference.get("high") is None:
        return text
    return f"{text} [{signed(100 * difference['low'])}, {signed(100 * difference['high'])}]"


def finding(title: str, difference: Facts | None, reference: str) -> str:
    """One sentence on one arm."""
    word = verdict(difference)
    if word == "none":
        return f"{title}: {MISSING} against {reference}."
    return {
        "gain": f"{title} is better than {reference}: {points(difference)} points.",
        "loss": f"{title} is worse than {reference}: {points(difference)} points.",
        "unclear": f"{title}: no clear difference to {reference}, the interval covers 0: {points(difference)} points.",
        "barred": f"{title}: no verdict against {reference}, since too many of its images show held-out ones.",
        "single": f"{title}: {ONE_SEED}, no verdict against {reference}; over images {points(difference)} points.",
    }[word]


def number(value: float | int | None, digits: int = 3) -> str:
    """A number with about `digits` significant figures, thousands grouped."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite" if value > 0 else f"{MINUS}infinite"
    text = f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else _figures(value, digits)
    return text.replace(",", GROUP).replace("-", MINUS)


def _figures(value: float, digits: int) -> str:
    """Below 1000 in size: no exponent where decimals say the same (999.6 is 1000, and 0.000021 stays so)."""
    text = f"{value:.{digits}g}"
    if "e" not in text or abs(value) < 1e-9:
        return text
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0") if "." in text else text


def seconds(value: float | None) -> str:
    """A duration in the unit that reads best."""
    if value is None:
        return "–"
    if value < 120:
        return f"{number(float(value))} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 image`, `1 020 images`."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def shortened(text: str, limit: int) -> str:
    """`a very long…the end`: at most `limit` characters; the end stays, as two long names often differ there."""
    if len(text) <= limit:
        return text
    tail = limit // 2
    return f"{text[: limit - tail - 1].rstrip()}…{text[-tail:].lstrip()}"
