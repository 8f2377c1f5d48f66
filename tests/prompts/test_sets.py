"""Prompt sets: the papers' own examples, equal counts, and what happens when a class lacks a definition."""

from __future__ import annotations

import importlib.util
import runpy
from collections import Counter
from pathlib import Path

import pytest

from imaginate.errors import ConfigError
from imaginate.prompts.naming import class_name
from imaginate.prompts.sets import SETS, draw, prompt_set, skipped, usable
from imaginate.prompts.texts import CLIP, SCENES, TEXTUAL_INVERSION
from imaginate.records import ClassInfo, LabelSpace

SHARK = ClassInfo(
    name="n01491361",
    display="tiger shark",
    synonyms=("Galeocerdo cuvieri",),
    definition="large dangerous warm-water shark with striped or spotted body",
    hypernym="requiem shark",
)
BARE = ClassInfo(name="gas_pump")


def test_the_papers_examples() -> None:
    assert draw(SETS["simple"], SHARK, 0, 1).text == "A photo of tiger shark, Galeocerdo cuvieri."
    assert draw(SETS["simple-nows"], ClassInfo(name="desktop computer"), 0, 1).text == "A photo of desktopcomputer."
    assert class_name(SHARK, synonyms=True, strip=True) == "tigershark, Galeocerdocuvieri"
    assert draw(SETS["simple"], BARE, 0, 1).text == "A photo of gas pump."


def test_the_lists_are_complete() -> None:
    assert (len(set(CLIP)), len(set(TEXTUAL_INVERSION)), len(set(SCENES))) == (80, 27, 365)


def test_clips_templates_are_those_of_the_open_clip_wheel() -> None:
    package = importlib.util.find_spec("open_clip")
    if package is None or package.origin is None:
        pytest.skip("needs open_clip_torch")
    metadata = runpy.run_path(str(Path(package.origin).parent / "zero_shot_metadata.py"))
    assert [t.format(name="x") for t in CLIP] == [t("x") for t in metadata["OPENAI_IMAGENET_TEMPLATES"]]


def test_sariyildiz_uses_its_five_categories_equally_often() -> None:
    prompts = [draw(SETS["sariyildiz"], SHARK, copy, 1000 + copy) for copy in range(390)]
    assert set(Counter(p.category for p in prompts).values()) == {78}
    multiple = {p.text for p in prompts if p.category == "multiple"}
    assert multiple == {
        "multiple tiger shark, Galeocerdo cuvieri, requiem shark",
        "multiple different tiger shark, Galeocerdo cuvieri, requiem shark",
    }
    scenes = {p.text.split(" inside ")[1] for p in prompts if p.category == "background"}
    assert len(scenes) > 40
    assert scenes <= set(SCENES)


def test_clip_templates_are_drawn_with_replacement_by_the_seed_alone() -> None:
    first = [draw(SETS["clip"], BARE, 0, seed).text for seed in range(200)]
    assert first == [draw(SETS["clip"], BARE, copy, copy).text for copy in range(200)]
    assert 60 < len(set(first)) <= 80
    assert all("gaspump" in text for text in first)
    assert "gas pump" in draw(SETS["clip"], BARE, 0, 1, white_space="keep").text


def test_gif_prompts_follow_equation_7() -> None:
    texts = [draw(SETS["gif"], ClassInfo(name="orange"), 0, seed).text for seed in range(300)]
    assert "an oil painting of a colorful orange" in texts
    assert "an image of an orange" in texts
    assert len(set(texts)) == 50


def test_a_class_without_a_definition_skips_that_category_and_it_is_said() -> None:
    labels = LabelSpace((SHARK, BARE))
    assert skipped(SETS["sariyildiz"], labels) == {"gas_pump": ("hypernym", "multiple", "definition", "background")}
    assert [c.name for c in usable(SETS["sariyildiz"], BARE)] == ["name"]


def test_a_set_that_needs_what_nobody_gave_is_refused() -> None:
    with pytest.raises(ConfigError, match="sariyildiz needs hypernym, which no class has"):
        skipped(SETS["sariyildiz"], LabelSpace((BARE,)))


def test_the_users_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("# a comment\n\nan x-ray of {name}\n{class} seen from {background}\n")
    texts = {draw(prompt_set(str(file)), BARE, 0, seed).text for seed in range(40)}
    assert "an x-ray of gas pump" in texts
    file.write_text("a photo of {nmae}\n")
    with pytest.raises(ConfigError, match=r"unknown \{nmae\}.*did you mean 'name'"):
        prompt_set(str(file))
    file.write_text("a photo\n")
    with pytest.raises(ConfigError, match=r"needs \{name\} or \{class\}"):
        prompt_set(str(file))
    with pytest.raises(ConfigError, match=r"unknown prompt set 'clib'.*did you mean 'clip'"):
        prompt_set("clib")
