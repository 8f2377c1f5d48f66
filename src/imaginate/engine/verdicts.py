"""People's decisions in the tables of a run: the last word on an image, after all filters.

What a row was before is kept in its own columns (`info_before`), so that a decision that is taken back leaves no trace,
and the tables are a function of the filters' verdicts and the log alone, however often it is applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from imaginate.decisions import Decision, in_effect
from imaginate.engine.kept_rows import AGAIN, other_side
from imaginate.errors import RunError
from imaginate.files import Folder
from imaginate.records import LabelSpace
from imaginate.write import names

Row = dict[str, Any]

BY, AT, WORD, BEFORE = "info_reviewed_by", "info_reviewed_at", "info_reviewed", "info_before"


def take_back(rows: Sequence[Row]) -> None:
    """Every row as it was before people decided on it."""
    for row in rows:
        before = row.get(BEFORE)
        if before is not None:
            row.update(json.loads(before))
        for column in (BY, AT, WORD, BEFORE):
            if column in row:
                row[column] = None


def apply(rows: Sequence[Row], log: Sequence[Decision], labels: LabelSpace) -> int:
    """Bring the log into effect, on rows that were taken back; how many images it decides on. RunError where it names a
    class that the run does not have."""
    found = in_effect(log)
    place = {name: label for label, name in enumerate(labels.names)}
    if unknown := next((one for one in found.values() if one.label is not None and one.label not in place), None):
        raise RunError(f"a decision gives {unknown.image} the class {unknown.label!r}, which the run does not have")
    count = 0
    for row in rows:
        one = found.get(image_of(row))
        if one is None or row["method"] is None:
            continue
        count += 1
        before = {key: row[key] for key in ("kept", "reason", "label", "class_name")}
        row.update({BEFORE: json.dumps(before, ensure_ascii=False), BY: one.by, AT: one.at, WORD: one.verdict})
        row["kept"] = one.verdict != "reject"
        row["reason"] = "" if row["kept"] else f"{AGAIN}rejected by {one.by}"
        if one.label is not None:
            row.update(label=place[one.label], class_name=one.label)
    return count


def image_of(row: Mapping[str, Any]) -> str:
    """The name by which decisions name an image; empty where none was stored."""
    return str(row["file_name"] or "").rsplit("/", 1)[-1]


def put_in_class_folders(store: Folder, rows: Sequence[Row], log: Sequence[Decision], labels: LabelSpace) -> list[str]:
    """Copy the file of each row into the folder of its class and name it there; the names that are to be removed once
    the tables are written, where these do not name them. Also those that a kill left behind: the folder of every class
    that the log ever named."""
    folders = class_folders(rows, labels)
    ever: dict[str, set[str]] = {}
    for one in log:
        if one.label in folders:
            ever.setdefault(one.image, set()).add(one.label)
    left = []
    for row in rows:
        image = image_of(row)
        if image not in ever:
            continue
        before = json.loads(row[BEFORE])["class_name"] if row.get(BEFORE) else row["class_name"]
        side = row["file_name"].split("/", 1)[0]
        goal = f"{side}/{folders[row['class_name']]}/{image}"
        places = [f"{s}/{folders[c]}/{image}" for s in ("images", "rejected") for c in sorted({before, *ever[image]})]
        there = [name for name in places if store.exists(name)]
        if there and goal not in there:
            store.put(goal, store.get(row["file_name"] if row["file_name"] in there else there[0]))
        row["file_name"] = goal
        left += [goal, other_side(goal), *there]
    return left


def class_folders(rows: Sequence[Row], labels: LabelSpace) -> dict[str, str]:
    """Class -> its folder, as the run's own files have it."""
    made = dict(zip(labels.names, names.folders_in_label_order(labels.names), strict=True))
    for row in rows:
        if row["file_name"] and row.get(WORD) != "relabel":
            made[row["class_name"]] = row["file_name"].split("/")[1]
    return made
