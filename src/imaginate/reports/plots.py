"""The plots: differences as intervals, accuracy by ratio, change per class, scores before and after guidance.

Drawn 400 units wide, so that the words stay readable on a phone; colours come from the page's style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from imaginate.reports import svg, words
from imaginate.runs import Facts

WIDTH = 400
WITH_ERRORS = 40  # classes up to which each has its interval drawn
WITH_NAMES = 200  # classes up to which each bar has its name
TITLE = 32  # letters of a title that fit on the line of its numbers
Arm = Facts


def forest(arms: Sequence[Arm], reference: str, *, key: str = "top1") -> str:
    """One interval an arm: its difference to the reference in percentage points. Papers print the bare number; the
    interval says how sure it is."""
    known = [(arm, arm["difference"][key]) for arm in arms if (arm.get("difference") or {}).get(key)]
    if not known:
        return ""
    numbers = [100 * d[side] for _, d in known for side in ("low", "mean", "high") if d.get(side) is not None]
    low, high = svg.padded(numbers, around=0.0)
    x = svg.linear(low, high, 12, WIDTH - 12)
    row, bottom = 44, 10 + 44 * len(known)
    body = [svg.line(x(t), 4, x(t), bottom, "grid") for t in svg.ticks(low, high)]
    body.append(svg.line(x(0), 4, x(0), bottom, "zero"))
    for i, (arm, d) in enumerate(known):
        body.append(_interval(arm["title"], d, x, 10 + row * i))
    body += [
        svg.text(x(t), bottom + 15, words.signed(t, _digits(low, high)), anchor="middle") for t in svg.ticks(low, high)
    ]
    body.append(
        svg.text(WIDTH / 2, bottom + 34, f"difference to {reference}, percentage points", anchor="middle", cls="note")
    )
    values = "; ".join(words.finding(arm["title"], d, reference) for arm, d in known)
    return svg.drawing(WIDTH, bottom + 42, body, label=f"Differences to {reference} with intervals. {values}")


def _interval(title: str, d: Facts, x: svg.Scale, top: float) -> str:
    word = words.verdict(d)
    y = top + 26
    marks = [
        svg.titled(svg.text(12, top + 12, words.shortened(title, TITLE), cls="strong"), title),
        svg.text(WIDTH - 12, top + 12, words.points(d), anchor="end"),
    ]
    if d.get("low") is not None and d.get("high") is not None:
        a, b = x(100 * d["low"]), x(100 * d["high"])
        marks.append(svg.line(a, y, b, y, f"whisker {word}"))
        marks += [svg.line(end, y - 4, end, y + 4, f"whisker {word}") for end in (a, b)]
    marks.append(svg.element("circle", cx=x(100 * d["mean"]), cy=y, r=4.5, cls=f"dot {word}"))
    return "".join(marks)


@dataclass(frozen=True, slots=True)
class Point:
    """One measured place of a curve: x, mean, standard error (or None). `case`: the worst and the best that it can be
    over all classes, where some have no images (RET Fig. 5B)."""

    x: float
    y: float
    error: float | None = None
    case: tuple[float, float] | None = None


def curves(series: Sequence[tuple[str, Sequence[Point]]], *, x_label: str, y_label: str) -> str:
    """Accuracy over expansion ratio (GIF Fig. 4), with standard errors; the ratio 0 is the original data."""
    points = [p for _, ps in series for p in ps]
    if not points:
        return ""
    height, left, right, top, bottom = 260, 44, WIDTH - 12, 10, 212
    x = svg.linear(min(p.x for p in points), max(p.x for p in points), left + 8, right - 8)
    cases = [value for p in points for value in p.case or ()]
    low, high = svg.padded([*(p.y + s * (p.error or 0) for p in points for s in (-1, 1)), *cases])
    y = svg.linear(low, high, bottom, top)
    body = _frame(x, y, sorted({p.x for p in points}), (low, high), (left, right, bottom), x_label, y_label)
    for i, (title, ps) in enumerate(series):
        body.append(_curve(i, title, sorted(ps, key=lambda p: p.x), x, y))
    values = "; ".join(f"{t}: " + ", ".join(f"{p.y:.1f} at {p.x:g}" for p in ps) for t, ps in series)
    return svg.drawing(WIDTH, height, body, label=f"{y_label} by {x_label}. {values}")


def _frame(
    x: svg.Scale,
    y: svg.Scale,
    xs: Sequence[float],
    ys: tuple[float, float],
    box: tuple[float, float, float],
    *labels: str,
) -> list[str]:
    left, right, bottom = box
    body = []
    for tick in svg.ticks(*ys):
        body.append(svg.line(left, y(tick), right, y(tick), "grid"))
        body.append(svg.text(left - 6, y(tick) + 4, f"{tick:.{_digits(*ys)}f}".replace("-", words.MINUS), anchor="end"))
    last = -math.inf
    for tick in xs:
        body.append(svg.line(x(tick), bottom, x(tick), bottom + 4, "axis"))
        if x(tick) - last > 26:
            body.append(svg.text(x(tick), bottom + 18, f"{tick:g}", anchor="middle"))
            last = x(tick)
    body.append(svg.line(left, bottom, right, bottom, "axis"))
    body.append(svg.text((left + right) / 2, bottom + 38, labels[0], anchor="middle", cls="note"))
    body.append(svg.text(11, bottom / 2, labels[1], anchor="middle", cls="note", rotate=-90))
    return body


def _curve(index: int, title: str, points: Sequence[Point], x: svg.Scale, y: svg.Scale) -> str:
    cls = f"series s{index % 8}"
    path = "M" + "L".join(f"{x(p.x):.1f} {y(p.y):.1f}" for p in points)
    marks = [svg.element("path", d=path, cls=f"{cls} stroke")]
    for p in points:
        if p.error:
            marks.append(svg.line(x(p.x), y(p.y - p.error), x(p.x), y(p.y + p.error), f"{cls} stroke thin"))
        marks += _case(p, title, x, y, cls)
        error = f" ± {p.error:.1f}" if p.error is not None else ""
        marks.append(svg.titled(marker(index, x(p.x), y(p.y), cls), f"{title}, ratio {p.x:g}: {p.y:.1f}{error}"))
    return "".join(marks)


def _case(point: Point, title: str, x: svg.Scale, y: svg.Scale, cls: str) -> list[str]:
    """The worst case, a triangle that points up, and the best, one that points down."""
    if point.case is None:
        return []
    marks = []
    for word, value, way in zip(("worst", "best"), point.case, (1, -1), strict=True):
        corners = ((0, 0), (3.5, 6 * way), (-3.5, 6 * way))
        place = " ".join(f"{x(point.x) + a:.1f},{y(value) + b:.1f}" for a, b in corners)
        words = f"{title}, ratio {point.x:g}: {word} case over all classes {value:.1f}"
        marks.append(svg.titled(svg.element("polygon", points=place, cls=f"{cls} fill"), words))
    return marks


def marker(index: int, x: float, y: float, cls: str) -> str:
    """The sign of a series: form as well as colour tells them apart."""
    kind, r = index % 4, 4.2
    if kind == 0:
        return svg.element("circle", cx=x, cy=y, r=r, cls=f"{cls} fill")
    if kind == 1:
        return svg.element("rect", x=x - r, y=y - r, width=2 * r, height=2 * r, cls=f"{cls} fill")
    corners = {
        2: ((0, -1.3), (1.2, 0.9), (-1.2, 0.9)),
        3: ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    }[kind]
    return svg.element(
        "polygon", points=" ".join(f"{x + r * a:.1f},{y + r * b:.1f}" for a, b in corners), cls=f"{cls} fill"
    )


def legend_mark(index: int) -> str:
    """The sign of a series, alone, for a legend in the page."""
    body = svg.line(0, 8, 24, 8, f"series s{index % 8} stroke") + marker(index, 12, 8, f"series s{index % 8}")
    return svg.element("svg", body, viewBox="0 0 24 16", width=24, height=16, aria_hidden="true", cls="key")


def class_changes(rows: Sequence[Facts], title: str, reference: str) -> str:
    """Change of every class's accuracy, sorted (RET Fig. 5A shows their distribution): who pays for the mean."""
    known = sorted((r for r in rows if r.get("change") is not None), key=lambda r: -r["change"])
    if not known:
        return ""
    left, right, top, bottom = 40.0, WIDTH - 8.0, 8.0, 168.0
    errors = len(known) <= WITH_ERRORS
    sides = ("change", "low", "high") if errors else ("change",)
    low, high = svg.padded([100 * r[s] for r in known for s in sides if r.get(s) is not None], around=0.0)
    y = svg.linear(low, high, bottom, top)
    step = (right - left) / len(known)
    body = []
    for tick in svg.ticks(low, high):
        body.append(svg.line(left, y(tick), right, y(tick), "grid"))
        body.append(svg.text(left - 6, y(tick) + 4, words.signed(tick, _digits(low, high)), anchor="end"))
    if len(known) <= WITH_NAMES:
        body += [_class_bar(r, left + i * step, step, y, errors) for i, r in enumerate(known)]
    else:
        body += _merged_bars(known, left, step, y)
    body.append(svg.line(left, y(0), right, y(0), "zero"))
    note = f"{words.count(len(known), 'class', 'classes')}, sorted by change; percentage points"
    body.append(svg.text((left + right) / 2, bottom + 20, note, anchor="middle", cls="note"))
    up, down = sum(r["change"] > 0 for r in known), sum(r["change"] < 0 for r in known)
    sure = {word: sum(words.verdict(r) == word for r in known) for word in ("gain", "loss")}
    label = (
        f"{title} against {reference}: {up} of {len(known)} classes are higher, {down} are lower; with their whole "
        f"interval on one side of 0: {sure['gain']} higher, {sure['loss']} lower."
    )
    return svg.drawing(WIDTH, 196, body, label=label)


