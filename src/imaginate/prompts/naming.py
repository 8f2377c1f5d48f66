"""The one way to name a class in a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from imaginate.records import ClassInfo, LabelSpace


def class_name(info: ClassInfo, *, synonyms: bool = False, strip: bool = False) -> str:
    """How a prompt names a class: its display name, with `synonyms` all of its names, joined by a comma and a space
    ("tiger shark, Galeocerdo cuvieri", RET 3.2).

    `strip` removes the white space inside each name: RET's w(n), "desktopcomputer".
    """
    names = list(dict.fromkeys((info.title, *info.synonyms))) if synonyms else [info.title]
    return ", ".join("".join(name.split()) if strip else name for name in names)


def with_words(labels: LabelSpace, words: Mapping[str, str]) -> LabelSpace:
    """The classes named by their pseudowords (class name -> word), without synonyms, where they have one."""
    return LabelSpace(tuple(replace(c, display=words[c.name], synonyms=()) if c.name in words else c for c in labels))
