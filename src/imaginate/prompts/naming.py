"""The one way to name a class in a prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from imaginate.records import ClassInfo, LabelSpace

_COMMA = re.compile(r",(?!\d)")  # not the comma of 1,000


def lemmas(text: str) -> tuple[str, ...]:
    """The names that a text lists, separated by commas: "tiger shark, Galeocerdo cuvieri" is two (RET 3.2)."""
    parts = (" ".join(part.split()) for part in _COMMA.split(text))
    return tuple(dict.fromkeys(part for part in parts if part))


def with_lemmas(labels: LabelSpace, kept: Collection[str]) -> LabelSpace:
    """The classes called by their first lemma, the others as synonyms, where that still tells all classes apart.

    `kept`: names of classes whose titles are somebody's own words, and stay.
    """
    named = [lemmas(info.title) for info in labels]
    times = Counter(names[0].casefold() for names in named if names)
    return LabelSpace(
        tuple(
            _called(info, names) if info.name not in kept and names and times[names[0].casefold()] == 1 else info
            for info, names in zip(labels, named, strict=True)
        )
    )


def _called(info: ClassInfo, names: tuple[str, ...]) -> ClassInfo:
    """The class by the first of its names; as it was where there is one alone, or one that holds no letter."""
    if len(names) < 2 or not all(any(sign.isalpha() for sign in name) for name in names):
        return info
    return replace(info, display=names[0], synonyms=tuple(dict.fromkeys((*names[1:], *info.synonyms))))


def class_name(info: ClassInfo, *, synonyms: bool = False, strip: bool = False) -> str:
    """How a prompt names a class: its display name, with `synonyms` all of its names, joined by a comma and a space
    ("tiger shark, Galeocerdo cuvieri", RET 3.2).

    `strip` removes the white space inside each name: RET's w(n), "desktopcomputer".
    """
    names = [info.title, *info.synonyms] if synonyms else [info.title]
    if strip:
        names = ["".join(lemma.split()) for name in names for lemma in lemmas(name)]
    return ", ".join(dict.fromkeys(names))


def core_word(info: ClassInfo) -> str:
    """The last word of a class's first name: "shark" of "tiger shark, Galeocerdo cuvieri" (RET 3.2)."""
    words = [word for name in lemmas(info.title)[:1] for word in name.split()]
    return words[-1] if words else info.name


def with_words(labels: LabelSpace, words: Mapping[str, str]) -> LabelSpace:
    """The classes named by their pseudowords (class name -> word), without synonyms, where they have one."""
    return LabelSpace(tuple(replace(c, display=words[c.name], synonyms=()) if c.name in words else c for c in labels))


_WORDS_FOR_CLASS = frozenset(("class", "cls", "label", "category", "cat", "group", "type", "kind", "id", "no", "nr"))
_NUMBERED = re.compile(r"[a-z]\d{1,2}|(?:" + "|".join(sorted(_WORDS_FOR_CLASS)) + r")\d+|[a-z]{1,3}\d{5,}")


def says_nothing(info: ClassInfo) -> bool:
    """Whether a class's title is a number or a code (`3`, `class_3`, `n01440764`, `bkl`), of which no text encoder has
    learnt what it looks like. What has a sign of another script is a word."""
    title = class_name(info).strip().casefold()
    if not title.isascii():
        return False
    words = re.findall(r"[a-z0-9]+", title)
    if len(words) == 1 and len(title) <= 4 and not set(title) & set("aeiouy"):
        return True
    bare = [word for word in words if not (word.isdigit() or len(word) == 1 or _NUMBERED.fullmatch(word))]
    return not bare or (len(bare) < len(words) and set(bare) <= _WORDS_FOR_CLASS)
