"""Rendered SST2: pictures of sentences, `train/negative/*.png`, `valid/`, `test/`."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, class_folders, named
from imaginate.data.official.core.tree import Tree, folders, is_called
from imaginate.records import Part

SPLITS = {"train": "train", "valid": "validation", "test": "test"}


class RenderedSst2:
    """Two classes: a sentence of a film review is negative or positive."""

    title: ClassVar[str] = "Rendered SST2"
    archives: ClassVar[tuple[str, ...]] = ("rendered-sst2.tgz",)

    def recognises(self, tree: Tree) -> bool:
        """By the set's own name, and both folders in all three parts: other sets have such folders too."""
        return is_called(tree, "rendered-sst2") and all(
            folders(tree, name) == ["negative", "positive"] for name in SPLITS
        )

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of the three parts."""
        names, rows = class_folders(tree, SPLITS)
        words = {name: f"a {name} review" for name in names}
        return Published(classes=named(names, words), rows=rows)
