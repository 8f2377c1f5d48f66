"""Exports of annotation tools: the labels of a JSON or XML file, and images next to it; in a folder or a zip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import ClassVar

from imaginate.data import splits
from imaginate.data.annotations import Annotated, parse
from imaginate.data.archives import is_zip
from imaginate.data.decoding import has_image_suffix
from imaginate.data.finding import TreeFinder, found_again
from imaginate.data.labelling import NO_LABEL, Labeller
from imaginate.data.listing import nothing
from imaginate.data.official.core.places import trees
from imaginate.data.official.core.tree import Tree
from imaginate.errors import DataError, ImageError
from imaginate.records import Listing, Part, Place, Sample, Skipped

_NAMES = ("labels.json", "samples.json", "annotations.xml")
_FOLDER = "annotations"  # of Datumaro
MOST = 4  # other JSON files of a folder that are opened


class Annotations:
    """Reads the classes that FiftyOne, Label Studio, CVAT or Datumaro wrote next to the images."""

    layout: ClassVar[str] = "an export of FiftyOne, Label Studio, CVAT or Datumaro"
    priority: ClassVar[int] = 35

    def recognises(self, place: Place) -> bool:
        """By the name of a file, and what it holds."""
        if place.is_remote or not (place.kind == "folder" or is_zip(place) or _is_labels(place)):
            return False
        try:
            return _found(place, Part()) is not None
        except DataError:  # one of them, and not clear: `read` knows what was asked for
            return True

    def read(self, place: Place, part: Part) -> Listing:
        """The images that the file names, with their class; images that have none are skipped."""
        found = _found(place, part)
        if found is None:
            raise DataError(f"{place.path} holds no labels of an annotation tool")
        return _listing(place.path, *found)


def _is_labels(place: Place) -> bool:
    return place.kind == "file" and place.path.lower().endswith((".json", ".xml"))


def _found(place: Place, part: Part) -> tuple[Tree, dict[str, Annotated]] | None:
    """The tree and its files of labels."""
    if _is_labels(place):
        name = os.path.basename(place.path)
        folder = os.path.dirname(os.path.abspath(place.path))
        tree = next(trees(Place(path=folder, kind="folder", names=frozenset(os.listdir(folder))), ()))
        one = _parsed(tree, name, part)
        if one is not None and not one.has_classes:
            raise DataError(f"{name} holds no class of a whole image: boxes and outlines are none")
        return None if one is None else (tree, {name: one})
    for tree in trees(place, ()):
        parsed = {name: one for name in _candidates(tree) if (one := _parsed(tree, name, part)) is not None}
        files = {name: one for name, one in parsed.items() if one.has_classes and one.is_sure}
        if files:
            return tree, files
    return None


def _candidates(tree: Tree) -> Iterator[str]:
    """The files that may hold labels, those of the tools' own names first."""
    there = tree.names()
    yield from (name for name in _NAMES if name in there and tree.has(name))
    for folder in sorted(tree.folders()):
        inside = tree.names(folder) if folder == _FOLDER or splits.known(folder) else frozenset()
        wanted = [name for name in sorted(inside) if name in _NAMES or (folder == _FOLDER and name.endswith(".json"))]
        yield from (f"{folder}/{name}" for name in wanted)
    others = sorted(name for name in there if name.lower().endswith(".json") and name not in _NAMES)
    yield from others if len(others) <= MOST and not any(splits.known(name) for name in tree.folders()) else ()


def _parsed(tree: Tree, name: str, part: Part) -> Annotated | None:
    try:
        data = tree.source(name).read()
    except ImageError:
        return None
    return parse(name, data, part)


def _listing(path: str, tree: Tree, files: dict[str, Annotated]) -> Listing:
    names = next((one.names for one in files.values()), None)
    same = all(one.names == names for one in files.values())
    labeller = Labeller(names if same else None, where=path)
    if not labeller.fixed:
        labeller.see(mark.value for one in files.values() for mark in one.marks)
    images = {name: tree.source(name) for name in tree.files() if has_image_suffix(name)}
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    seen: set[str] = set()
    for name, one in files.items():
        folder = name.rpartition("/")[0] if not name.startswith(_FOLDER + "/") else ""
        finder = TreeFinder(images, f"{folder}/" if folder else "", "")
        for mark in one.marks:
            found, split = found_again(finder, mark.path), mark.split or splits.known(folder)
            reason = mark.reason or found.reason
            label = labeller.label(mark.value)
            if reason or isinstance(label, str) or found.source is None or found.id in seen:
                skipped.append(Skipped(tree.id(found.id), reason or _why(label), split))
            else:
                samples.append(Sample(id=tree.id(found.id), label=label, source=found.source, split=split))
            seen.add(found.id)
    skipped += [Skipped(tree.id(name), NO_LABEL) for name in images if name not in seen]
    if not samples:
        raise DataError(nothing(path, skipped, "the images are looked for next to the file of labels, and below"))
    tools = sorted({one.tool for one in files.values()})
    note = f"the labels are read from {', '.join(files)}, as {' and '.join(tools)} writes them"
    return Listing(
        format="annotations", labels=labeller.space, samples=samples, skipped=skipped,
        splits=splits.ordered(sample.split for sample in samples if sample.split), notes=(note,),
        follows=next(iter(files.values())).follows,
    )  # fmt: skip


def _why(label: int | str) -> str:
    return label if isinstance(label, str) else "listed twice"
