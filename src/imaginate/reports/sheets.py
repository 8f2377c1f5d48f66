"""Contact sheets: each seed with its copies, and the rejects with their reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imaginate.files import Folder
from imaginate.reports import words
from imaginate.reports.read import RunContents
from imaginate.reports.thumbs import Thumb, thumb, thumb_of
from imaginate.runs import Facts

if TYPE_CHECKING:
    import pyarrow as pa

Row = Facts
ReadSeed = Callable[[str], bytes | None]
_COLUMNS = ("file_name", "class_name", "origin", "seed_image", "method", "copy", "prompt", "reason", "kept", "rng_seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One picture with its words. `kind`: seed, kept or rejected. `thumb` None where no picture was stored."""

    kind: str
    thumb: Thumb | None
    caption: str
    detail: str
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A seed (or a class) and what was generated from it."""

    title: str
    note: str
    cells: tuple[Cell, ...]
    full: str = ""


class Rows:
    """The new images of a run by seed, and its originals."""

    def __init__(self, run: RunContents) -> None:
        self.run = run
        self.new: dict[tuple[str, str], list[Row]] = {}
        self.originals: dict[tuple[str, str], Row] = {}
        self.of_class: dict[str, list[Row]] = {}
        for row in [*_rows(run.kept), *_rows(run.rejected)]:
            key = (str(row["class_name"]), str(row["seed_image"] or ""))
            if row["method"] is None:
                self.originals[key] = row
                self.of_class.setdefault(key[0], []).append(row)
            else:
                self.new.setdefault(key, []).append(row)

    def heads(self, key: tuple[str, str]) -> list[Row]:
        """The seed image; for a class-started method, up to two real images of the class."""
        if key in self.originals:
            return [self.originals[key]]
        return [] if key[1] else self.of_class.get(key[0], [])[:2]


def _rows(table: pa.Table) -> list[Row]:
    """The columns that a sheet needs, whatever else the table has; a missing column reads as null."""
    wanted = [c for c in _COLUMNS if c in table.column_names]
    scores = [c for c in table.column_names if c.startswith("score_")]
    return [{**dict.fromkeys(_COLUMNS), **row} for row in table.select([*wanted, *scores]).to_pylist()]


def spread(keys: Sequence[tuple[str, str]], limit: int) -> list[tuple[str, str]]:
    """Up to `limit` seeds: as many classes as possible, evenly spread, then second seeds of the same classes."""
    by_class: dict[str, list[tuple[str, str]]] = {}
    for key in sorted(keys):
        by_class.setdefault(key[0], []).append(key)
    if len(by_class) >= limit:
        names = sorted(by_class)
        step = len(names) / limit
        return [by_class[names[int(i * step)]][0] for i in range(limit)]
    rounds = max((len(found) for found in by_class.values()), default=0)
    turn = [found[i] for i in range(rounds) for found in by_class.values() if i < len(found)]
    return sorted(turn[:limit])


def sheet(rows: Rows, *, seeds: int = 8, copies: int = 6, read_seed: ReadSeed | None = None) -> list[Group]:
    """Seeds spread over the classes, each with up to `copies` kept images and one rejected."""
    groups = []
    for key in spread([k for k, found in rows.new.items() if any(r["kept"] for r in found)], seeds):
        found = rows.new[key]
        kept = [r for r in found if r["kept"]][:copies]
        refused = [r for r in found if not r["kept"] and r["file_name"]][:1]
        groups.append(_group(rows, key, [*kept, *refused], read_seed))
    return groups


def rejects(rows: Rows, *, reasons: int = 6, each: int = 4, read_seed: ReadSeed | None = None) -> list[Group]:
    """The commonest reasons, each with a few rejected images with their seeds."""
    by_reason: dict[str, list[tuple[tuple[str, str], Row]]] = {}
    for key, found in rows.new.items():
        for row in found:
            if not row["kept"] and row["file_name"]:
                by_reason.setdefault(str(row["reason"]), []).append((key, row))
    groups = []
    for reason, members in sorted(by_reason.items(), key=lambda item: -len(item[1]))[:reasons]:
        step = max(1.0, len(members) / each)
        cells: list[Cell] = []
        for key, row in [members[int(i * step)] for i in range(min(each, len(members)))]:
            cells += [*_heads(rows, key, read_seed)[:1], _cell(rows.run.folder, row)]
        stored = words.count(len(members), "stored image")
        groups.append(Group(title=reason or "no reason given", note=stored, cells=tuple(cells)))
    return groups


def _group(rows: Rows, key: tuple[str, str], members: Sequence[Row], read_seed: ReadSeed | None) -> Group:
    cells = [*_heads(rows, key, read_seed), *(_cell(rows.run.folder, row) for row in members)]
    return Group(title=key[0], note=key[1].rsplit("/", 1)[-1], full=key[1], cells=tuple(cells))


def _heads(rows: Rows, key: tuple[str, str], read_seed: ReadSeed | None) -> list[Cell]:
    label = "seed" if key[1] else "real image of the class"
    found = [(row, thumb_of(rows.run.folder, row["file_name"])) for row in rows.heads(key) if row["file_name"]]
    if not found and key[1]:
        data = read_seed(key[1]) if read_seed else None
        found = [({"class_name": key[0], "seed_image": key[1]}, thumb(data) if data else None)]
    return [
        Cell(
            kind="seed",
            thumb=picture,
            caption=label,
            detail="" if picture else "not stored in the run",
            alt=f"{label} {row['seed_image'] or ''}, class {key[0]}",
        )
        for row, picture in found
    ]


def _cell(folder: Folder, row: Row) -> Cell:
    kept = bool(row["kept"])
    detail = "; ".join([*([row["prompt"]] if row["prompt"] else []), *_scores(row)[:2]])
    caption = f"copy {row['copy']}" if kept else f"rejected: {row['reason']}"
    of = f" of seed {row['seed_image']}" if row["seed_image"] else ""
    picture = thumb_of(folder, row["file_name"]) if row["file_name"] else None
    alt = f"{'kept' if kept else 'rejected'} copy {row['copy']}{of}, class {row['class_name']}"
    return Cell(kind="kept" if kept else "rejected", thumb=picture, caption=caption, detail=detail, alt=alt)


def _scores(row: Row) -> list[str]:
    """`total 0.91 → 1.33` where guidance changed a score, else `consistency 0.8`; the total first."""
    found = {k[6:]: v for k, v in row.items() if k.startswith("score_") and v is not None}
    shown = []
    for name in sorted(found, key=lambda n: not n.startswith("total")):
        if name.endswith("_before") and f"{name[:-7]}_after" in found:
            after = found[f"{name[:-7]}_after"]
            shown.append(f"{name[:-7].replace('_', ' ')} {words.number(found[name])} → {words.number(after)}")
        elif not name.endswith("_after"):
            shown.append(f"{name.replace('_', ' ')} {words.number(found[name])}")
    return shown
