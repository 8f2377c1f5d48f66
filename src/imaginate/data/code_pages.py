"""Names in a zip whose code page the zip does not state: old tools wrote them in that of their own computer.

All names of an archive share one. Each candidate is weighed by what its text would look like: letters of one script
in a word, no symbols between them, capitals in front.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise

_WORLD = ("cp850", "cp437", "cp1252", "cp866", "cp1251", "cp852", "cp1250", "cp737", "cp1253", "cp857")
# Two bytes a letter; the second encoding holds the letters in common use.
_EAST = {"gbk": "gb2312", "cp932": "shift_jis", "big5": "big5", "cp949": "euc_kr"}


def guess(names: Sequence[bytes]) -> str | None:
    """The code page of these names, none of them ASCII alone; None where no candidate reads them all."""
    if _decoded(names, "utf-8") is not None:
        return "utf-8"
    found = {page: text for page in (*_WORLD, *_EAST) if (text := _decoded(names, page)) is not None}
    scores = {page: sum(_plausible(text, page) for text in texts) for page, texts in found.items()}
    return max(scores, key=lambda page: scores[page], default=None)


def _decoded(names: Sequence[bytes], page: str) -> list[str] | None:
    try:
        return [name.decode(page) for name in names]
    except UnicodeDecodeError:
        return None


def _plausible(text: str, page: str) -> float:
    """The higher, the more the text looks like a name somebody gave."""
    is_common = _common(_EAST.get(page))
    score = 0.0
    for char in text:
        if not char.isascii():
            score += (1.0 if is_common(char) else -0.5) if unicodedata.category(char)[0] in "LM" else -2.0
    for before, after in pairwise(text):
        if before.isascii() and after.isascii():
            continue
        scripts = {_script(before), _script(after)} - {""}
        score -= 3.0 if len(scripts) > 1 else 0.0
        score -= 2.0 if before.islower() and after.isupper() else 0.0
        both_accented = not before.isascii() and not after.isascii() and scripts == {"LATIN"}
        score -= 1.5 if both_accented else 0.0
    return score


def _common(narrow: str | None) -> Callable[[str], bool]:
    def is_common(char: str) -> bool:
        if narrow is None:
            return True
        if "HALFWIDTH" in unicodedata.name(char, ""):
            return False
        try:
            char.encode(narrow)
        except UnicodeEncodeError:
            return False
        return True

    return is_common


def _script(char: str) -> str:
    """`LATIN`, `CYRILLIC`, ...; Chinese and Japanese signs are one; "" for what is no letter."""
    if unicodedata.category(char)[0] != "L":
        return ""
    word = unicodedata.name(char, "").split(" ")[0]
    return "CJK" if word in ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH") else word
