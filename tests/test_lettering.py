"""Names of every script in pictures: drawn where a font has them, said where none has."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from PIL import Image, ImageDraw, features

from imaginate import lettering

NAMES = {
    "Chinese": ("猫", "狗"),
    "Japanese": ("ねこ猫", "いぬ犬"),
    "Korean": ("고양이", "강아지"),
    "Cyrillic": ("кошка", "собака"),
    "Greek": ("γάτα", "σκύλος"),
    "Arabic": ("قطة", "كلب"),
    "Hebrew": ("חתול", "כלב"),
    "Hindi": ("बिल्ली", "कुत्ता"),
    "Thai": ("แมว", "หมา"),
    "emoji": ("🐶", "🦖"),
    "of two fonts": ("猫🐶", "狗🦖"),
}
needs_fonts = pytest.mark.skipif(find_spec("weblate_fonts") is None, reason="needs the extra fonts")
needs_raqm = pytest.mark.skipif(not features.check("raqm"), reason="needs Pillow with raqm")


def drawn(text: str, size: int = 14, width: int | None = None) -> bytes:
    page = Image.new("L", (160, 24), "white")
    lettering.write(ImageDraw.Draw(page), (2, 2), text, size=size, width=width)
    return page.tobytes()


@pytest.fixture
def _without_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lettering, "find_spec", lambda name: None)
    lettering._fonts.cache_clear()
    lettering._has.cache_clear()
    yield
    lettering._fonts.cache_clear()
    lettering._has.cache_clear()


@needs_fonts
@needs_raqm
@pytest.mark.parametrize(("first", "second"), NAMES.values(), ids=NAMES)
def test_names_of_every_script_are_drawn(first: str, second: str) -> None:
    assert lettering.cannot_write([first, second]) == ""
    box = drawn("\U0010fffd" * len(first))
    assert len({drawn(first), drawn(second), box, drawn("")}) == 4


@needs_fonts
@needs_raqm
def test_arabic_is_joined_and_runs_from_right_to_left() -> None:
    apart = sum(lettering.length(letter, 14) for letter in "قطة")
    assert lettering.length("قطة", 14) < apart
    assert drawn("אב")[:] == drawn("\u202dבא\u202c")  # as its letters from left to right, in a forced order


@needs_fonts
def test_one_name_in_two_forms_is_one_picture() -> None:
    assert drawn("café") == drawn("cafe\u0301")


@pytest.mark.usefixtures("_without_fonts")
def test_without_the_fonts_the_names_are_said_in_one_line() -> None:
    assert lettering.cannot_write(["cat", "a plain name, (2)"]) == ""
    line = lettering.cannot_write(["cat", "猫", "🐶", "قطة", "кошка"])
    assert "'猫', '🐶', 'قطة' and 1 more" in line
    assert 'pip install "imaginate[fonts]"' in line
    assert drawn("猫") != drawn("")


@pytest.mark.parametrize("text", ["two\nlines", "a\tb\rc", "", "\n", "x" * 500, "猫" * 500, "\u0301", "\ud800"])
def test_any_text_is_one_line_of_the_width(text: str) -> None:
    assert lettering.length(lettering.fit(text, 11, 100), 11) <= 100
    drawn(text, width=100)
