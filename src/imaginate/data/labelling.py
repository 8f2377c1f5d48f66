"""Labels as sources write them (numbers, names, nothing) -> indices into one label space."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from imaginate.data.listing import sorted_names, unique_names
from imaginate.errors import DataError
from imaginate.limits import parse_json
from imaginate.records import LabelSpace

NO_LABEL = "no label"
OUT_OF_RANGE = "label out of range"
_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_LISTS = ("tags", "keywords", "attributes", "finding_labels")  # columns that hold several labels, as a rule
_PLURALS = ("labels", "classes", "categories", "targets", *_LISTS)
_COMPARED = 500


class SeveralLabelsError(DataError):
    """Images have several labels each, where one class is needed."""


class Labeller:
    """With known names a number is an index and a text a name; without, the names are those seen, in order.

    `where` and `column` are for messages: the source, and the column of its labels.
    """

    def __init__(self, names: Sequence[str] | None, *, where: str = "", column: str = "") -> None:
        self.fixed = names is not None
        self._names = unique_names([one_form(name) for name in names]) if names is not None else []
        self._seen: set[str] = set()
        self._where, self._column = where or "the dataset", column

    def see(self, values: Iterable[Any]) -> None:
        """Note the labels of one part of the source, before any is asked for."""
        self._seen.update(text(value) for value in {self._single(v) for v in values} if value is not None)

    @cached_property
    def space(self) -> LabelSpace:
        """The label space, complete from the first use on."""
        if self.fixed:
            return LabelSpace.of(self._names)
        if example := joined_label(self._seen, is_plural=self._is_plural, is_list=self._is_in(_LISTS)):
            raise SeveralLabelsError(self._several(example))
        return LabelSpace.of(sorted_names(self._seen - {"", self._unlabelled}))

    @cached_property
    def _unlabelled(self) -> str:
        """-1 where numbers from 0 on are the labels: the mark of an image without one."""
        numbers = self._seen - {""}
        return "-1" if "0" in numbers and all(name.lstrip("-").isdecimal() for name in numbers) else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is doubtful: names that may be lists of names."""
        if self.fixed or not self._is_plural:
            return ()
        lists = sorted(name for name in self._seen if re.search(r"[|;,]", name))
        return (f"the column {self._column!r} holds {lists[0]!r}, which is read as one class",) if lists else ()

    @property
    def _is_plural(self) -> bool:
        return self._is_in(_PLURALS)

    def _is_in(self, names: Sequence[str]) -> bool:
        return self._column.strip().lower().replace(" ", "_") in names

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: label for label, name in enumerate(self.space.names)}

    def label(self, value: Any) -> int | str:
        """A label, or the reason why there is none."""
        value = self._single(value)
        if self.fixed and isinstance(value, int) and not isinstance(value, bool):
            if value == -1:
                return NO_LABEL
            return value if 0 <= value < len(self._names) else OUT_OF_RANGE
        if isinstance(value, str) and value in self._index:
            return self._index[value]
        name = "" if value is None else text(value)
        return NO_LABEL if name in ("", self._unlabelled) else self._index.get(name, OUT_OF_RANGE)

    def _single(self, value: Any) -> Any:
        """The label of a list of one; DataError for several."""
        value = listed(value) if isinstance(value, str) else value
        if isinstance(value, (list, tuple)) and len(value) <= 1:
            return self._single(value[0]) if value else None
        if isinstance(value, (list, tuple, dict)):
            raise SeveralLabelsError(self._several(value))
        return value

    def _several(self, example: Any) -> str:
        plain = str(example) if str(example).isprintable() else repr(example)
        shown = plain if len(plain) < 80 else plain[:77] + "..."
        is_phrase = isinstance(example, str) and re.search(r"[|;,\n\[]", example) is None
        way_on = f"; where that is one class, call the column 'label' in place of {self._column!r}" if is_phrase else ""
        return (
            f"{self._where} has several labels an image, as in {shown}: each image needs one class; "
            f"if another column holds it, name it with --label-column{way_on}"
        )


