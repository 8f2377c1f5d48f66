"""Marks of a plot are at the place of their numbers."""

from __future__ import annotations

import re

import pytest

from imaginate.reports.plots import Point, curves


def test_the_worst_and_the_best_case_are_drawn_at_their_place() -> None:
    """RET Fig. 5B: the triangle of the worst case points up at its value, that of the best case down."""
    drawn = curves([("A", [Point(0, 50), Point(1, 60, 1.0, (55, 70))])], x_label="ratio", y_label="top-1, %")
    labels = re.findall(r'y="([\d.]+)" text-anchor="end">(\d+)<', drawn)
    height = {int(value): float(y) - 4 for y, value in labels}
    for word, value, way in (("worst", 55, 1), ("best", 70, -1)):
        mark = rf'<title>A, ratio 1: {word} case over all classes {value}\.0</title><polygon points="([^"]+)"'
        (points,) = re.findall(mark, drawn)
        tip, *base = [float(corner.split(",")[1]) for corner in points.split()]
        assert tip == pytest.approx(height[value], abs=0.1)
        assert all((y - tip) * way > 0 for y in base)
    assert "case" not in curves([("A", [Point(0, 50), Point(1, 60)])], x_label="ratio", y_label="top-1, %")
