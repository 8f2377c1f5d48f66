"""The map of a run: seeds, new and held-out images as points in the guide's space, by origin and by class.

Colours are in the picture itself, so that it stands alone (as the review page shows it) and inside a report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from imaginate.reports import svg

SIDE, TOP = 400, 26
ORIGINS = {"seed": "#1b6ca8", "new": "#d1651a", "rejected": "#9a9a9a", "held-out": "#2a8a4a"}
# Ten colours that people who see few of them can tell apart, after Okabe and Ito; further classes begin again.
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a08a00", "#56b4e9", "#7a4fb5", "#8c564b", "#4d4d4d", "#e69f00",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MapPoint:
    """One image: its place, what it is ("seed", "new", "rejected", "held-out"), its class and its name."""

    x: float
    y: float
    origin: str
    class_name: str
    name: str


@dataclass(frozen=True, kw_only=True)
class ImageMap:
    """The points, the guide whose space it is, and the share of the variance that each axis has; None for a map whose
    axes mean nothing (UMAP)."""

    points: Sequence[MapPoint]
    guide: str
    shares: tuple[float, float] | None

    @property
    def note(self) -> str:
        """What is drawn, in a line."""
        images = f"{len(self.points)} images in the space of {self.guide}"
        if self.shares is None:
            return f"{images} by UMAP: near is alike, far says little"
        return f"{images}: two axes with {sum(self.shares):.0%} of its variance"


Key = Callable[[MapPoint], str]


def scatter(drawn: ImageMap) -> str:
    """Both pictures under each other, as one SVG with its legend."""
    classes = list(dict.fromkeys(point.class_name for point in drawn.points))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(sorted(classes))}
    origins = [name for name in ORIGINS if any(point.origin == name for point in drawn.points)]
    by_origin = {name: ORIGINS[name] for name in origins}
    first, below = _panel(drawn, 0, "by origin", by_origin, lambda point: point.origin)
    second, below = _panel(drawn, below + 24, "by class", colours, lambda point: point.class_name)
    height = below + 40
    return svg.element(
        "svg", first + second + _text(8, height - 6, drawn.note),
        viewBox=f"0 0 {SIDE} {height}", role="img", aria_label=f"Map of the images. {drawn.note}", cls="plot map",
        width=SIDE, height=height, xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def _panel(drawn: ImageMap, top: int, title: str, colours: dict[str, str], key: Key) -> tuple[str, int]:
    """One picture with its legend, and where it ends."""
    x = svg.linear(*svg.padded([p.x for p in drawn.points]), 4, SIDE - 4)
    y = svg.linear(*svg.padded([p.y for p in drawn.points]), top + TOP + SIDE - 34, top + TOP)
    frame = svg.element(
        "rect", x=0.5, y=top + TOP - 4, width=SIDE - 1, height=SIDE - 26, fill="#ffffff", stroke="#bbbbbb"
    )
    order = {"rejected": 0, "held-out": 1, "new": 2, "seed": 3}
    points = sorted(drawn.points, key=lambda p: order.get(p.origin, 2))
    marks = [
        svg.titled(_mark(p, x(p.x), y(p.y), colours[key(p)]), f"{p.name} ({p.class_name}, {p.origin})") for p in points
    ]
    legend, below = _legend(colours, top + SIDE + 10)
    return _text(4, top + 16, title, weight="600") + frame + "".join(marks) + legend, below


def _mark(point: MapPoint, x: float, y: float, colour: str) -> str:
    """A seed is a ring, a held-out image a cross, any other a dot."""
    if point.origin == "held-out":
        path = f"M{x - 3:.1f} {y:.1f}h6M{x:.1f} {y - 3:.1f}v6"
        return svg.element("path", d=path, stroke=colour, stroke_width=1.4, fill="none")
    if point.origin == "seed":
        return svg.element("circle", cx=x, cy=y, r=4.0, fill="#ffffff", stroke=colour, stroke_width=2)
    return svg.element("circle", cx=x, cy=y, r=2.6, fill=colour, fill_opacity=0.75)


def _legend(colours: dict[str, str], y: int) -> tuple[str, int]:
    """Every colour once, by the first name that has it, and how many names share them; and the last line's place."""
    marks, left = [], 6.0
    signs = [(name if len(name) <= 18 else name[:17] + "…", colour) for name, colour in colours.items()]
    if len(signs) > len(COLOURS):
        more = f"and {len(signs) - len(COLOURS):,} more, in the same colours again"
        signs = [*signs[: len(COLOURS)], (more, "")]
    for shown, colour in signs:
        width = 22 + 6.6 * len(shown)
        if left + width > SIDE and left > 6:
            left, y = 6.0, y + 16
        if colour:
            marks.append(svg.element("circle", cx=left + 4, cy=y - 4, r=4.0, fill=colour))
        marks.append(_text(left + 12, y, shown))
        left += width
    return "".join(marks), y


def _text(x: float, y: float, words: str, weight: str | None = None) -> str:
    return svg.element("text", escape(words), x=x, y=y, font_size=11.5, font_family="sans-serif", font_weight=weight)
