"""What people decided on the images of a run: a log next to it, one line a decision, written by
`imaginate review` and brought into effect by `imaginate refilter`.

    {"format": "imaginate-decisions/1", "run": "<fingerprint>"}
    {"image": "rose-1b2c3d4e-000.png", "verdict": "relabel", "label": "tulip", "by": "ada", "at": "..."}

An image is named by its file's name, which stays when it moves to another folder. Lines are only ever added: `undo`
takes back the image's last decision that still counts. A line that a kill cut off does not count.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from imaginate.errors import RunError
from imaginate.files import Folder
from imaginate.limits import parse_json

LOG = "decisions.jsonl"
FORMAT = "imaginate-decisions/1"
Word = Literal["accept", "reject", "relabel", "undo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What somebody said of an image, and when (UTC). `label`: the class that it is given by `relabel`."""

    image: str
    verdict: Word
    by: str
    at: str
    label: str | None = None

    def line(self) -> str:
        """As the log holds it."""
        values = {"image": self.image, "verdict": self.verdict, "label": self.label, "by": self.by, "at": self.at}
        return json.dumps({key: value for key, value in values.items() if value is not None}, ensure_ascii=False)


def now() -> str:
    """The time of a decision."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_log(store: Folder) -> list[Decision]:
    """The decisions on a run, in the order in which they were taken; none where nobody took one."""
    return parse_log(store.get(LOG), store.path(LOG))[1] if store.exists(LOG) else []


def read_file(path: str | os.PathLike[str], fingerprint: str) -> list[Decision]:
    """The decisions in an exported log. RunError where it is none, or one of another run."""
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read()
    except OSError as error:
        raise RunError(f"cannot read {name}: {error.strerror}") from None
    last = data.rsplit(b"\n", 1)[-1].decode(errors="surrogateescape")
    of, found = parse_log(data + b"\n" if _is_object(last) else data, name)  # an editor may leave out the last break
    if of != fingerprint:
        raise RunError(f"{name} holds decisions on another run: its images have the same names by chance only")
    return found


def parse_log(data: bytes, path: str) -> tuple[str, list[Decision]]:
    """The fingerprint of the run, and the decisions. RunError, with the line, for what is neither."""
    *whole, _ = data.decode(errors="surrogateescape").split("\n")  # what follows the last line break was cut off
    rows = [(number, _parsed(text, number, path)) for number, text in enumerate(whole, 1) if text.strip()]
    if not rows:
        return "", []
    if rows[0][1].get("format") != FORMAT:
        raise RunError(f"{path} is no log of decisions: its first line has no format {FORMAT!r}")
    return str(rows[0][1].get("run", "")), [_decision(row, number, path) for number, row in rows[1:]]


def _is_object(text: str) -> bool:
    try:
        return isinstance(parse_json(text), dict)
    except ValueError:
        return False


def _parsed(text: str, number: int, path: str) -> Mapping[str, object]:
    try:
        found = parse_json(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{path} is damaged: line {number} is no JSON object")
    return found


def _decision(row: Mapping[str, object], number: int, path: str) -> Decision:
    values = {key: row.get(key) for key in ("image", "verdict", "by", "at")}
    label = row.get("label")
    is_whole = all(isinstance(value, str) and value for value in values.values())
    is_named = isinstance(label, str) if values["verdict"] == "relabel" else True
    if not (is_whole and is_named and values["verdict"] in get_args(Word)):
        raise RunError(f"{path} is damaged: line {number} is no decision")
    return Decision(**values, label=label if values["verdict"] == "relabel" else None)  # type: ignore[arg-type]


def in_effect(log: Iterable[Decision]) -> dict[str, Decision]:
    """Image -> the decision that counts: the last one that was not undone."""
    stacks: dict[str, list[Decision]] = {}
    for one in log:
        mine = stacks.setdefault(one.image, [])
        if one.verdict != "undo":
            mine.append(one)
        elif mine:
            mine.pop()
    return {image: mine[-1] for image, mine in stacks.items() if mine}


def add(store: Folder, fingerprint: str, more: Sequence[Decision]) -> None:
    """Write decisions at the end of the log; whoever calls it owns the folder. They are on disk when it returns."""
    path = store.path(LOG)
    header = json.dumps({"format": FORMAT, "run": fingerprint})
    with open(path, "ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        start = "" if size and file.read(1) == b"\n" else "\n" if size else f"{header}\n"
        if start == "\n":  # a kill cut the last line off
            data = store.get(LOG)
            file.truncate(data.rfind(b"\n") + 1)
            start = "" if b"\n" in data else f"{header}\n"
        file.write((start + "".join(f"{one.line()}\n" for one in more)).encode(errors="surrogateescape"))
        file.flush()
        os.fsync(file.fileno())


def merged(mine: Sequence[Decision], theirs: Sequence[Decision]) -> list[Decision]:
    """Those of theirs that are not among mine, by time."""
    known = set(mine)
    return sorted((one for one in theirs if one not in known), key=lambda one: one.at)
