"""Prompts of GIF Eq. 7: the article, the sets, and one draw an image."""

from __future__ import annotations

import pytest

from imaginate.errors import ConfigError
from imaginate.prompts.guided import ADJECTIVES, DOMAINS, article, chosen, draw_prompt, prompt


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("fox", "a"),
        ("orange fox", "an"),
        ("hourglass", "an"),
        ("honest man", "an"),
        ("house", "a"),
        ("unicorn", "a"),
        ("uniform", "a"),
        ("unimpressed face", "an"),
        ("uninhabited isle", "an"),
        ("umbrella", "an"),
        ("usher", "an"),
        ("urn", "an"),
        ("user", "a"),
        ("utensil", "a"),
        ("European bee", "a"),
        ("ewe", "a"),
        ("one-legged table", "a"),
        ("oboe", "an"),
        ("onion", "an"),
        ("MRI", "an"),
        ("CT slice", "a"),
        ("X-ray", "an"),
        ("UFO", "a"),
        ("8-ball", "an"),
        ("11th wheel", "an"),
        ("18-wheeler", "an"),
        ("110-metre track", "a"),
        ("2 dogs", "a"),
    ],
)
def test_article(word: str, expected: str) -> None:
    assert article(word) == expected


def test_the_papers_example() -> None:
    assert prompt("an oil painting of", "colorful", "fox") == "an oil painting of a colorful fox"
    assert prompt("an image of", "", "orange") == "an image of an orange"


def test_draws_belong_to_the_image_and_reach_every_word() -> None:
    drawn = [draw_prompt(seed, "fox", ("natural",), ("natural",)) for seed in range(600)]
    assert drawn == [draw_prompt(seed, "fox", ("natural",), ("natural",)) for seed in range(600)]
    expected = {prompt(d, a, "fox") for d in DOMAINS["natural"] for a in ADJECTIVES["natural"]}
    assert set(drawn) == expected
    assert len(expected) == 50


def test_own_words_and_sets_mix() -> None:
    assert chosen(("photo", "a pixel art of"), DOMAINS, "domains") == ("a photo of", "a pixel art of")
    assert draw_prompt(1, "axe", ("a drawing of",), ("none",)) == "a drawing of an axe"
    with pytest.raises(ConfigError, match="domains"):
        chosen((), DOMAINS, "domains")