def as_line(name: str) -> str:
    """A class name as a line of `classes.txt`, or a cell of a csv: as a JSON string where it would be read as another
    name."""
    return (
        name
        if from_line(name) == name and not re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", name)
        else json.dumps(name)
    )


def from_line(line: str) -> str:
    """The class name in a line of `classes.txt`, or a cell of a csv."""
    bare = line.strip()
    if bare.startswith('"'):
        try:
            found = parse_json(bare)
        except ValueError:
            return bare
        return found if isinstance(found, str) else bare
    return bare


def listed(value: str) -> Any:
    """`['cat', 'dog']` and `["cat", "dog"]` as the lists that they are; any other text as it is."""
    bare = value.strip()
    if not (bare.startswith("[") and bare.endswith("]")):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(bare)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, list):
            return found
    return value


def joined_label(names: Iterable[str], *, is_plural: bool, is_list: bool = False) -> str | None:
    """A name that is a list of other names (`cat|pet`), where the parts come back in other lists, or are classes of
    their own; None where the names only hold such a character. `is_plural`: the column's name says that there may be
    several; `is_list`: that there are, as a rule."""
    every = {name for name in names if name}
    for sign in ("|", ";", ",", "\n", " "):
        parts = {name: {p.strip() for p in name.split(sign)} - {""} for name in every}
        several = {name: found for name, found in parts.items() if len(found) > 1}
        if not several or (sign == " " and not is_plural):
            continue
        if sign in ",;\n" and (of_classes := [name for name, found in several.items() if found <= every]):
            return min(of_classes)
        counts = Counter(part for found in parts.values() for part in found)
        inside = {part for found in several.values() for part in found}
        shared = {part for part in inside if counts[part] > 1}
        if sign == " ":
            several = _lists_of_words(several, every, shared, is_list=is_list)
            shared = inside if several else set()
        enough = bool(shared) if sign == "|" else 2 * len(shared) >= len(inside)
        if several and enough and (sign == "|" or is_plural or len(several) > 2):
            return min(several)
    return None


def _lists_of_words(
    several: dict[str, set[str]], every: set[str], shared: set[str], *, is_list: bool
) -> dict[str, set[str]]:
    """Of names of several words, those that are lists: all of their words are classes; or, in a column of lists, words
    come back; or else, where no name is a proper one, a name is inside another (`clear primary` in `agriculture clear
    primary water`) or another in a new order. `red rose` and `white rose` are classes."""
    of_classes = {name: words for name, words in several.items() if words <= every}
    if of_classes:
        return of_classes
    inside = {word for words in several.values() for word in words}
    shared = {word for word in shared if sum(word in words for words in several.values()) > 1}
    if is_list and (len(shared) > 1 or 2 * len(shared) >= len(inside)):
        return {name: words for name, words in several.items() if words & shared}
    if not all(name.islower() and name.replace(" ", "").replace("_", "").isalpha() for name in several):
        return {}
    first = sorted(several)[:_COMPARED]
    return {one: several[one] for one in first if any(_is_within(several, one, other) for other in first)}


def _is_within(several: dict[str, set[str]], one: str, other: str) -> bool:
    """Whether a list of words is part of another one, which neither begins nor ends with it."""
    is_part = one != other and several[one] <= several[other]
    return is_part and not other.startswith(f"{one} ") and not other.endswith(f" {one}")


def one_form(name: str) -> str:
    """A class name in one Unicode form (NFC), so that `é` is one letter however it was typed."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def group_in(values: Iterable[Any]) -> str | None:
    """The first value that says what an image belongs together with, in the form of a label (`1` for `1.0`); None where
    all are blank."""
    return next((name for value in values if value is not None and (name := text(value))), None)


def text(value: Any) -> str:
    """A label as a class name: whole numbers without a fraction, text without the blanks around it."""
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    plain = one_form(str(value)).strip()
    whole = _WHOLE.fullmatch(plain)
    return whole[1] if whole else plain
