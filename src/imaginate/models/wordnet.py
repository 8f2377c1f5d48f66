"""What WordNet knows of a class: its synonyms, its definition and what it is a kind of (RET 3.2, Miller 1995).

Read with NLTK from Debian's `wordnet-base` files, from NLTK's own `wordnet` corpus, or from the folder named by
IMAGINATE_WORDNET. A class with a WordNet id (`wnid: n01491361`) is exact; a name is looked up only where it has a
single meaning as a noun, because RET saw what an ambiguous name does ("papillon"). The user's own words are kept.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from imaginate.records import ClassInfo, LabelSpace

PLACES = ("/usr/share/wordnet",)


@cache
def reader() -> Any:
    """NLTK's WordNet reader over the first folder that holds the files; None where there is none, or no NLTK."""
    try:
        from nltk.corpus import WordNetCorpusReader
    except ImportError:
        return None
    from nltk import data

    own = [os.environ["IMAGINATE_WORDNET"]] if "IMAGINATE_WORDNET" in os.environ else []
    nltk = [str(Path(root) / "corpora/wordnet") for root in data.path]
    for place in (*own, *PLACES, *nltk):
        if (Path(place) / "data.noun").is_file():
            if place not in data.path:
                data.path.append(place)  # NLTK reads nothing outside its own search path
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns that only the English words are there
                return WordNetCorpusReader(place, None)
    return None


def enrich(labels: LabelSpace) -> tuple[LabelSpace, tuple[str, ...]]:
    """The label space with gaps filled from WordNet, and one line for each class that it could not tell."""
    if reader() is None:
        return labels, ("WordNet is not installed: no hypernyms or definitions are added",)
    notes: list[str] = []
    classes = tuple(_known(info, notes) for info in labels)
    return LabelSpace(classes), tuple(notes)


def complete(info: ClassInfo) -> bool:
    """Whether a class has both a hypernym and a definition, so that there is nothing to look up."""
    return bool(info.hypernym and info.definition)


def _known(info: ClassInfo, notes: list[str]) -> ClassInfo:
    if complete(info):
        return info
    synset = _by_id(info.wnid or info.name) or _by_name(info, notes)
    if synset is None:
        return info
    names = [lemma.replace("_", " ") for lemma in synset.lemma_names()]
    parents = synset.hypernyms()
    return replace(
        info,
        synonyms=info.synonyms or tuple(n for n in names if n.lower() != info.title.lower()),
        definition=info.definition or synset.definition(),
        hypernym=info.hypernym or (_words(parents[0]) if parents else ""),
    )


def _words(synset: Any) -> str:
    return str(synset.lemma_names()[0]).replace("_", " ")


def _by_id(text: str) -> Any:
    if len(text) != 9 or text[0] != "n" or not text[1:].isdigit():
        return None
    try:
        return reader().synset_from_pos_and_offset("n", int(text[1:]))
    except Exception:  # NLTK raises several kinds for an offset that is no synset
        return None


def _by_name(info: ClassInfo, notes: list[str]) -> Any:
    for name in (info.title, *info.synonyms):
        senses: Sequence[Any] = reader().synsets(name.replace(" ", "_"), pos="n")
        if len(senses) == 1:
            return senses[0]
        if len(senses) > 1:
            notes.append(f"class {info.name!r} has {len(senses)} meanings in WordNet: give its wnid in classes.yaml")
            return None
    notes.append(f"class {info.name!r} is not in WordNet")
    return None
