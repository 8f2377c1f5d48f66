"""The split of each row of a table, where its column is called otherwise than `split`, or where only the paths say it.

data set: train, valid, test       a column whose values are words of splits, whatever it is called
is_valid: True, False              a column of yes and no: True is validation (fastai), False is train
train/cat/001.jpg                  the folders of all paths, at one level, where no column says a split
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from imaginate.data import splits

Row = Mapping[str, Any]
Every = Callable[[Sequence[str]], Iterable[Row]]
MARKS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
GAPS = frozenset(
    {"NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "nan", "NaN", "NAN", "-nan", "-NaN", "None", "null", "NULL"}
)
_NAMES = (
    "dataset", "datasplit", "datasetsplit", "splitset", "mluse", "traintest", "traintestsplit", "trainvaltest",
    "trainval", "trainorvalid", "trainortest", "imageset", "phase", "stage", "usage", "fold", "purpose",
)  # fmt: skip
_FLAGS = {
    "istrain": "train", "istraining": "train", "istrainingimage": "train", "istrainimage": "train",
    "isvalid": "validation", "isval": "validation", "isvalidation": "validation", "isdev": "validation",
    "istest": "test", "istesting": "test", "isholdout": "holdout",
}  # fmt: skip
_UNASSIGNED = "unassigned"


def word(value: Any) -> str | None:
    """The split that a value names (`Training`, `PublicTest`); None for any other value."""
    if not isinstance(value, str):
        return None
    found = splits.known(value) or splits.of_folder(value.strip())
    return None if found is None or found.startswith("fold") else found


def split_column(columns: Iterable[str], rows: Sequence[Row], every: Every | None) -> str | None:
    """The first column whose values are all words of splits: one that is named so, else one with two splits at least.
    `rows`: the first of them; `every`: reads all, where these show one split alone."""
    words = [column for column in columns if _all_words(row.get(column) for row in rows)]
    if named := [column for column in words if _bare(column) in _NAMES]:
        return min(named, key=lambda column: _NAMES.index(_bare(column)))
    return next((column for column in words if _has_two(column, rows, every)), None)


def flag_columns(columns: Iterable[str], rows: Sequence[Row]) -> tuple[str, ...]:
    """The columns that say yes or no of one split: `is_valid`, `is_test`."""
    return tuple(column for column in columns if _bare(column) in _FLAGS and _all_marks(column, rows))


def flagged(row: Row, flags: Sequence[str]) -> str | None:
    """The split of a row whose columns say yes or no; where all say no, the split that none of them names."""
    said = {_FLAGS[_bare(column)]: _mark(row.get(column)) for column in flags}
    if (found := next((split for split in reversed(splits.ordered(said)) if said[split]), None)) is not None:
        return found
    left = [split for split in ("train", "test", "validation") if split not in said]
    return left[0] if left and None not in said.values() else None


def in_paths(placed: Collection[tuple[str, str]]) -> dict[str, str]:
    """The split of each folder, of pairs of a folder and a class, where one level of all folders names splits, two at
    least; empty where none does. A level that repeats the class is the class."""
    parts = {head: head.split("/") for head, _ in placed}
    for level in range(min((len(part) for part in parts.values()), default=0)):
        found = {name: splits.in_folder_name(name) for name in {part[level] for part in parts.values()}}
        there = {name: words for name, words in found.items() if words is not None}
        is_class = all(parts[head][level].lower() == of.strip().lower() for head, of in placed)
        is_one_family = len(there) == len(found) and len({words.rest for words in there.values()}) == 1
        if is_one_family and len({words.split for words in there.values()}) > 1 and not is_class:
            return {head: there[part[level]].split for head, part in parts.items()}
    return {}


def _bare(column: str) -> str:
    """`Data Set`, `data_set` -> dataset; `aiplatform.googleapis.com/ml_use` -> mluse."""
    return re.sub(r"[\W_]+", "", column.rsplit("/", 1)[-1].lower())


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (not value.strip() or value.strip() in GAPS))


def _all_words(values: Iterable[Any]) -> bool:
    """Whether values are words of splits, one at least; blanks and AutoML's UNASSIGNED are gaps."""
    there = [value for value in values if not _is_blank(value)]
    left = [value for value in there if str(value).strip().lower() != _UNASSIGNED]
    return bool(left) and all(word(value) is not None for value in left)


def _has_two(column: str, rows: Sequence[Row], every: Every | None) -> bool:
    """Whether a column names two splits at least, and nothing else."""
    if len({word(row.get(column)) for row in rows} - {None}) > 1:
        return True
    found: set[str] = set()
    for row in every([column]) if every is not None else ():
        value = row.get(column)
        if _is_blank(value) or str(value).strip().lower() == _UNASSIGNED:
            continue
        if (named := word(value)) is None:
            return False
        found.add(named)
    return len(found) > 1


def _mark(value: Any) -> bool | None:
    return MARKS.get(str(value).strip().lower())


def _all_marks(column: str, rows: Sequence[Row]) -> bool:
    marks = [_mark(row.get(column)) for row in rows if not _is_blank(row.get(column))]
    return bool(marks) and None not in marks
