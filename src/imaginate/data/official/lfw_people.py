"""Labelled Faces in the Wild: `lfw_funneled/<person>/<person>_0001.jpg`, lists of people for train and test."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, folders, lines
from imaginate.records import Part

LISTS = ("peopleDevTrain.txt", "peopleDevTest.txt", "people.txt")


class LfwPeople:
    """Identities by their line in lfw-names.txt."""

    title: ClassVar[str] = "LFW people"
    archives: ClassVar[tuple[str, ...]] = ("lfw.tgz", "lfw-funneled.tgz", "lfw-deepfunneled.tgz")

    def recognises(self, tree: Tree) -> bool:
        """By a folder of faces and a list of people."""
        return tree.has("lfw-names.txt") and any(map(tree.has, LISTS)) and _folder(tree) is not None

    def read(self, tree: Tree, part: Part) -> Published:
        """The people of the development lists; the ten folds where these are not there."""
        folder = _folder(tree) or ""
        names = [line.split()[0] for line in lines(tree, "lfw-names.txt")]
        number = {name: label for label, name in enumerate(names)}
        rows: list[Row] = []
        for file in [name for name in LISTS[:2] if tree.has(name)] or [LISTS[2]]:
            for split, person, count in _people(lines(tree, file), LISTS.index(file)):
                rows += [
                    Row(f"{folder}/{person}/{person}_{n:04d}.jpg", number[person], split) for n in range(1, count + 1)
                ]
        return Published(
            classes=named(names), rows=rows, by="the lists of people", left_out=["the pairs"], listed=[folder]
        )


def _folder(tree: Tree) -> str | None:
    return next((name for name in ("lfw_funneled", "lfw-deepfunneled", "lfw") if folders(tree, name)), None)


def _people(found: list[str], which: int) -> list[tuple[str, str, int]]:
    """(split, person, images) of each line; the folds are one list after the other, each with its length in front."""
    people: list[tuple[str, str, int]] = []
    at, fold = (0, 0) if which < 2 else (1, 1)
    while at < len(found):
        count = int(found[at])
        split = ("train", "test")[which] if which < 2 else f"fold{fold}"
        for line in found[at + 1 : at + 1 + count]:
            person, images = line.split("\t")
            people.append((split, person, int(images)))
        at, fold = at + 1 + count, fold + 1
    return people