def _class_bar(r: Facts, left: float, step: float, y: svg.Scale, errors: bool) -> str:
    change = 100 * r["change"]
    gap = min(2.0, step * 0.15)
    mark = svg.element(
        "rect", x=left + gap / 2, width=max(0.3, step - gap), y=min(y(0), y(change)),
        height=max(0.6, abs(y(change) - y(0))), cls=_bar_class(r) + (" edged" if errors else ""),
    )  # fmt: skip
    if errors and r.get("low") is not None and r.get("high") is not None:
        middle = left + step / 2
        mark += svg.line(middle, y(100 * r["low"]), middle, y(100 * r["high"]), "error")
    name = r.get("title") or r["class"]
    return svg.titled(mark, f"{name}: {words.points({**r, 'mean': r['change']})} points")


def _merged_bars(rows: Sequence[Facts], left: float, step: float, y: svg.Scale) -> list[str]:
    """Bars without names, one path for each colour: a thousand classes must not make a large page."""
    paths: dict[str, str] = {}
    for i, r in enumerate(rows):
        bar = f"M{left + i * step:.1f} {y(0):.1f}V{y(100 * r['change']):.1f}h{step:.2f}V{y(0):.1f}"
        paths[_bar_class(r)] = paths.get(_bar_class(r), "") + bar
    return [svg.element("path", d=path, cls=cls) for cls, path in paths.items()]


