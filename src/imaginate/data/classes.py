"""What is known of each class beyond its name: `classes.yaml` (ours) and `classes.json` (WordNet ids and synonyms).

    domain: a photo of                # for every class that has none of its own
    classes:
      n01440764:
        display: tench
        synonyms: [Tinca tinca]
        definition: freshwater dace-like game fish of Europe and western Asia
        hypernym: fish
      "0": malignant tumour           # a bare text is the display name

It is in the folder, or next to a file as `<name>.classes.yaml` or `classes.yaml`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from imaginate.data.class_yaml import read_yaml
from imaginate.data.shipped_classes import recognised, shipped
from imaginate.errors import DataError, some
from imaginate.limits import parse_json
from imaginate.prompts import wordnet
from imaginate.prompts.naming import with_lemmas
from imaginate.records import ClassInfo, ClassNames, LabelSpace
from imaginate.settings import nearest

_NUMBER = re.compile(r"^(?:\d+[._]+|0\d*[- ]+|n\d{8}[-_. ]+)(?=.*[^\W\d_]{2})")
_CODE = re.compile(
    r"[\W\d_]*|n\d{8}|[0-9a-f]{8,}|"
    r"(?:[a-z]|class|cls|label|category|cat|type|group|cluster|grade|level|stage|id)[ ._-]*\d+",
    re.IGNORECASE,
)
SHOWN = 3
_TEXTS = ("display", "definition", "hypernym", "domain", "wnid")
_KEYS = (*_TEXTS, "synonyms")


def describe(
    labels: LabelSpace,
    path: str,
    classes_file: str | None = None,
    size: tuple[int, int] = (0, 0),
    class_names: ClassNames = "given",
) -> tuple[LabelSpace, tuple[str, ...]]:
    """The label space with what the files next to the dataset say of its classes, and notes on what did not fit.

    This is where a class gets its name, for prompts, guides, fits and retrieval alike. `size`: height and width of an
    image. Classes that no file names take the words of a class file of imaginate's own, where the data set is a known
    one, or those of their WordNet ids, or their name in the source without its number, split at the commas. With
    `class_names` wordnet, WordNet fills what is still missing.
    """
    notes: list[str] = []
    table = _file_next_to(path, ("classes.json",))
    if table is not None:
        labels = _from_json(labels, table)
    if (own := recognised(path, labels, size)) is not None:
        labels, _ = _from_yaml(labels, str(shipped(own)))
        notes.append(f"class names of {own}, of imaginate's own class file ({_examples(labels)})")
    if classes_file is not None and not os.path.exists(classes_file):
        classes_file = shipped(classes_file) or classes_file
    file = classes_file or _file_next_to(path, ("classes.yaml", "classes.yml"))
    labels, more = _from_yaml(labels, file) if file is not None else (labels, ())
    labels, found = _of_wordnet(labels)
    worded = {info.name for info in labels if info.display}
    labels = with_lemmas(_without_numbers(labels), worded)
    labels, filled = _filled(labels) if class_names == "wordnet" else (labels, [])
    return labels, (*notes, *more, *found, *_codes(labels), *filled)


def _filled(labels: LabelSpace) -> tuple[LabelSpace, list[str]]:
    """The classes with the synonyms of WordNet, and a note on those that it cannot tell."""
    if wordnet.place() is None:
        raise DataError(
            "class names of WordNet need its files: apt install wordnet-base, or name their folder in IMAGINATE_WORDNET"
        )
    labels, unknown = wordnet.enrich(labels)
    return labels, [*unknown[:SHOWN], *([f"... and {len(unknown) - SHOWN} more"] if len(unknown) > SHOWN else [])]


def _examples(labels: Iterable[ClassInfo]) -> str:
    """Names and titles of a few classes."""
    shown = [f"{info.name}: {info.title}" for info in labels]
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")


def _of_wordnet(labels: LabelSpace) -> tuple[LabelSpace, list[str]]:
    """Classes that are called by a WordNet id, with the words of it."""
    ids = [info.wnid or info.name for info in labels]
    asked = [wordnet.is_id(info.name) and not info.display for info in labels]
    found = [wordnet.of_id(text) if is_asked else None for text, is_asked in zip(ids, asked, strict=True)]
    times = Counter(synset.words[0] for synset in found if synset)
    named = [
        info if synset is None else _named(info, text, synset, is_clear=times[synset.words[0]] == 1)
        for info, text, synset in zip(labels, ids, found, strict=True)
    ]
    changed = [info for info, synset in zip(named, found, strict=True) if synset]
    notes = [f"{len(changed)} classes have the words of their WordNet ids ({_examples(changed)})"] if changed else []
    if any(asked) and not changed:
        notes.append('WordNet ids have words where its files are (pip install "imaginate[guides]")')
    return LabelSpace(tuple(named)), notes


def _named(info: ClassInfo, wnid: str, synset: wordnet.Synset, *, is_clear: bool) -> ClassInfo:
    """The class by the first word of its meaning, with the definition where another class has the same word (crane)."""
    first, *others = synset.words
    kind = " ".join(synset.definition.split(";")[0].split(",")[0].split()[:6])
    display = first if is_clear else f"{first}, {kind}"
    return replace(
        info,
        display=display,
        wnid=wnid,
        synonyms=info.synonyms or tuple(others),
        definition=info.definition or synset.definition,
    )


def _without_numbers(labels: LabelSpace) -> LabelSpace:
    """Titles without the catalogue number in front (`001.Black_footed_Albatross`, `n02085620-Chihuahua`), where they
    still tell the classes apart."""
    bare = [_NUMBER.sub("", info.name).replace("_", " ") if not info.display else info.display for info in labels]
    if len({title.casefold() for title in bare}) < len(labels):
        return labels
    changed = (title not in (info.title, "") for info, title in zip(labels, bare, strict=True))
    return LabelSpace(
        tuple(replace(i, display=t) if is_new else i for i, t, is_new in zip(labels, bare, changed, strict=True))
    )


def _codes(labels: LabelSpace) -> list[str]:
    """A note on classes whose titles hold no word: numbers, WordNet ids, `c1`, `class 3`."""
    codes = [info.title for info in labels if _CODE.fullmatch(info.title)]
    if not codes:
        return []
    shown = ", ".join(codes[:SHOWN]) + (", ..." if len(codes) > SHOWN else "")
    return [
        f"{len(codes)} class names look like codes ({shown}): what works with text needs words, which classes.yaml "
        "gives; a pool is searched without them by --query seeds"
    ]


def _file_next_to(path: str, names: Sequence[str]) -> str | None:
    if os.path.isdir(path):
        options = [os.path.join(path, name) for name in names]
    else:
        folder, stem = os.path.dirname(path), os.path.basename(path).split(".")[0]
        options = [os.path.join(folder, f"{stem}.{name}") for name in names] + [os.path.join(folder, n) for n in names]
    return next((option for option in options if os.path.isfile(option)), None)


def _from_yaml(labels: LabelSpace, file: str) -> tuple[LabelSpace, tuple[str, ...]]:
    described = read_yaml(file)
    common = described.get("domain", "")
    entries = {
        unicodedata.normalize("NFC", str(name)): _entry(file, str(name), value)
        for name, value in described["classes"].items()
    }
    unknown = [name for name in entries if name not in labels.names]
    notes = []
    if unknown:
        names = some([repr(name) for name in unknown], SHOWN)
        hint = nearest(unknown[0], labels.names) if len(unknown) == 1 else ""
        notes.append(f"{file} describes classes that the dataset does not have: {names}{hint}")
    classes = tuple(replace(info, **entries.get(info.name, {})) for info in labels)
    return LabelSpace(tuple(replace(c, domain=c.domain or common) for c in classes)), tuple(notes)


def _entry(file: str, name: str, value: Any) -> dict[str, Any]:
    """One class's fields for ClassInfo."""
    if isinstance(value, str):
        return {"display": value}
    if not isinstance(value, dict):
        raise DataError(f"{file}: class {name!r} must be a text or a mapping, got {type(value).__name__}")
    for key in value:
        if key not in _KEYS:
            raise DataError(f"{file}: class {name!r} has an unknown key {key!r}{nearest(key, _KEYS)}")
    synonyms = value.get("synonyms", [])
    texts = {key: value[key] for key in _TEXTS if key in value}
    if not isinstance(synonyms, list) or not all(isinstance(t, str) for t in [*synonyms, *texts.values()]):
        raise DataError(f"{file}: class {name!r}: synonyms must be a list of texts, the other keys texts")
    return {**texts, **({"synonyms": tuple(synonyms)} if "synonyms" in value else {})}


def _from_json(labels: LabelSpace, file: str) -> LabelSpace:
    """A list in label order of {"wnid", "names"}: the first name is the class, the others are synonyms."""
    try:
        with open(file, encoding="utf-8") as stream:
            rows = parse_json(stream.read())
        if len(rows) != len(labels):
            return labels
        return LabelSpace(tuple(_row(info, row) for info, row in zip(labels, rows, strict=True)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {file}: {error}") from None


def _row(info: ClassInfo, row: Mapping[str, Any]) -> ClassInfo:
    names = [str(name) for name in row["names"]]
    return replace(info, display=names[0], synonyms=tuple(names[1:]), wnid=str(row.get("wnid", "")))
