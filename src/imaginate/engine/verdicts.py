"""People's decisions in the tables of a run: the last word on an image, after all filters.

What a row was before is kept in its own columns (`info_before`), so that a decision that is taken back leaves no trace,
and the tables are a function of the filters' verdicts and the log alone, however often it is applied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imaginate.decisions import LOG, Decision, in_effect
from imaginate.engine.run_filters import other_side
from imaginate.errors import RunError
from imaginate.files import KEPT, REJECTED
from imaginate.records import LabelSpace
from imaginate.runs import RunFolder
from imaginate.settings import nearest
from imaginate.write import names

Row = dict[str, Any]

AGAIN = "refilter: "  # in front of the reason of what is rejected after the run
REMOVED = "removed by hand"  # the reason of an image that is gone from the folder
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


def check_classes(decisions: Iterable[Decision], labels: LabelSpace | None, where: str) -> None:
    """RunError for a decision that gives an image a class that the run does not have."""
    names = () if labels is None else labels.names
    for one in decisions if names else ():
        if one.label is not None and one.label not in names:
            raise RunError(
                f"{where}: a decision gives {one.image} the class {one.label!r}, which the run does not have"
                f"{nearest(one.label, names)}; change or remove that line"
            )


class Reviewed:
    """What people decided, in effect: on rows that were taken back. RunError where the log names a class that the run
    does not have."""

    def __init__(self, log: Sequence[Decision], labels: LabelSpace) -> None:
        self._labels, self._log, self._found = labels, log, in_effect(log)
        self._class_folders: Mapping[str, str] | None = None
        self._place = {name: label for label, name in enumerate(labels.names)}
        check_classes(self._found.values(), labels, LOG)

    def apply(self, rows: Sequence[Row]) -> int:
        """Bring the decisions on these rows into effect; how many there are."""
        count = 0
        for row in rows if self._found else ():
            one = self._found.get(image_of(row))
            if one is None or row["method"] is None:
                continue
            count += 1
            before = {key: row.get(key) for key in ("kept", "reason", "label", "class_name", "soft_label")}
            row.update({BEFORE: json.dumps(before, ensure_ascii=False), BY: one.by, AT: one.at, WORD: one.verdict})
            row["kept"] = one.verdict != "reject"
            row["reason"] = "" if row["kept"] else f"{AGAIN}rejected by {one.by}"
            if one.label is not None:
                row.update(label=self._place[one.label], class_name=one.label, soft_label=None)
        return count

    def put_in_class_folders(self, run: RunFolder, rows: Sequence[Row]) -> list[str]:
        """Copy the file of each row into the folder of its class and name it there; the names that are to be removed
        once the tables are written, where these do not name them. Also those that a kill left behind: the folder of
        every class that the log ever named."""
        if not self._log:
            return []
        folders, store = self._folders(run), run.store
        ever: dict[str, set[str]] = {}
        for one in self._log:
            if one.label is not None and one.label in folders:
                ever.setdefault(one.image, set()).add(one.label)
        left = []
        for row in rows:
            image = image_of(row)
            if image not in ever:
                continue
            before = json.loads(row[BEFORE])["class_name"] if row.get(BEFORE) else row["class_name"]
            side = row["file_name"].split("/", 1)[0]
            goal = f"{side}/{folders[row['class_name']]}/{image}"
            places = [
                f"{s}/{folders[c]}/{image}" for s in ("images", "rejected") for c in sorted({before, *ever[image]})
            ]
            there = [name for name in places if store.exists(name)]
            if there and goal not in there:
                store.put(goal, store.get(row["file_name"] if row["file_name"] in there else there[0]))
            row["file_name"] = goal
            left += [goal, other_side(goal), *there]
        return left

    def _folders(self, run: RunFolder) -> Mapping[str, str]:
        if self._class_folders is None:
            self._class_folders = class_folders(run, self._labels)
        return self._class_folders


def image_of(row: Mapping[str, Any]) -> str:
    """The name by which decisions name an image; empty where none was stored."""
    return str(row["file_name"] or "").rsplit("/", 1)[-1]


def class_folders(run: RunFolder, labels: LabelSpace) -> dict[str, str]:
    """Class -> its folder, as the run's own files have it."""
    made = dict(zip(labels.names, names.folders_in_label_order(labels.names), strict=True))
    for table in (KEPT, REJECTED):
        for batch in run.batches(table, columns=("file_name", "class_name", WORD)):
            for row in batch.to_pylist():
                if row["file_name"] and row.get(WORD) != "relabel":
                    made[row["class_name"]] = row["file_name"].split("/")[1]
    return made
