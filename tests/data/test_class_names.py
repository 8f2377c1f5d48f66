"""A class has one name, resolved when the dataset opens; prompts, guides, fits and retrieval read that one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from data import zoo
from imaginate.data import open_dataset
from imaginate.errors import DataError
from imaginate.methods.core.retrieval import sentences
from imaginate.personalisation.core.pseudowords import initial, tokens
from imaginate.prompts.naming import class_name
from imaginate.prompts.sets import SETS, draw
from imaginate.records import ClassInfo, LabelSpace

NOUNS = """
00000001 05 n 02 fish 0 aquatic_vertebrate 0 000 | swims
00000060 05 n 02 tiger_shark 0 Galeocerdo_cuvieri 0 001 @ 00000001 n 0000 | a large shark
00000150 05 n 01 crane 0 000 | a bird
00000186 06 n 01 crane 0 000 | a machine
"""


@pytest.fixture
def little_wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The four meanings of `NOUNS`, in WordNet's own format."""
    folder, data, index = tmp_path / "wordnet", b"", dict[str, list[str]]()
    places: dict[str, str] = {}
    for line in NOUNS.strip().splitlines():
        places[line[:8]] = f"{len(data):08d}"
        words = [word.lower() for word in line.split(" 0 ")[:-1] for word in word.split()[-1:]]
        for word in words:
            index.setdefault(word, []).append(places[line[:8]])
        data += f"{places[line[:8]]}{line[8:]}\n".replace("@ 00000001", f"@ {places['00000001']}").encode()
    folder.mkdir()
    (folder / "data.noun").write_bytes(data)
    rows = [f"{word} n {len(found)} 0 {len(found)} 0 {' '.join(found)}  " for word, found in sorted(index.items())]
    (folder / "index.noun").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("IMAGINATE_WORDNET", str(folder))
    return folder


def opened(root: Path, names: list[str], class_names: str = "given") -> LabelSpace:
    zoo.folder(root / "set", dict.fromkeys(names, 2))
    return open_dataset(root / "set", class_names=class_names).labels


def simple(info: ClassInfo) -> str:
    return draw(SETS["simple"], info, 0, 1).text


@pytest.mark.usefixtures("little_wordnet")
@pytest.mark.parametrize("name", ["tiger_shark", "003.tiger_shark", "tiger_shark,_Galeocerdo_cuvieri"])
def test_wordnet_names_the_class_in_every_prompt(name: str, tmp_path: Path) -> None:
    shark, other = opened(tmp_path, [name, "zzqy"], "wordnet")
    assert (shark.name, shark.title, shark.synonyms) == (name, "tiger shark", ("Galeocerdo cuvieri",))
    assert (shark.hypernym, shark.definition) == ("fish", "a large shark")
    assert simple(shark) == "A photo of tiger shark, Galeocerdo cuvieri."
    assert draw(SETS["sariyildiz"], shark, 0, 1).text == "tiger shark, Galeocerdo cuvieri"
    world: Any = SimpleNamespace(labels=LabelSpace((shark, other)))
    assert sentences("simple-nows", world, 0) == ["A photo of tigershark, Galeocerdocuvieri."]
    assert simple(other) == "A photo of zzqy."


def test_the_names_of_a_source_are_split_at_their_commas(tmp_path: Path) -> None:
    names = ["crane,_bird", "crane,_machine", "tiger_shark,_Galeocerdo_cuvieri", "1,000_dollars", "Paris,_1900"]
    found = {info.name: (info.title, info.synonyms) for info in opened(tmp_path, names)}
    assert found == {
        # split, both would be called crane
        "crane,_bird": ("crane, bird", ()),
        "crane,_machine": ("crane, machine", ()),
        "tiger_shark,_Galeocerdo_cuvieri": ("tiger shark", ("Galeocerdo cuvieri",)),
        "1,000_dollars": ("1,000 dollars", ()),
        "Paris,_1900": ("Paris, 1900", ()),
    }


@pytest.mark.usefixtures("little_wordnet")
def test_wordnet_adds_nothing_unasked_and_says_what_it_cannot_tell(tmp_path: Path) -> None:
    assert simple(opened(tmp_path, ["tiger_shark", "crane"])[1]) == "A photo of tiger shark."
    data = open_dataset(tmp_path / "set", class_names="wordnet")
    assert data.labels[0].synonyms == ()
    assert "class 'crane' has 2 meanings in WordNet: give its wnid in classes.yaml" in data.notes


def test_wordnet_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaginate.prompts.wordnet.place", lambda: None)
    with pytest.raises(DataError, match="class names of WordNet need its files: apt install wordnet-base"):
        opened(tmp_path, ["tiger_shark"], "wordnet")


TITLE = "tiger shark, Galeocerdo cuvieri"
FORMS = (
    ClassInfo(name="a", display="tiger shark", synonyms=("Galeocerdo cuvieri",)),
    ClassInfo(name="a", display=TITLE),
    ClassInfo(name="tiger_shark,_Galeocerdo_cuvieri"),
)


@pytest.mark.parametrize("info", FORMS)
def test_a_name_with_synonyms_reads_as_one_with_commas(info: ClassInfo) -> None:
    assert simple(info) == f"A photo of {TITLE}."
    assert draw(SETS["simple-nows"], info, 0, 1).text == "A photo of tigershark, Galeocerdocuvieri."
    assert class_name(info, synonyms=True, strip=True) == "tigershark, Galeocerdocuvieri"


class Letters:
    """A tokenizer with a token a letter, its code."""

    def __call__(self, text: str, add_special_tokens: bool) -> Letters:
        self.input_ids = [ord(letter) for letter in text]
        return self

    def get_vocab(self) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("info", [*FORMS, ClassInfo(name="tiger shark")])
def test_a_pseudoword_starts_from_the_last_word_of_the_first_name(info: ClassInfo) -> None:
    table = torch.eye(128)
    expected = table[[ord(letter) for letter in "shark"]].mean(0)
    assert torch.equal(initial(LabelSpace((info,)), Letters(), table)[0], expected)


def test_the_pseudoword_of_a_split_name_is_short(tmp_path: Path) -> None:
    assert tokens(opened(tmp_path, ["tiger_shark,_Galeocerdo_cuvieri"]), Letters()) == ["<tiger-shark>"]
