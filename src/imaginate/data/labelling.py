"""Labels as sources write them (numbers, names, nothing) -> indices into one label space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from imaginate.data.listing import sorted_names, unique_names
from imaginate.records import LabelSpace

NO_LABEL = "no label"
OUT_OF_RANGE = "label out of range"


class Labeller:
    """With known names a number is an index and a text a name; without, the names are those seen, in order."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self.fixed = names is not None
        self._names = unique_names(names) if names is not None else []
        self._seen: set[str] = set()

    def see(self, values: Iterable[Any]) -> None:
        """Note the labels of one part of the source, before any is asked for."""
        self._seen.update(text(value) for value in set(values) if value is not None)

    @cached_property
    def space(self) -> LabelSpace:
        """The label space, complete from the first use on."""
        return LabelSpace.of(self._names if self.fixed else sorted_names(self._seen - {""}))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: label for label, name in enumerate(self.space.names)}

    def label(self, value: Any) -> int | str:
        """A label, or the reason why there is none."""
        if self.fixed and isinstance(value, int) and not isinstance(value, bool):
            if value == -1:
                return NO_LABEL
            return value if 0 <= value < len(self._names) else OUT_OF_RANGE
        name = "" if value is None else text(value)
        return NO_LABEL if name == "" else self._index.get(name, OUT_OF_RANGE)


def text(value: Any) -> str:
    """A label as a class name: whole numbers without a fraction, text without the blanks around it."""
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value == int(value) else str(value)
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()
