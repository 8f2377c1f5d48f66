"""A few marks, enough for every plot of the report: inline SVG that takes its colours from the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

Scale = Callable[[float], float]


def element(tag: str, body: str = "", **attributes: object) -> str:
    """`<tag a="1">body</tag>`; underscores become dashes, `cls` becomes class, floats get two decimals."""
    parts = []
    for key, value in attributes.items():
        if value is None:
            continue
        text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        name = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
        parts.append(f'{name}="{escape(text, quote=True)}"')
    return f"<{' '.join([tag, *parts])}>{body}</{tag}>"


def drawing(width: int, height: float, body: Sequence[str], *, label: str) -> str:
    """The whole picture, with its text alternative."""
    return element(
        "svg", "".join(body), viewBox=f"0 0 {width} {height:g}", role="img", aria_label=label, cls="plot", width=width,
        height=round(height),
    )  # fmt: skip


def line(x1: float, y1: float, x2: float, y2: float, cls: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, cls=cls)


def text(x: float, y: float, words: str, *, cls: str = "", anchor: str = "start", rotate: float | None = None) -> str:
    """A word at a place; `anchor` start, middle or end."""
    turn = f"rotate({rotate:g} {x:.1f} {y:.1f})" if rotate is not None else None
    return element("text", escape(words), x=x, y=y, cls=cls or None, text_anchor=anchor, transform=turn)


def titled(mark: str, words: str) -> str:
    """A mark with a tooltip."""
    return element("g", element("title", escape(words)) + mark)


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Numbers in [low, high] -> pixels from `start` to `end`."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers inside [low, high], about so many."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw), 10 * power)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


def padded(values: Sequence[float], share: float = 0.06, *, around: float | None = None) -> tuple[float, float]:
    """The range of values with a margin; holds `around` where given; never empty."""
    known = [*values, *([around] if around is not None else [])]
    low, high = min(known), max(known)
    margin = (high - low) * share or max(abs(high) * 0.05, 0.5)
    return low - margin, high + margin
