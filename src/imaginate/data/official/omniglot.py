"""Omniglot: `images_background/<alphabet>/character01/*.png`, `images_evaluation/` with other alphabets."""

from __future__ import annotations

import re
from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, folders, pictures
from imaginate.records import Part

_CHARACTER = re.compile(r"character\d+")
PARTS = {"images_background": "train", "images_evaluation": "test"}


class Omniglot:
    """Characters of alphabets; the two parts have no character in common, and count from 0 each."""

    title: ClassVar[str] = "Omniglot"
    archives: ClassVar[tuple[str, ...]] = ("images_background.zip", "images_evaluation.zip")

    def recognises(self, tree: Tree) -> bool:
        """By the name of a part, and the names of the characters in each of its alphabets."""
        return any(_holds_characters(tree, folder) for folder in PARTS)

    def read(self, tree: Tree, part: Part) -> Published:
        """The background part, which is called train; the evaluation part where `test` is asked for; both for `all`."""
        wanted = {None: ["images_background"], "all": list(PARTS)}.get(part.split)
        if wanted is None:
            is_test = part.split in ("test", "evaluation", "images_evaluation")
            wanted = ["images_evaluation" if is_test else "images_background"]
        there = [folder for folder in PARTS if tree.names(folder)]
        names: list[str] = []
        rows: list[Row] = []
        for folder in [name for name in wanted if name in there] or there:
            for alphabet in folders(tree, folder):
                for character in folders(tree, f"{folder}/{alphabet}"):
                    at = f"{folder}/{alphabet}/{character}"
                    rows += [Row(name, len(names), PARTS[folder]) for name in pictures(tree, at)]
                    names.append(f"{alphabet}/{character}")
        return Published(
            classes=named(names), rows=rows, left_out=["strokes"], splits=[PARTS[folder] for folder in there]
        )


def _holds_characters(tree: Tree, folder: str) -> bool:
    found = [folders(tree, f"{folder}/{alphabet}") for alphabet in folders(tree, folder)]
    return bool(found) and all(names and all(map(_CHARACTER.fullmatch, names)) for names in found)
