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

import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from imaginate.errors import DataError
from imaginate.records import ClassInfo, LabelSpace
from imaginate.settings import nearest

_NUMBER = re.compile(r"^(?:\d+[._]+|0\d*[- ]+|n\d{8}[-_. ]+)(?=.*[^\W\d_]{2})")
_CODE = re.compile(
    r"[\W\d_]*|n\d{8}|[0-9a-f]{8,}|(?:[^\W\d_]|class|label|category|type|group|cluster|id)[ ._-]*\d+",
    re.IGNORECASE,
)
_TEXTS = ("display", "definition", "hypernym", "domain", "wnid")
_KEYS = (*_TEXTS, "synonyms")


def describe(labels: LabelSpace, path: str, classes_file: str | None = None) -> tuple[LabelSpace, tuple[str, ...]]:
    """The label space with what the files next to the dataset say of its classes, and notes on what did not fit."""
    table = _file_next_to(path, ("classes.json",))
    if table is not None:
        labels = _from_json(labels, table)
    file = classes_file or _file_next_to(path, ("classes.yaml", "classes.yml"))
    labels, notes = _from_yaml(labels, file) if file is not None else (labels, ())
    labels = _without_numbers(labels)
    return labels, (*notes, *_codes(labels))


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
    shown = ", ".join(codes[:3]) + (", ..." if len(codes) > 3 else "")
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
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        names = ", ".join(repr(name) for name in unknown[:3])
        hint = nearest(unknown[0], labels.names) if len(unknown) == 1 else ""
        notes.append(f"{file} describes classes that the dataset does not have: {names}{more}{hint}")
    classes = tuple(replace(info, **entries.get(info.name, {})) for info in labels)
    return LabelSpace(tuple(replace(c, domain=c.domain or common) for c in classes)), tuple(notes)


def read_yaml(file: str) -> dict[str, Any]:
    """The file as {"domain": str, "classes": {name: ...}}; DataError where it is something else."""
    import yaml

    try:
        with open(file, encoding="utf-8") as stream:
            # BaseLoader keeps `0`, `no` and `2001-01-01` as the texts that class names are
            found = yaml.load(stream, Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"cannot read {file}: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict) or not found:
        raise DataError(f"{file} must be a mapping of class names, got {type(found).__name__}")
    if not isinstance(found.get("classes"), dict):
        found = {"classes": found}
    other = sorted(set(found) - {"classes", "domain"})
    if other or not isinstance(found.get("domain", ""), str):
        raise DataError(f"{file} may hold `domain` (a text) and `classes`, got {', '.join(other) or 'another domain'}")
    return found


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
            rows = json.load(stream)
        if len(rows) != len(labels):
            return labels
        return LabelSpace(tuple(_row(info, row) for info, row in zip(labels, rows, strict=True)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {file}: {error}") from None


def _row(info: ClassInfo, row: Mapping[str, Any]) -> ClassInfo:
    names = [str(name) for name in row["names"]]
    return replace(info, display=names[0], synonyms=tuple(names[1:]), wnid=str(row.get("wnid", "")))
