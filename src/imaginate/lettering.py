"""Text in pictures: every name is written with a font that has its characters.

Pillow's own font has Latin letters without accents. The package of the extra `fonts` (Kurinto, SIL Open Font License
1.1) has nearly all scripts and emoji. A text takes the first font that has all of it; where no font does, each piece
takes its own. Right-to-left and joined scripts need Pillow's layout engine raqm, which its wheels have.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.errors import some

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

_PACKAGE = "weblate_fonts"
_FOLDER = "static/weblate_fonts/kurinto/ttf"
_FILES = tuple(f"KurintoSans{part}-Rg.ttf" for part in ("", "SC", "TC", "JP", "KR"))
_NO_CHARACTER = "\U0010ffff"
SHOWN = 3
_log = logging.getLogger("imaginate")
_said: set[str] = set()


def write(
    pen: ImageDraw, at: tuple[float, float], text: str, *, size: int = 11, fill: str = "black", width: int | None = None
) -> None:
    """Draw one line of text with its upper left corner `at`, cut to `width` pixels."""
    line = fit(text, size, width)
    left, base = at[0], at[1] + _fonts(size)[0].getmetrics()[0]
    for piece, number in _pieces(line):
        font = _fonts(size)[number]
        pen.text((left, base), piece, fill=fill, font=font, anchor="ls")
        left += font.getlength(piece)


def fit(text: str, size: int, width: int | None) -> str:
    """The text on one line, cut to a width in pixels; a cut is marked by an ellipsis."""
    whole = unicodedata.normalize("NFC", text)
    line = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in whole)
    while width is not None and line and length(line, size) > width:
        line = line[:-2].rstrip() + "…" if len(line) > 2 else ""
    return line


def length(line: str, size: int) -> float:
    """Pixels from side to side."""
    return sum(_fonts(size)[number].getlength(piece) for piece, number in _pieces(line))


def cannot_write(texts: Iterable[str]) -> str:
    """One line on the texts that no font here can show, and what mends it; "" where all can be shown."""
    bad = [text for text in dict.fromkeys(texts) if any(_font_of(c) is None for c in fit(text, 11, None))]
    if not bad:
        return ""
    shown = some([repr(text) for text in bad], SHOWN)
    help = "no font of imaginate[fonts] has them" if _has_package() else 'pip install "imaginate[fonts]"'
    return f"some characters of {shown} are drawn as boxes in pictures: {help}"


def say_cannot_write(texts: Iterable[str]) -> None:
    """Log that line, once in a process."""
    if (line := cannot_write(texts)) and line not in _said:
        _said.add(line)
        _log.warning(line)


def _pieces(line: str) -> list[tuple[str, int]]:
    """The line in pieces of one font each, in reading order."""
    if all(_has(0, c) for c in line):
        return [(line, 0)]
    for number in range(1, len(_fonts(11))):
        if all(_has(number, c) for c in line):
            return [(line, number)]
    pieces: list[tuple[str, int]] = []
    for character in line:
        number = pieces[-1][1] if pieces and _joins(character) else _font_of(character) or 0
        if pieces and pieces[-1][1] == number:
            pieces[-1] = (pieces[-1][0] + character, number)
        else:
            pieces.append((character, number))
    return pieces


def _font_of(character: str) -> int | None:
    """The number of the first font that has a character; None where none has."""
    return next((number for number in range(len(_fonts(11))) if _has(number, character)), None)


def _joins(character: str) -> bool:
    """Whether a character is drawn with the one before it: marks, joiners, blanks."""
    return unicodedata.category(character)[0] in "MCZ" and character != _NO_CHARACTER


@cache
def _has(number: int, character: str) -> bool:
    """Whether a font has a character. A font draws the same box for all that it does not have."""
    from PIL import features

    if _joins(character):  # Pillow's own font has no accents
        return number > 0 or not unicodedata.combining(character)
    if unicodedata.bidirectional(character) in ("R", "AL") and not features.check("raqm"):
        return False
    font = _fonts(11)[number]
    found, box = font.getmask(character), font.getmask(_NO_CHARACTER)
    return (found.size, bytes(found)) != (box.size, bytes(box))


def _has_package() -> bool:
    return find_spec(_PACKAGE) is not None


@cache
def _fonts(size: int) -> tuple[FreeTypeFont, ...]:
    """Pillow's own font, then those of the extra, where it is installed."""
    from PIL import ImageFont

    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont)
    found = find_spec(_PACKAGE)
    folders = [Path(place) / _FOLDER for place in (found.submodule_search_locations or ())] if found else []
    files = [folder / name for folder in folders for name in _FILES]
    return (own, *(ImageFont.truetype(str(file), size) for file in files if file.is_file()))
