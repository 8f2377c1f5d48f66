"""CLEVR: `images/train/*.png`, with the objects of each scene in `scenes/CLEVR_train_scenes.json`."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row
from imaginate.data.official.core.tree import Tree, pictures, read
from imaginate.limits import parse_json
from imaginate.records import ClassInfo, Part

SPLITS = {"train": "train", "val": "validation"}


class Clevr:
    """The class is the number of objects, as torchvision has it; the test part has no labels."""

    title: ClassVar[str] = "CLEVR"
    archives: ClassVar[tuple[str, ...]] = ("CLEVR_v1.0.zip",)

    def recognises(self, tree: Tree) -> bool:
        """By the scenes of a part."""
        return any(tree.has(_scenes(word)) for word in SPLITS)

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both labelled parts; the label is the number itself."""
        rows = []
        for word, split in SPLITS.items():
            if tree.has(_scenes(word)):
                scenes = parse_json(read(tree, _scenes(word)))["scenes"]
                count = {scene["image_filename"]: len(scene["objects"]) for scene in scenes}
                names = pictures(tree, f"images/{word}")
                rows += [Row(name, count.get(name.rsplit("/", 1)[-1]), split) for name in names]
        most = max((row.label or 0 for row in rows), default=0)
        classes = [ClassInfo(name=str(n), display=f"{n} object{'s' * (n != 1)}") for n in range(most + 1)]
        return Published(classes=classes, rows=rows, by="the scenes", left_out=["images/test, which has no labels"])


def _scenes(word: str) -> str:
    return f"scenes/CLEVR_{word}_scenes.json"
