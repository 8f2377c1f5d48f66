"""WordNet by id and by unambiguous name; ambiguity is told, not guessed."""

from __future__ import annotations

import pytest

from imaginate.prompts import wordnet
from imaginate.records import ClassInfo, LabelSpace


@pytest.fixture(autouse=True)
def _needs_wordnet() -> None:
    if wordnet.place() is None:
        pytest.skip("needs the files of WordNet (apt install wordnet-base)")


def test_ids_names_and_ambiguity() -> None:
    shark = ClassInfo(name="n01491361", display="tiger shark")
    labels = LabelSpace((shark, ClassInfo(name="golf_ball"), ClassInfo(name="church"), ClassInfo(name="zzqy")))
    found, notes = wordnet.enrich(labels)
    assert found[0].synonyms == ("Galeocerdo cuvieri",)
    assert found[0].hypernym == "requiem shark"
    assert found[0].definition.startswith("large dangerous warm-water shark")
    assert found[1].definition == "a small hard ball used in playing golf; dimpled to reduce wind resistance"
    assert found[2] == labels[2]
    assert any("'church' has" in note and "wnid" in note for note in notes)
    assert any("'zzqy' is not in WordNet" in note for note in notes)


def test_the_users_words_are_kept() -> None:
    mine = ClassInfo(name="golf_ball", definition="my words")
    found, _ = wordnet.enrich(LabelSpace((mine,)))
    assert found[0].definition == "my words"
    assert found[0].hypernym
