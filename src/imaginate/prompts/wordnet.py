"""What WordNet knows of a class: its synonyms, its definition and what it is a kind of (RET 3.2, Miller 1995).

Reads the two noun files of WordNet 3.0 as wndb(5) describes them: Debian's `wordnet-base`, NLTK's `wordnet` corpus,
or the folder named by IMAGINATE_WORDNET. A class with a WordNet id (`wnid: n01491361`) is exact; a name is searched
only where it has a single meaning as a noun, because RET saw what an ambiguous name does ("papillon"). The user's own
words are kept.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from imaginate.prompts.naming import lemmas
from imaginate.records import ClassInfo, LabelSpace

PLACES = ("/usr/share/wordnet", "~/nltk_data/corpora/wordnet", "/usr/share/nltk_data/corpora/wordnet")


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning: its words, what it is a kind of (byte offsets), and its definition without the examples."""

    words: tuple[str, ...]
    parents: tuple[int, ...]
    definition: str


def place() -> Path | None:
    """The first folder that holds WordNet's noun files; None where there is none."""
    own = os.environ.get("IMAGINATE_WORDNET", "")
    folders = (Path(p).expanduser() for p in (own, *PLACES) if p)
    return next((f for f in folders if (f / "data.noun").is_file() and (f / "index.noun").is_file()), None)


def enrich(labels: LabelSpace, *, names: bool = True) -> tuple[LabelSpace, tuple[str, ...]]:
    """The label space with gaps filled from WordNet, and one line for each class that it could not tell.

    Without `names` no class gets synonyms: what it is called stays.
    """
    folder = place()
    if folder is None:
        return labels, ("WordNet is not installed (apt install wordnet-base): no hypernyms or definitions are added",)
    notes: list[str] = []
    classes = tuple(_known(folder, info, notes, names=names) for info in labels)
    return LabelSpace(classes), tuple(notes)


def _known(folder: Path, info: ClassInfo, notes: list[str], *, names: bool) -> ClassInfo:
    if info.hypernym and info.definition and (info.synonyms or not names):
        return info
    synset = _by_id(folder, info.wnid or info.name) or _by_name(folder, info, notes)
    if synset is None:
        return info
    there = {name.lower() for name in (info.title, *lemmas(info.title))}
    others = tuple(word for word in synset.words if word.lower() not in there) if names else ()
    return replace(
        info,
        synonyms=info.synonyms or others,
        definition=info.definition or synset.definition,
        hypernym=info.hypernym or _parent(folder, synset),
    )


def _parent(folder: Path, synset: Synset) -> str:
    parent = read(folder, synset.parents[0]) if synset.parents else None
    return parent.words[0] if parent else ""


def is_id(text: str) -> bool:
    """Whether a text has the form of a noun's WordNet id: n01491361."""
    return len(text) == 9 and text[0] == "n" and text[1:].isdecimal() and text.isascii()


def of_id(text: str) -> Synset | None:
    """The meaning with a WordNet id, by WordNet's files or by those of ImageNet in timm; None where neither has it."""
    if not is_id(text):
        return None
    folder = place()
    return (_by_id(folder, text) if folder else None) or _imagenet().get(text)


@cache
def _imagenet() -> dict[str, Synset]:
    """The classes of ImageNet by WordNet id, without what they are kinds of; empty where timm is not installed."""
    found = find_spec("timm")  # its files are read, since the package itself takes seconds to import
    folders = [Path(place) / "data" / "_info" for place in (found.submodule_search_locations or ())] if found else []
    tables = [
        _table(folder / f"imagenet_synset_to_{what}.txt") for folder in folders for what in ("lemma", "definition")
    ]
    if len(tables) != 2:
        return {}
    words, definitions = tables
    return {wnid: Synset(tuple(text.split(", ")), (), definitions.get(wnid, "")) for wnid, text in words.items()}


def _table(file: Path) -> dict[str, str]:
    """The lines of a file, "key<tab>text"; empty where there is none."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def _by_id(folder: Path, text: str) -> Synset | None:
    return read(folder, int(text[1:])) if is_id(text) else None


def _by_name(folder: Path, info: ClassInfo, notes: list[str]) -> Synset | None:
    for name in (info.title, *info.synonyms):
        offsets = nouns(folder).get("_".join(name.lower().split()), ())
        if len(offsets) == 1:
            return read(folder, offsets[0])
        if offsets:
            notes.append(f"class {info.name!r} has {len(offsets)} meanings in WordNet: give its wnid in classes.yaml")
            return None
    notes.append(f"class {info.name!r} is not in WordNet")
    return None


@cache
def nouns(folder: Path) -> dict[str, tuple[int, ...]]:
    """Noun in lower case, with underscores -> byte offsets of its meanings, most frequent first."""
    found = {}
    for line in (folder / "index.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            fields = line.split()
            found[fields[0]] = tuple(int(offset) for offset in fields[-int(fields[2]) :])
    return found


def read(folder: Path, offset: int) -> Synset | None:
    """The synset at a byte offset of `data.noun`; None where there is none."""
    with open(folder / "data.noun", "rb") as file:
        file.seek(offset)
        line = file.readline().decode("utf-8", "replace")
    if not line.startswith(f"{offset:08d} "):
        return None
    head, _, gloss = line.partition(" | ")
    fields = head.split()
    count = int(fields[3], 16)
    words = tuple(fields[4 + 2 * i].replace("_", " ") for i in range(count))
    pointers = fields[5 + 2 * count :]
    kinds = [pointers[i : i + 2] for i in range(0, len(pointers) - 3, 4)]
    parents = tuple(int(target) for symbol, target in kinds if symbol in ("@", "@i"))
    return Synset(words, parents, gloss.split('; "')[0].strip())
