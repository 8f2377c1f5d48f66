"""WebDataset: members that share a key, `000.jpg` + `000.cls` (a number or a name) or `000.json` (`label`, ...)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imaginate.data import splits
from imaginate.data.archives import Member
from imaginate.data.columns import FOLLOWED, groups_of
from imaginate.data.decoding import has_image_suffix
from imaginate.data.downloads import resized_by
from imaginate.data.labelling import NO_LABEL, Labeller, from_line, group_in, text
from imaginate.data.listing import nothing
from imaginate.data.soft_labels import SoftLabels, column_in
from imaginate.data.sources.downloaded import DownloadedSource
from imaginate.errors import DataError, ImageError
from imaginate.limits import parse_json
from imaginate.records import GROUP, Listing, Part, Sample, Skipped
from imaginate.settings import nearest

_NAME_KEYS = ("class_name", "label_name")
_LABEL_KEYS = ("label", "cls", "class", "class_id", "target", "labels", "category")
UNLABELLED = (
    "a WebDataset has a label for each image, 0001.cls or 0001.json next to 0001.jpg; tars of one class or of class "
    "folders: unpack them, or give one of them"
)
Group = dict[str, Member]
_NOTHING: Mapping[str, str] = {}
_WHOLE = Part()


@dataclass(frozen=True, slots=True)
class Shard:
    """One tar of a WebDataset, and its members."""

    file: str
    members: Sequence[Member]
    skipped: Sequence[Skipped]


@dataclass(frozen=True, slots=True)
class _Row:
    """An image of a shard. `value`: its label as it is written; `family`: what it belongs together with; `shares`: its
    soft label as it is written."""

    name: str
    image: Member
    split: str | None
    value: Any
    family: Mapping[str, str]
    shares: Any = None


def is_keyed(found: Sequence[Member]) -> bool:
    """Whether some image has a label file of the same key."""
    return any(_image(group) and ("cls" in group or "json" in group) for group in _groups(found).values())


def list_shards(path: str, shards: Iterable[Shard], part: Part = _WHOLE) -> Listing:
    """All samples of all shards. Label files are read, images are not. The columns are the keys of the JSON, and the
    extensions of the members. DataError for a column that is asked for and not there."""
    rows: list[_Row] = []
    skipped: list[Skipped] = []
    numbered: dict[int, str] = {}
    there: dict[str, None] = {}
    is_asked = part.path_column is not None or part.label_column is not None
    for shard in shards:
        stem = os.path.basename(shard.file).split(".")[0]
        split = splits.of_file(stem) or splits.known(os.path.basename(os.path.dirname(shard.file)))
        skipped += shard.skipped
        for key, group in _groups(shard.members).items():
            name = f"{os.path.relpath(shard.file, path) if os.path.isdir(path) else stem}/{key}"
            image = _image(group, part.path_column)
            reason = "no image" if image is None else image.reason
            facts = _json(group["json"]) if "json" in group and not reason else {}
            if is_asked:
                there.update(dict.fromkeys((*group, *facts)))
            value = None if reason else _label(group, facts, numbered, part.label_column)
            if image is None or reason:
                skipped.append(Skipped(name, reason, split))
            else:
                family, shares = _family(facts, part.group_column), facts.get(column_in(list(facts)) or "")
                rows.append(_Row(name, _as_taken(image, facts), split, value, family, shares))
    _check_asked(path, part, list(there))
    return _listing(path, rows, skipped, numbered, part.label_column)


def _check_asked(path: str, part: Part, there: Sequence[str]) -> None:
    """DataError for a column that is asked for and that no image has."""
    pictures = [name for name in there if has_image_suffix("x." + name)]
    others = [name for name in there if name not in pictures and name != "json"]
    for name, columns, flag in (
        (part.path_column, pictures, "--path-column"),
        (part.label_column, others, "--label-column"),
    ):
        if name is not None and name not in columns:
            raise DataError(f"{path} has no column {name!r} ({flag}){nearest(name, columns)}")


def _listing(
    path: str, rows: Sequence[_Row], skipped: list[Skipped], numbered: Mapping[int, str], asked: str | None
) -> Listing:
    labeller = Labeller(_names(path, rows, numbered, asked), where=path, column=asked or "")
    if not labeller.fixed:
        labeller.see(row.value for row in rows)
    samples: list[Sample] = []
    soft = SoftLabels.numbered(len(labeller.space))
    for row in rows:
        label = labeller.label(row.value)
        if isinstance(label, str):
            skipped.append(Skipped(row.name, label, row.split))
        else:
            source, shares = row.image.source, soft.read(row.shares)
            samples.append(
                Sample(id=row.name, label=label, source=source, split=row.split, soft_label=shares, meta=row.family)
            )
    if not samples and any(item.reason == NO_LABEL for item in skipped):
        raise DataError(nothing(path, skipped, UNLABELLED))
    there = splits.ordered(row.split for row in rows if row.split)
    return Listing(
        format="WebDataset", labels=labeller.space, samples=samples, skipped=skipped, splits=there, notes=soft.notes,
        follows=FOLLOWED,
    )  # fmt: skip


def _groups(found: Sequence[Member]) -> dict[str, Group]:
    """Key (folders and name up to the first dot) -> extension -> member."""
    groups: dict[str, Group] = {}
    for member in found:
        folder, slash, name = member.name.rpartition("/")
        stem, _, extension = name.partition(".")
        if stem and not name.startswith("__"):
            groups.setdefault(folder + slash + stem, {}).setdefault(extension.lower(), member)
    return groups


def _image(group: Group, asked: str | None = None) -> Member | None:
    """The image of a group: the first, or the one with the extension that is asked for."""
    if asked is not None:
        return group.get(asked)
    return next((member for extension, member in group.items() if has_image_suffix("x." + extension)), None)


def _family(facts: Mapping[str, Any], asked: str | None) -> Mapping[str, str]:
    """What an image belongs together with: by the key that is asked for, or in an export of a run."""
    name = group_in(facts[column] for column in groups_of(list(facts), asked))
    return _NOTHING if name is None else {GROUP: name}


def _as_taken(image: Member, facts: Mapping[str, Any]) -> Member:
    """The image, without the border that the JSON next to it speaks of."""
    resized = resized_by(facts) if facts else None
    return image if resized is None else replace(image, source=DownloadedSource(image.source, resized))


def _label(group: Group, facts: Mapping[str, Any], numbered: dict[int, str], asked: str | None = None) -> Any:
    """The label of a group: a number, a name or None; of the column that is asked for alone. Where the JSON gives both,
    `numbered` learns the name."""
    if asked is not None and asked not in _LABEL_KEYS:
        return _number(facts[asked] if asked in facts else _text(group[asked]) if asked in group else None)
    name = next((facts[key] for key in _NAME_KEYS if isinstance(facts.get(key), str)), None)
    value = _number(_text(group["cls"])) if "cls" in group else None
    if value is None:
        value = _number(next((facts[key] for key in _LABEL_KEYS if facts.get(key) is not None), None))
    if isinstance(value, int) and name is not None:
        numbered.setdefault(value, name)
    return name if value is None else value


def _number(value: Any) -> Any:
    """A label as it is meant: `7`, `"7"`, `7.0` and `"7.0"` are the number 7, an empty text is nothing."""
    if isinstance(value, (list, dict)) or value is None:
        return value
    name = text(value)
    return int(name) if name.isascii() and name.lstrip("-").isdigit() else name or None


def _text(member: Member) -> str:
    try:
        return member.source.read().decode("utf-8", "replace").strip()
    except ImageError:
        return ""


def _json(member: Member) -> dict[str, Any]:
    try:
        found = parse_json(_text(member))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _names(path: str, rows: Sequence[_Row], numbered: Mapping[int, str], asked: str | None) -> list[str] | None:
    """Class names: `classes.txt` (one a line) or our `dataset_info.json` next to the shards, else from the JSON, else
    None. A column of another name that is asked for has other classes."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    is_usual = asked is None or asked in _LABEL_KEYS
    if is_usual and (named := _named_by_us(os.path.join(folder, "dataset_info.json"))) is not None:
        return named
    file = os.path.join(folder, "classes.txt")
    if is_usual and os.path.isfile(file):
        try:
            with open(file, encoding="utf-8") as lines:
                return [from_line(line) for line in lines if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {file}: {error}") from None
    values = [row.value for row in rows if row.value is not None]
    if numbered and all(isinstance(value, int) for value in values):
        return [numbered.get(number, str(number)) for number in range(max(values) + 1)]
    return [str(n) for n in range(max(values) + 1)] if values and all(type(v) is int for v in values) else None


def _named_by_us(file: str) -> list[str] | None:
    """The class names in the file that an export writes; None where there is no such file, or another's."""
    try:
        with open(file, encoding="utf-8") as stream:
            names = parse_json(stream.read())["features"]["cls"]["names"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None
