"""What a layout says of a published data set: its classes, and one row an image; and small steps to write that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from imaginate.data.official.core.tree import Tree, folders, pictures
from imaginate.records import ClassInfo, ImageSource, Part

NOT_LISTED = "in no list of the publisher"


@dataclass(frozen=True, slots=True)
class Row:
    """An image: its name in the tree, its label (None: not published) and split. `source`: where it is no file."""

    name: str
    label: int | None
    split: str | None = None
    source: ImageSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """`by`: the files that say it. `left_out`: parts that are no seeds (masks, boxes, clutter). `listed`: folders
    whose pictures should all have a row; others in them are skipped. `splits`: those that there are, where the rows
    are of some alone. `by_column`: whether `Part.label_column` said which labels these are."""

    classes: Sequence[ClassInfo]
    rows: Sequence[Row]
    by: str = ""
    left_out: Sequence[str] = ()
    listed: Sequence[str] = ()
    splits: Sequence[str] = ()
    by_column: bool = False


def named(names: Iterable[str], words: Mapping[str, str] | None = None) -> list[ClassInfo]:
    """Classes in label order, with words for those names that are codes."""
    return [ClassInfo(name=name, display=(words or {}).get(name, "")) for name in names]


def digits() -> list[ClassInfo]:
    """The ten digits by their numbers."""
    return [ClassInfo(name=str(n), display=f"digit {n}") for n in range(10)]


def numbered(tree: Tree, folder: str, names: Sequence[str], split: str | None) -> list[Row]:
    """The pictures below the class folders of one folder; the label is the place of the class among the names."""
    start = f"{folder}/" if folder else ""
    return [Row(picture, label, split) for label, name in enumerate(names) for picture in pictures(tree, start + name)]


def class_folders(tree: Tree, splits: Mapping[str, str | None]) -> tuple[list[str], list[Row]]:
    """Class folders in split folders (folder -> split): names in order, and rows."""
    there = {folder: split for folder, split in splits.items() if folders(tree, folder)}
    names = sorted({name for folder in there for name in folders(tree, folder)})
    return names, [row for folder, split in there.items() for row in numbered(tree, folder, names, split)]


class Layout(Protocol):
    """One published layout, in `data/official/<name>.py`. Class attributes:

    title: the data set's name, as a message says it.
    archives: the files as they are downloaded, which are read where they are in place of what they hold.
    """

    title: ClassVar[str]
    archives: ClassVar[tuple[str, ...]]

    def recognises(self, tree: Tree) -> bool:
        """Whether the tree holds this layout, by a few names alone."""
        ...

    def read(self, tree: Tree, part: Part) -> Published:
        """All images; labels are read, images are not. DataError where a file of labels is missing."""
        ...
