"""What each arm gets wrong: classes taken for each other, and the held-out images that it misses most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imaginate.reports import words
from imaginate.reports.read import View
from imaginate.reports.thumbs import thumb
from imaginate.reports.view_classes import class_titles
from imaginate.reports.view_run import Options
from imaginate.runs import Facts

IMAGES = 6  # of each strip of an arm
STRIPS = {
    "gained": "Gained: right more often than with the reference",
    "lost": "Lost: right less often than with the reference",
    "most_wrong": "Most wrong",
}


def mistakes_view(arms: Sequence[Facts], results: Facts, options: Options) -> list[View]:
    """A view for each arm that has any."""
    titles, protocol = class_titles(results["data"]), results["protocol"]
    return [
        {
            "title": arm["title"],
            "pairs": [_pair(row, titles) for row in (arm.get("confusion") or {}).get("pairs") or []],
            "table": _table(arm.get("confusion") or {}, list(titles.values())),
            "strips": [
                {"name": name, "images": [_image(row, titles, protocol, options) for row in arm[key][:IMAGES]]}
                for key, name in STRIPS.items()
                if arm.get(key)
            ],
        }
        for arm in arms
        if (arm.get("confusion") or {}).get("pairs") or any(arm.get(key) for key in STRIPS)
    ]


def _pair(row: Facts, titles: Mapping[str, str]) -> View:
    gap = {**row, "mean": row.get("change")}
    word = words.verdict(gap)
    return {
        "true": titles.get(row["class"], row["class"]), "called": titles.get(row["called"], row["called"]),
        "share": words.percent(row["share"]), "value": row["share"], "points": words.points(gap),
        "points_value": row.get("change"), "word": word,
    }  # fmt: skip


def _table(confusion: Facts, titles: Sequence[str]) -> View | None:
    """The whole confusion matrix of few classes: shares, and their change."""
    table, change = confusion.get("table"), confusion.get("change")
    if not table or len(table) != len(titles):
        return None
    rows = []
    for i, (title, shares) in enumerate(zip(titles, table, strict=True)):
        cells = [
            {
                "share": words.percent(share, 0),
                "change": words.signed(100 * change[i][j], 0) if change else "",
                "right": i == j,
            }
            for j, share in enumerate(shares)
        ]
        rows.append({"title": title, "cells": cells})
    return {"titles": list(titles), "rows": rows}


def _held_out(protocol: Facts) -> dict[str, Any]:
    """The dataset of the held-out images, all splits of it, as the study read it; nothing where it is not named."""
    path = protocol.get("held_out") or protocol.get("data")
    return {"path": path, "split": "all", "read_as": protocol.get("read_as")} if path else {}


def _image(row: Facts, titles: Mapping[str, str], protocol: Facts, options: Options) -> View:
    """One held-out image with its picture, where it can still be read."""
    reader = options.read_image
    data = reader(_held_out(protocol), row["id"]) if reader else None
    before = row.get("reference")
    return {
        "id": row["id"], "thumb": thumb(data) if data else None,
        "true": titles.get(row["class"], row["class"]), "called": titles.get(row["called"], row["called"]),
        "wrong": words.percent(row["wrong"], 0), "sure": words.percent(row.get("confidence"), 0),
        "before": "" if before is None else words.percent(before, 0),
    }  # fmt: skip