def _bar_class(r: Facts) -> str:
    return f"bar {'up' if r['change'] > 0 else 'down'} {words.verdict(r)}"


def histograms(groups: Sequence[tuple[str, Sequence[float]]], *, label: str, bins: int = 24) -> str:
    """Distributions of one score, as shares of each group, drawn over one another: what guidance changed."""
    groups = [(t, [v for v in vs if math.isfinite(v)]) for t, vs in groups]
    groups = [(t, vs) for t, vs in groups if vs]
    if not groups:
        return ""
    low, high = svg.padded([v for _, vs in groups for v in vs], share=0.02)
    left, right, top, bottom = 10.0, WIDTH - 10.0, 8.0, 128.0
    x = svg.linear(low, high, left, right)
    shares = [_shares(vs, low, high, bins) for _, vs in groups]
    y = svg.linear(0, max(max(s) for s in shares), bottom, top)
    body = [_steps(i, s, left, right, y) for i, s in enumerate(shares)]
    body.append(svg.line(left, bottom, right, bottom, "axis"))
    found = svg.ticks(low, high, 4)
    body += [svg.text(x(t), bottom + 16, f"{t:g}".replace("-", words.MINUS), anchor="middle") for t in found]
    body.append(svg.text(WIDTH / 2, bottom + 34, label, anchor="middle", cls="note"))
    values = "; ".join(f"{t}: median {sorted(vs)[len(vs) // 2]:.3g} of {len(vs)}" for t, vs in groups)
    return svg.drawing(WIDTH, 170, body, label=f"Distribution of {label}. {values}")


def _shares(values: Sequence[float], low: float, high: float, bins: int) -> list[float]:
    import numpy as np

    counts, _ = np.histogram(values, bins=bins, range=(low, high))
    return [float(count) / len(values) for count in counts]


def _steps(index: int, shares: Sequence[float], left: float, right: float, y: svg.Scale) -> str:
    width = (right - left) / len(shares)
    corners = "".join(f"V{y(s):.1f}H{left + (i + 1) * width:.1f}" for i, s in enumerate(shares))
    path = f"M{left:.1f} {y(0):.1f}{corners}V{y(0):.1f}"
    return svg.element("path", d=path + "Z", cls=f"series s{index} area") + svg.element(
        "path", d=path, cls=f"series s{index} stroke"
    )


def _digits(low: float, high: float) -> int:
    marks = svg.ticks(low, high)
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    return 0 if step >= 1 and step == int(step) else (1 if round(step * 10, 6) == int(round(step * 10, 6)) else 2)
