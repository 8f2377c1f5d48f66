"""SUN397: `a/abbey/sun_*.jpg`, names of the scenes in ClassName.txt."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, lines, pictures
from imaginate.records import Part


class Sun397:
    """397 scenes in the order of ClassName.txt, without the letter in front (`abbey`, `church/indoor`)."""

    title: ClassVar[str] = "SUN397"
    archives: ClassVar[tuple[str, ...]] = ("SUN397.tar.gz",)

    def recognises(self, tree: Tree) -> bool:
        """By the list of names, whose first begins with a letter of the alphabet."""
        if not (tree.has("ClassName.txt") and tree.names("a")):
            return False
        return any(name.startswith("/a/") for name in lines(tree, "ClassName.txt")[:1])

    def read(self, tree: Tree, part: Part) -> Published:
        """All images; the partitions are distributed apart."""
        scenes = [line[1:] for line in lines(tree, "ClassName.txt")]
        rows = [Row(name, label) for label, scene in enumerate(scenes) for name in _own(tree, scene)]
        names = [scene[2:] for scene in scenes]
        words = {name: " ".join(reversed(name.replace("_", " ").split("/"))) for name in names if "/" in name}
        return Published(classes=named(names, words), rows=rows, by="ClassName.txt", left_out=["the ten partitions"])


def _own(tree: Tree, scene: str) -> list[str]:
    """The pictures directly in the folder of a scene: others may be below it."""
    return [name for name in pictures(tree, scene) if name.rsplit("/", 1)[0] == scene]
