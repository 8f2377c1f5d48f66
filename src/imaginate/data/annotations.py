"""What annotation tools export next to the images: FiftyOne, Label Studio, CVAT and Datumaro, each as its class a name.

FiftyOne        `labels.json` (classes, labels by file stem) or `samples.json`, with `data/`
Label Studio    a JSON list of tasks, or of rows (its JSON-MIN)
Datumaro        `annotations/<subset>.json`, with `images/<subset>/`
CVAT            `annotations.xml` ("CVAT for images"), with `images/`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from imaginate.data import splits
from imaginate.data.columns import FOLLOWED, find_roles, split_of
from imaginate.data.decoding import has_image_suffix
from imaginate.errors import DataError, some
from imaginate.limits import parse_json
from imaginate.records import Part
from imaginate.settings import nearest

DISAGREE = "annotators disagree"
_IMAGE_KEYS = ("image", "img", "photo", "picture", "url")


@dataclass(frozen=True, slots=True)
class Marked:
    """An image as a tool names it. `value`: the name of its class, several in a list, None for none. `reason`: why it
    cannot be used, where the tool says that."""

    path: str
    value: Any = None
    split: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Annotated:
    """`names`: the classes in the tool's order, where it has one. `is_sure`: whether no other file looks like it.
    `follows`: which columns it takes as asked."""

    tool: str
    marks: Sequence[Marked]
    names: Sequence[str] | None = None
    is_sure: bool = True
    follows: tuple[str, ...] = ()

    @property
    def has_classes(self) -> bool:
        """Whether any image has one: boxes are none."""
        return any(mark.value is not None or mark.reason for mark in self.marks)


def parse(name: str, data: bytes, part: Part) -> Annotated | None:
    """What a tool's file says; None for a file that is of none of them, or damaged."""
    try:
        return _parse(name, data, part)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return None


def _parse(name: str, data: bytes, part: Part) -> Annotated | None:
    if name.lower().endswith(".xml"):
        return _cvat(data)
    found = parse_json(data)
    forms: tuple[Callable[[Any, Part, str], Annotated | None], ...] = (_labels, _samples, _datumaro, _tasks, _rows)
    return next((one for form in forms if (one := form(found, part, name)) is not None), None)


def _labels(found: Any, part: Part, name: str) -> Annotated | None:
    """FiftyOne's image classification dataset."""
    if not (isinstance(found, dict) and isinstance(found.get("labels"), dict) and "classes" in found):
        return None
    names = [str(one) for one in found["classes"]] if isinstance(found["classes"], list) else None
    marks = [Marked(str(path), _name_of(value, names)) for path, value in found["labels"].items()]
    return Annotated("FiftyOne", marks, names)


def _name_of(value: Any, names: Sequence[str] | None) -> Any:
    """A target of FiftyOne: an index or a name, alone, in a dictionary with its confidence, or several in a list."""
    if isinstance(value, list):
        return [_name_of(one, names) for one in value]
    if isinstance(value, dict):
        return _name_of(value.get("label"), names)
    if isinstance(value, int) and names is not None:
        return names[value] if 0 <= value < len(names) else None
    return value


def _samples(found: Any, part: Part, name: str) -> Annotated | None:
    """FiftyOne's own dataset."""
    rows = found.get("samples") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "filepath" in row for row in rows):
        return None
    fields = {key for row in rows for key, value in row.items() if _is_classification(value)}
    field = _chosen(fields, part, "ground_truth", "samples.json")
    return Annotated(
        "FiftyOne",
        [Marked(str(row["filepath"]), (row.get(field) or {}).get("label"), _split_in(row.get("tags"))) for row in rows],
        follows=("label_column",),
    )


def _is_classification(value: Any) -> bool:
    return isinstance(value, dict) and value.get("_cls") == "Classification"


def _chosen(options: Iterable[str], part: Part, usual: str, where: str) -> str:
    """The one of several fields with labels, "" where there is none. DataError where that is not clear."""
    names = sorted(options)
    if part.label_column in names:
        return str(part.label_column)
    if part.label_column is None and (usual in names or len(names) == 1):
        return usual if usual in names else names[0]
    if not names:
        return ""
    if part.label_column is not None:
        raise DataError(
            f"{where} has no column {part.label_column!r} (--label-column){nearest(part.label_column, names)}"
        )
    raise DataError(f"{where} holds several labels of an image: say --label-column with one of {some(names)}")


def _split_in(tags: Any) -> str | None:
    found = [split for tag in tags or () if isinstance(tag, str) and (split := splits.known(tag))]
    return found[0] if len(found) == 1 else None


def _datumaro(found: Any, part: Part, name: str) -> Annotated | None:
    """Datumaro's JSON, one file a subset; CVAT exports it too."""
    if not (isinstance(found, dict) and isinstance(found.get("items"), list) and "categories" in found):
        return None
    names = [str(one["name"]) for one in found["categories"].get("label", {}).get("labels", [])]
    subset = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    marks = []
    for item in found["items"]:
        labels = [names[a["label_id"]] for a in item.get("annotations", []) if a.get("type") == "label"]
        path = (item.get("image") or {}).get("path") or item["id"]
        marks.append(Marked(f"images/{subset}/{path}", _one_or_several(labels), splits.known(subset)))
    return Annotated("Datumaro", marks, names or None)


def _tasks(found: Any, part: Part, name: str) -> Annotated | None:
    """Label Studio's JSON."""
    rows = found if isinstance(found, list) else None
    if not rows or not all(isinstance(row, dict) and isinstance(row.get("data"), dict) for row in rows):
        return None
    questions = {one["from_name"] for row in rows for answer in _answers(row) for one in answer}
    question = _chosen(questions, part, "choice", name)
    return Annotated("Label Studio", [_task(row, question) for row in rows], follows=("label_column",))


def _task(row: Mapping[str, Any], question: str) -> Marked:
    said = [tuple(_choices(answer, question)) for answer in _answers(row)]
    different = list(dict.fromkeys(labels for labels in said if labels))
    path = _image_of(row["data"]) or str(row.get("file_upload") or "")
    if len(different) > 1:
        return Marked(path, reason=DISAGREE)
    return Marked(path, _one_or_several(list(different[0])) if different else None)


def _answers(row: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The classifications of each annotator who has not skipped the task."""
    for annotation in row.get("annotations") or row.get("completions") or ():
        if not annotation.get("was_cancelled"):
            yield [one for one in annotation.get("result", ()) if one.get("type") == "choices"]


def _choices(answer: Iterable[Mapping[str, Any]], question: str) -> Iterator[str]:
    for one in answer:
        if one.get("from_name") == question:
            yield from map(str, one.get("value", {}).get("choices", ()))


def _image_of(data: Mapping[str, Any]) -> str:
    """The value of a task that names its image."""
    named = [str(data[key]) for key in _IMAGE_KEYS if isinstance(data.get(key), str)]
    others = [value for value in data.values() if isinstance(value, str) and has_image_suffix(value)]
    return next(iter([*named, *others]), "")


def _rows(found: Any, part: Part, name: str) -> Annotated | None:
    """A list of rows, as Label Studio's JSON-MIN: the columns of a table."""
    if not isinstance(found, list) or not found or not all(isinstance(row, dict) for row in found):
        return None
    roles = find_roles(list(dict.fromkeys(key for row in found for key in row)), found, part, name)
    if roles is None or roles.label is None:
        return None
    marks = []
    for row in found:
        value = row.get(roles.label)
        value = value.get("choices") if isinstance(value, dict) else value
        marks.append(Marked(str(row.get(roles.path) or ""), value, split_of(row, roles)))
    return Annotated("a JSON list", marks, is_sure=False, follows=FOLLOWED)


def _cvat(data: bytes) -> Annotated | None:
    """CVAT's XML for images: the tags of each, not its boxes."""
    if b"<annotations" not in data[:4096] or b"<!ENTITY" in data:
        return None
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return None
    marks = []
    for image in root.iter("image"):
        path, subset = image.get("name") or "", image.get("subset") or ""
        labels = [tag.get("label") or "" for tag in image.findall("tag")]
        marks.append(Marked(path, _one_or_several(labels), splits.known(subset)))
    return Annotated("CVAT", marks)


def _one_or_several(labels: Sequence[str]) -> Any:
    names = list(dict.fromkeys(labels))
    return names[0] if len(names) == 1 else names or None
